#pragma once
#include <bit>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace refrag::testing {

/// Writes SentencePiece model files (sentencepiece_model.proto) for tests, well-formed or not.
class ProtoWriter {
 public:
  ProtoWriter& number(int field, std::uint64_t value) {
    varint(static_cast<std::uint64_t>(field) << 3);
    return varint(value);
  }
  ProtoWriter& real(int field, float value) {
    varint(static_cast<std::uint64_t>(field) << 3 | 5);
    const auto bits = std::bit_cast<std::uint32_t>(value);
    for (int shift = 0; shift < 32; shift += 8) {
      out_ += static_cast<char>(bits >> shift & 0xFF);
    }
    return *this;
  }
  ProtoWriter& bytes(int field, const std::string& value) {
    varint(static_cast<std::uint64_t>(field) << 3 | 2);
    varint(value.size());
    out_ += value;
    return *this;
  }
  const std::string& str() const { return out_; }

 private:
  ProtoWriter& varint(std::uint64_t value) {
    for (; value >= 0x80; value >>= 7) {
      out_ += static_cast<char>((value & 0x7F) | 0x80);
    }
    out_ += static_cast<char>(value);
    return *this;
  }
  std::string out_;
};

struct SentencePieceFile {
  static constexpr int kNormal = 1, kUnknown = 2, kControl = 3, kUserDefined = 4, kUnused = 5, kByte = 6;
  struct Piece {
    std::string text;
    float score = 0;
    int type = kNormal;
  };

  std::vector<Piece> pieces = {{"<unk>", 0, kUnknown}, {"<s>", 0, kControl}, {"</s>", 0, kControl}};
  bool is_bpe = false;
  bool byte_fallback = false;
  bool dummy_prefix = true;
  bool remove_extra_spaces = false;
  std::string charsmap;

  SentencePieceFile& with(std::vector<Piece> more) {
    pieces.insert(pieces.end(), more.begin(), more.end());
    return *this;
  }
  SentencePieceFile& with_bytes() {
    byte_fallback = true;
    constexpr char kDigits[] = "0123456789ABCDEF";
    for (int byte = 0; byte < 256; ++byte) {
      pieces.push_back({std::string("<0x") + kDigits[byte / 16] + kDigits[byte % 16] + ">", 0, kByte});
    }
    return *this;
  }

  std::string str() const {
    ProtoWriter file;
    for (const Piece& piece : pieces) {
      file.bytes(1, ProtoWriter()
                        .bytes(1, piece.text)
                        .real(2, piece.score)
                        .number(3, static_cast<std::uint64_t>(piece.type))
                        .str());
    }
    file.bytes(2, ProtoWriter().number(3, is_bpe ? 2 : 1).number(35, byte_fallback ? 1 : 0).str());
    ProtoWriter normalizer;
    normalizer.bytes(2, charsmap).number(3, dummy_prefix ? 1 : 0).number(4, remove_extra_spaces ? 1 : 0);
    return file.bytes(3, normalizer.str()).str();
  }
};

}  // namespace refrag::testing
