#include "text/decode_text.h"

#include <unicode/ucnv.h>

#include <cstdint>
#include <limits>
#include <memory>

#include "base/message.h"
#include "base/utf8.h"
#include "refrag/error.h"

namespace refrag {
namespace {

constexpr std::string_view kUtf8Mark = "\xef\xbb\xbf";

// The converter's name for the mark at the start of `bytes`, or null.
const char* wide_encoding_of(std::string_view bytes) {
  const std::string_view head = bytes.substr(0, 4);
  int32_t mark_bytes = 0;
  UErrorCode status = U_ZERO_ERROR;
  const char* name = ucnv_detectUnicodeSignature(head.data(), static_cast<int32_t>(head.size()), &mark_bytes, &status);
  const bool is_wide = U_SUCCESS(status) && name != nullptr && std::string_view(name).starts_with("UTF-") &&
                       std::string_view(name) != "UTF-8" && std::string_view(name) != "UTF-7";
  return is_wide ? name : nullptr;
}

[[noreturn]] void fail_conversion(const char* encoding, UErrorCode status) {
  throw Error(ErrorCode::kInvalidArgument, message("text in ", encoding, ": ", u_errorName(status)));
}

// ICU replaces what is invalid by U+FFFD. Both counts of bytes fit: a reader's limit is far below 2 GiB / 3.
std::string convert_to_utf8(std::string_view bytes, const char* encoding) {
  if (bytes.size() > std::numeric_limits<int32_t>::max() / 3) {
    throw Error(ErrorCode::kInvalidArgument,
                message("text in ", encoding, " has ", bytes.size(), " bytes; expected less than 700 MB"));
  }
  std::string out(bytes.size() * 3 / 2 + 4, '\0');  // two bytes of UTF-16 are at most three of UTF-8
  UErrorCode status = U_ZERO_ERROR;
  const int32_t length = ucnv_convert("UTF-8", encoding, out.data(), static_cast<int32_t>(out.size()), bytes.data(),
                                      static_cast<int32_t>(bytes.size()), &status);
  if (U_FAILURE(status)) {
    fail_conversion(encoding, status);
  }
  out.resize(static_cast<std::size_t>(length));
  return out;
}

}  // namespace

bool has_wide_byte_order_mark(std::string_view bytes) { return wide_encoding_of(bytes) != nullptr; }

std::string decode_text(std::string_view bytes) {
  std::string text;
  if (const char* encoding = wide_encoding_of(bytes)) {
    text = convert_to_utf8(bytes, encoding);
  } else {
    text = to_valid_utf8(bytes);
  }
  if (text.starts_with(kUtf8Mark)) {
    text.erase(0, kUtf8Mark.size());
  }
  return text;
}

}  // namespace refrag
