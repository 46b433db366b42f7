#include "text/byte_alphabet.h"

#include <array>

#include "text/unicode.h"

namespace refrag {
namespace {

constexpr char32_t kFirstStandIn = 0x100;  // bytes that are not printable take the code points from here on
constexpr std::size_t kCodePoints = 0x144;

bool stands_for_itself(unsigned byte) {
  return (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

struct Alphabet {
  std::array<std::string, 256> spelling;
  std::array<int, kCodePoints> byte_of{};

  Alphabet() {
    byte_of.fill(-1);
    char32_t stand_in = kFirstStandIn;
    for (unsigned byte = 0; byte < 256; ++byte) {
      const char32_t code_point = stands_for_itself(byte) ? byte : stand_in++;
      spelling[byte] = to_utf8(code_point);
      byte_of[code_point] = static_cast<int>(byte);
    }
  }
};

const Alphabet& alphabet() {
  static const Alphabet kAlphabet;
  return kAlphabet;
}

}  // namespace

const std::string& spell_byte(std::uint8_t byte) { return alphabet().spelling[byte]; }

std::optional<std::string> bytes_spelt_by(std::string_view token) {
  std::string bytes;
  for (std::size_t at = 0; at < token.size();) {
    const CodePoint c = code_point_at(token, at);
    if (c.value >= kCodePoints || alphabet().byte_of[c.value] < 0) {
      return std::nullopt;
    }
    bytes += static_cast<char>(alphabet().byte_of[c.value]);
    at += c.length;
  }
  return bytes;
}

}  // namespace refrag
