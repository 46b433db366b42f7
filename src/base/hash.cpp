#include "base/hash.h"

#include <openssl/evp.h>

#include <array>
#include <cstdint>

#include "refrag/error.h"

namespace refrag {
namespace {

void expect_success(int result) {
  if (result != 1) {
    throw Error(ErrorCode::kInternal, "OpenSSL cannot compute SHA-256");
  }
}

}  // namespace

struct Sha256::State {
  State() { expect_success(EVP_DigestInit_ex(context.get(), EVP_sha256(), nullptr)); }
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context{EVP_MD_CTX_new(), EVP_MD_CTX_free};
};

Sha256::Sha256() : state_(std::make_unique<State>()) {}
Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;
Sha256::~Sha256() = default;

Sha256& Sha256::add(std::span<const std::byte> bytes) {
  expect_success(EVP_DigestUpdate(state_->context.get(), bytes.data(), bytes.size()));
  return *this;
}

Sha256& Sha256::add(std::string_view text) { return add(std::as_bytes(std::span(text))); }

Sha256& Sha256::add_field(std::string_view text) {
  std::array<char, 8> length{};  // little-endian whatever the machine: identities are stored
  for (std::size_t i = 0; i < length.size(); ++i) {
    length[i] = static_cast<char>(static_cast<std::uint64_t>(text.size()) >> (8 * i) & 0xff);
  }
  return add(std::string_view(length.data(), length.size())).add(text);
}

std::string Sha256::hex() {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int size = 0;
  expect_success(EVP_DigestFinal_ex(state_->context.get(), digest.data(), &size));
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string hex;
  for (const unsigned char byte : std::span(digest).first(size)) {
    hex += kDigits[byte >> 4];
    hex += kDigits[byte & 0xf];
  }
  return hex;
}

std::string sha256_hex(std::string_view text) { return Sha256().add(text).hex(); }

}  // namespace refrag
