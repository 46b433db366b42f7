#include "server/sse.h"

#include "base/message.h"
#include "server/errors.h"

namespace refrag::server {

std::string sse_event(std::string_view name, const Json& data) {
  return message("event: ", name, '\n', sse_data(data));
}

std::string sse_data(const Json& data) { return message("data: ", to_text(data), "\n\n"); }

}  // namespace refrag::server
