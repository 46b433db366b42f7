#include "text/sentencepiece_model.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstddef>
#include <set>

#include "base/message.h"
#include "base/utf8.h"
#include "refrag/error.h"
#include "text/vocabulary.h"

namespace refrag {
namespace {

constexpr std::size_t kMaxPieceBytes = 4096;

[[noreturn]] void fail(const std::string& where, const std::string& what) {
  throw Error(ErrorCode::kCorrupt, message(where, ": ", what));
}

[[noreturn]] void refuse(const std::string& where, const std::string& option) {
  throw Error(ErrorCode::kUnsupported, message(where, ": ", option, " is not supported"));
}

/// The fields of a protobuf message, one after the other.
class MessageReader {
 public:
  enum class Wire : std::uint32_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

  MessageReader(std::string_view bytes, const std::string& where) : rest_(bytes), where_(where) {}

  bool next() {
    if (rest_.empty()) {
      return false;
    }
    const std::uint64_t tag = varint();
    field_ = tag >> 3;
    wire_ = static_cast<Wire>(tag & 7);
    switch (wire_) {
      case Wire::kVarint:
        number_ = varint();
        break;
      case Wire::kFixed64:
        bytes_ = take(8);
        break;
      case Wire::kBytes:
        bytes_ = take(varint());
        break;
      case Wire::kFixed32:
        bytes_ = take(4);
        break;
      default:
        fail(where_, message("is not a SentencePiece model: wire type ", tag & 7));
    }
    return true;
  }

  std::uint64_t field() const { return field_; }
  std::int64_t integer() const { return static_cast<std::int32_t>(expect(Wire::kVarint).number_); }
  bool boolean() const { return expect(Wire::kVarint).number_ != 0; }
  std::string_view bytes() const { return expect(Wire::kBytes).bytes_; }
  float real() const {
    std::uint32_t bits = 0;
    for (std::size_t i = 4; i > 0; --i) {
      bits = bits << 8 | static_cast<unsigned char>(expect(Wire::kFixed32).bytes_[i - 1]);
    }
    return std::bit_cast<float>(bits);
  }

 private:
  const MessageReader& expect(Wire wire) const {
    if (wire_ != wire) {
      fail(where_, message("is not a SentencePiece model: field ", field_, " has another type"));
    }
    return *this;
  }

  std::uint64_t varint() {
    std::uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      const auto byte = static_cast<unsigned char>(take(1).front());
      value |= static_cast<std::uint64_t>(byte & 0x7F) << shift;
      if (byte < 0x80) {
        return value;
      }
    }
    fail(where_, "is not a SentencePiece model: a number is too long");
  }

  std::string_view take(std::uint64_t length) {
    if (length > rest_.size()) {
      fail(where_, "ends in the middle of a field, or is not a SentencePiece model");
    }
    const std::string_view taken = rest_.substr(0, length);
    rest_.remove_prefix(length);
    return taken;
  }

  std::string_view rest_;
  const std::string& where_;
  std::uint64_t field_ = 0;
  Wire wire_ = Wire::kVarint;
  std::uint64_t number_ = 0;
  std::string_view bytes_;
};

// The numbers below are those of sentencepiece_model.proto.

SentencePieceModel::Piece read_piece(std::string_view bytes, const std::string& where) {
  SentencePieceModel::Piece piece;
  for (MessageReader reader(bytes, where); reader.next();) {
    switch (reader.field()) {
      case 1:
        piece.text = reader.bytes();
        break;
      case 2:
        piece.score = reader.real();
        break;
      case 3:
        if (reader.integer() < 1 || reader.integer() > 6) {
          fail(where, message("piece \"", to_valid_utf8(piece.text), "\" has the type ", reader.integer()));
        }
        piece.type = static_cast<SentencePieceModel::Type>(reader.integer());
        break;
      default:
        break;
    }
  }
  return piece;
}

void read_trainer(std::string_view bytes, const std::string& where, SentencePieceModel& model) {
  constexpr std::array<const char*, 5> kTypes = {"", "unigram", "bpe", "word", "char"};
  for (MessageReader reader(bytes, where); reader.next();) {
    switch (reader.field()) {
      case 3: {
        const std::int64_t type = reader.integer();
        if (type < 1 || type > 4) {
          fail(where, message("model_type is ", type, "; expected 1 to 4"));
        }
        if (type > 2) {
          refuse(where, message("model_type ", kTypes[static_cast<std::size_t>(type)]));
        }
        model.is_bpe = type == 2;
        break;
      }
      case 24:
        if (reader.boolean()) {
          refuse(where, "treat_whitespace_as_suffix");
        }
        break;
      case 35:
        model.has_byte_fallback = reader.boolean();
        break;
      case 41:
        model.bos_id = reader.integer();
        break;
      case 42:
        model.eos_id = reader.integer();
        break;
      case 43:
        model.pad_id = reader.integer();
        break;
      case 44:
        model.unknown_surface = reader.bytes();
        break;
      default:
        break;
    }
  }
}

void read_normalizer(std::string_view bytes, const std::string& where, SentencePieceModel& model) {
  for (MessageReader reader(bytes, where); reader.next();) {
    switch (reader.field()) {
      case 2:
        model.charsmap = reader.bytes();
        break;
      case 3:
        model.adds_dummy_prefix = reader.boolean();
        break;
      case 4:
        model.removes_extra_spaces = reader.boolean();
        break;
      case 5:
        if (!reader.boolean()) {
          refuse(where, "escape_whitespaces off");
        }
        break;
      default:
        break;
    }
  }
}

void refuse_denormalizer(std::string_view bytes, const std::string& where) {
  for (MessageReader reader(bytes, where); reader.next();) {
    if (reader.field() == 2 && !reader.bytes().empty()) {
      refuse(where, "denormalizer_spec");
    }
  }
}

void check_piece(const SentencePieceModel::Piece& piece, std::size_t id, const std::string& where) {
  if (piece.text.empty() || piece.text.size() > kMaxPieceBytes) {
    fail(where, message("piece ", id, " has ", piece.text.size(), " bytes; expected 1 to ", kMaxPieceBytes));
  }
  if (!is_valid_utf8(piece.text) || piece.text.find('\0') != std::string::npos) {
    fail(where, message("piece ", id, " is not UTF-8 text"));
  }
  if (!std::isfinite(piece.score)) {
    fail(where, message("piece ", id, " has a score that is not a number"));
  }
}

void check_byte_pieces(const SentencePieceModel& model, const std::set<std::string_view>& bytes,
                       const std::string& where) {
  if (bytes.size() != (model.has_byte_fallback ? 256 : 0)) {
    fail(where, message("has ", bytes.size(), " byte pieces; expected ", model.has_byte_fallback ? 256 : 0));
  }
  for (const std::string_view text : bytes) {
    const auto is_digit = [](char c) { return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'F'); };
    if (text.size() != 6 || !text.starts_with("<0x") || !is_digit(text[3]) || !is_digit(text[4]) || text[5] != '>') {
      fail(where, message("byte piece \"", text, "\" is not spelt like \"<0x0A>\""));
    }
  }
}

void check(const SentencePieceModel& model, const std::string& where) {
  using Type = SentencePieceModel::Type;
  if (model.pieces.empty() || model.pieces.size() > static_cast<std::size_t>(Vocabulary::kMaxId)) {
    fail(where, message("has ", model.pieces.size(), " pieces; expected 1 to ", Vocabulary::kMaxId));
  }
  std::set<std::string_view> words;
  std::set<std::string_view> reserved;
  std::set<std::string_view> bytes;
  std::size_t unknown = 0;
  std::size_t normal = 0;
  for (std::size_t id = 0; id < model.pieces.size(); ++id) {
    const SentencePieceModel::Piece& piece = model.pieces[id];
    check_piece(piece, id, where);
    const bool is_word = piece.type == Type::kNormal || piece.type == Type::kUserDefined || piece.type == Type::kUnused;
    if (!(is_word ? words : reserved).insert(piece.text).second) {
      fail(where, message("has the piece \"", piece.text, "\" twice"));
    }
    unknown += piece.type == Type::kUnknown ? 1 : 0;
    normal += piece.type == Type::kNormal ? 1 : 0;
    if (piece.type == Type::kByte) {
      bytes.insert(piece.text);
    }
  }
  if (unknown != 1 || normal == 0) {
    fail(where, message("has ", unknown, " unknown and ", normal, " normal pieces; expected 1 and at least 1"));
  }
  check_byte_pieces(model, bytes, where);
  if (!is_valid_utf8(model.unknown_surface)) {
    fail(where, "unk_surface is not UTF-8");
  }
}

}  // namespace

SentencePieceModel SentencePieceModel::read(std::string_view bytes, const std::string& where) {
  SentencePieceModel model;
  for (MessageReader reader(bytes, where); reader.next();) {
    switch (reader.field()) {
      case 1:
        model.pieces.push_back(read_piece(reader.bytes(), where));
        break;
      case 2:
        read_trainer(reader.bytes(), where, model);
        break;
      case 3:
        read_normalizer(reader.bytes(), where, model);
        break;
      case 5:
        refuse_denormalizer(reader.bytes(), where);
        break;
      default:
        break;
    }
  }
  check(model, where);
  return model;
}

std::int32_t SentencePieceModel::unknown_id() const {
  const auto is_unknown = [](const Piece& piece) { return piece.type == Type::kUnknown; };
  return static_cast<std::int32_t>(std::find_if(pieces.begin(), pieces.end(), is_unknown) - pieces.begin());
}

}  // namespace refrag
