#pragma once
#include <span>
#include <string_view>

namespace refrag::server {

/// A file that was built into the program: the web page and openapi.json.
struct Asset {
  std::string_view path;  // of its route
  std::string_view content_type;
  std::string_view bytes;
};
std::span<const Asset> assets();

}  // namespace refrag::server
