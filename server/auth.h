#pragma once
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "server/http_types.h"

namespace refrag::server {

/// The keys a request may carry as "Authorization: Bearer KEY". Without keys every request passes. Immutable.
class ApiKeys {
 public:
  ApiKeys() = default;
  /// Throws kInvalidArgument for an empty key or one with other than printable ASCII.
  explicit ApiKeys(const std::vector<std::string>& keys);
  /// One key a line; empty lines and lines that begin with '#' are passed over.
  static std::vector<std::string> read_file(const std::filesystem::path& path);

  bool empty() const { return digests_.empty(); }
  /// Throws HttpError 401 for a request without a valid key. Takes the same time for every wrong key.
  void check(const HttpRequest& request) const;

 private:
  std::vector<std::string> digests_;  // SHA-256 of each key, so that lengths are equal and no key stays in memory
};

}  // namespace refrag::server
