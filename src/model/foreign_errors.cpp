#include "model/foreign_errors.h"

#include <c10/util/Exception.h>

#include <filesystem>
#include <new>

#include "base/message.h"

namespace refrag {

Error as_error(const std::exception& caught) {
  if (const auto* ours = dynamic_cast<const Error*>(&caught)) {
    return *ours;
  }
  if (const auto* torch = dynamic_cast<const c10::Error*>(&caught)) {
    return {ErrorCode::kInternal, message("libtorch: ", torch->what_without_backtrace())};
  }
  if (dynamic_cast<const std::filesystem::filesystem_error*>(&caught) != nullptr) {
    return {ErrorCode::kIo, caught.what()};
  }
  if (dynamic_cast<const std::bad_alloc*>(&caught) != nullptr) {
    return {ErrorCode::kInternal, "out of memory"};
  }
  return {ErrorCode::kInternal, caught.what()};
}

}  // namespace refrag
