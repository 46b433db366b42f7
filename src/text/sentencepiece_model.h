#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace refrag {

/// What a SentencePiece model file (a protobuf message) holds, read and checked.
struct SentencePieceModel {
  enum class Type { kNormal = 1, kUnknown = 2, kControl = 3, kUserDefined = 4, kUnused = 5, kByte = 6 };
  struct Piece {
    std::string text;
    float score = 0;
    Type type = Type::kNormal;
  };

  /// Throws kCorrupt, or kUnsupported for an option that is not known here, naming `where`.
  static SentencePieceModel read(std::string_view bytes, const std::string& where);

  std::int32_t unknown_id() const;  // of the one unknown piece

  std::vector<Piece> pieces;
  bool is_bpe = false;
  bool has_byte_fallback = false;
  bool adds_dummy_prefix = true;
  bool removes_extra_spaces = true;
  std::string unknown_surface = " \u2047 ";  // what an unknown piece becomes in text
  std::int64_t bos_id = 1;                   // piece ids; -1: none
  std::int64_t eos_id = 2;
  std::int64_t pad_id = -1;
  std::string charsmap;  // normalization rules, see CharsMap
};

}  // namespace refrag
