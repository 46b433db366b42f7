#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace refrag {

/// GPT-2's alphabet: every byte as one printable character, so that byte strings can stand in JSON as text.
const std::string& spell_byte(std::uint8_t byte);
/// The bytes that a token in that alphabet spells; empty where a character is not of it.
std::optional<std::string> bytes_spelt_by(std::string_view token);

}  // namespace refrag
