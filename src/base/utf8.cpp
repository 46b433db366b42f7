#include "base/utf8.h"

#include <algorithm>

namespace refrag {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

bool is_continuation(char byte) { return (static_cast<unsigned char>(byte) & 0xC0) == 0x80; }

/// What the first bytes of a text are: one character, or a maximal part of none.
struct Sequence {
  std::size_t size = 1;
  bool whole = false;      // a valid character
  bool cut_short = false;  // not whole, but more bytes could have made it so
};

/// Unicode 15, table 3-7: the second byte decides between overlong forms, surrogates and characters.
Sequence first_sequence(std::string_view text) {
  const auto lead = static_cast<unsigned char>(text[0]);
  if (lead < 0x80) {
    return {1, true, false};
  }
  if (lead < 0xC2 || lead > 0xF4) {
    return {1, false, false};
  }
  const std::size_t needed = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  const unsigned char least = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
  const unsigned char most = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
  for (std::size_t i = 1; i < needed; ++i) {
    if (i == text.size()) {
      return {i, false, true};
    }
    const auto byte = static_cast<unsigned char>(text[i]);
    const bool fits = i == 1 ? byte >= least && byte <= most : is_continuation(text[i]);
    if (!fits) {
      return {i, false, false};
    }
  }
  return {needed, true, false};
}

/// Bytes at the start of `text` that are whole characters.
std::size_t valid_prefix(std::string_view text) {
  std::size_t at = 0;
  while (at < text.size()) {
    const Sequence sequence = first_sequence(text.substr(at));
    if (!sequence.whole) {
      break;
    }
    at += sequence.size;
  }
  return at;
}

}  // namespace

bool is_valid_utf8(std::string_view text) { return valid_prefix(text) == text.size(); }

std::string to_valid_utf8(std::string_view bytes) {
  std::string text;
  text.reserve(bytes.size());
  while (!bytes.empty()) {
    const std::size_t valid = valid_prefix(bytes);
    text += bytes.substr(0, valid);
    bytes.remove_prefix(valid);
    if (!bytes.empty()) {
      text += kReplacement;
      bytes.remove_prefix(first_sequence(bytes).size);
    }
  }
  return text;
}

std::size_t count_code_points(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) { return !is_continuation(c); }));
}

std::size_t byte_of_code_point(std::string_view text, std::size_t n) {
  std::size_t begun = 0;
  for (std::size_t byte = 0; byte < text.size(); ++byte) {
    if (!is_continuation(text[byte]) && begun++ == n) {
      return byte;
    }
  }
  return text.size();
}

std::size_t incomplete_tail(std::string_view text) {
  for (std::size_t size = std::min<std::size_t>(3, text.size()); size > 0; --size) {
    const Sequence sequence = first_sequence(text.substr(text.size() - size));
    if (sequence.cut_short && sequence.size == size) {
      return size;
    }
  }
  return 0;
}

CodePointIndex::CodePointIndex(std::string_view text) {
  code_point_of_byte_.reserve(text.size() + 1);
  std::uint32_t begun = 0;
  for (const char byte : text) {
    if (!is_continuation(byte)) {
      ++begun;
    }
    code_point_of_byte_.push_back(begun == 0 ? 0 : begun - 1);
  }
  code_point_of_byte_.push_back(begun);
}

std::size_t CodePointIndex::at_byte(std::size_t byte) const {
  return code_point_of_byte_[std::min(byte, code_point_of_byte_.size() - 1)];
}

}  // namespace refrag
