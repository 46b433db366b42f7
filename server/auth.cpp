#include "server/auth.h"

#include <openssl/crypto.h>
#include <strings.h>

#include <algorithm>
#include <sstream>

#include "base/files.h"
#include "base/hash.h"
#include "base/message.h"
#include "refrag/error.h"

namespace refrag::server {
namespace {

constexpr std::uint64_t kMaxKeyFileBytes = 1 << 20;

[[noreturn]] void refuse(const std::string& message) {
  throw HttpError(401, "unauthorized", message, {{"WWW-Authenticate", "Bearer"}});
}

}  // namespace

ApiKeys::ApiKeys(const std::vector<std::string>& keys) {
  for (const std::string& key : keys) {
    // '%' too: cpp-httplib decodes percent-escapes in headers, so such a key would never match.
    if (key.empty() || !std::all_of(key.begin(), key.end(), [](char c) { return c > ' ' && c < 127 && c != '%'; })) {
      throw Error(ErrorCode::kInvalidArgument,
                  message("API key ", digests_.size() + 1,
                          " is not made of printable ASCII characters without spaces "
                          "and percent signs"),
                  "api_keys");
    }
    digests_.push_back(sha256_hex(key));
  }
}

std::vector<std::string> ApiKeys::read_file(const std::filesystem::path& path) {
  std::istringstream lines(refrag::read_file(path, kMaxKeyFileBytes));
  std::vector<std::string> keys;
  for (std::string line; std::getline(lines, line);) {
    while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) line.pop_back();
    if (!line.empty() && line.front() != '#') keys.push_back(line);
  }
  if (keys.empty()) throw Error(ErrorCode::kInvalidArgument, message(path.string(), " holds no key"), "api_key_file");
  return keys;
}

void ApiKeys::check(const HttpRequest& request) const {
  if (empty()) return;
  constexpr std::string_view kScheme = "Bearer ";
  const std::string header = request.header("Authorization");
  if (strncasecmp(header.c_str(), kScheme.data(), kScheme.size()) != 0)
    refuse("this server wants \"Authorization: Bearer KEY\"");
  const std::string given = sha256_hex(std::string_view(header).substr(kScheme.size()));
  bool known = false;
  for (const std::string& digest : digests_) known |= CRYPTO_memcmp(digest.data(), given.data(), digest.size()) == 0;
  if (!known) refuse("the API key is not known");
}

}  // namespace refrag::server
