#pragma once
#include <memory>
#include <string>
#include <string_view>

#include "server/http_types.h"

namespace refrag::server {

/// Unpacks a body that comes in pieces. (cpp-httplib's own takes a body that breaks off for a whole one.)
class BodyDecoder {
 public:
  virtual ~BodyDecoder() = default;
  /// Hands over what `bytes` unpack to, in pieces; what `take` throws comes out again. Throws HttpError 400 for bytes
  /// that are broken.
  virtual void feed(std::string_view bytes, const TakeBytes& take) = 0;
  /// Whether the body may end here.
  bool is_whole() const { return is_whole_; }

 protected:
  bool is_whole_ = true;  // an empty body is
};

/// For a Content-Encoding: gzip, deflate, br, or anything else for bytes as they are.
std::unique_ptr<BodyDecoder> make_body_decoder(const std::string& encoding);

}  // namespace refrag::server
