#pragma once
#include <cstddef>
#include <string>

namespace refrag::jinja {

constexpr std::size_t kMaxSteps = 2'000'000;
constexpr std::size_t kBytesPerStep = 128;          // so a rendering handles 256 MB of text at most
constexpr std::size_t kMaxTextBytes = 64u << 20;    // of one string, the output included
constexpr std::size_t kMaxNameBytes = 256;          // of a name and of a dict's key: they are copied free of charge
constexpr std::size_t kMaxDictKeys = 500;           // a dict is searched from its start
constexpr std::size_t kMaxCharacterSetBytes = 100;  // of what strip strips and rsplit splits at
constexpr int kMaxValueDepth = 100;                 // lists and dicts within each other
constexpr int kMaxRunDepth = 500;                   // expressions, statements and macros within each other

/// Throws kInvalidArgument: the template asks for what cannot be done.
[[noreturn]] void fail(const std::string& what);

/// What a rendering may still do. Whatever takes longer than a glance, or makes more than a few values, pays for it.
class Budget {
 public:
  void spend(std::size_t steps);
  void spend_bytes(std::size_t bytes) { spend(bytes / kBytesPerStep); }

 private:
  std::size_t left_ = kMaxSteps;
};

}  // namespace refrag::jinja
