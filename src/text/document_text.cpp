#include <unicode/bytestream.h>
#include <unicode/normalizer2.h>
#include <unicode/uchar.h>
#include <unicode/utf8.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/message.h"
#include "base/utf8.h"
#include "refrag/error.h"
#include "text/chunker.h"

namespace refrag {
namespace {

/// "\r\n" and "\r" become "\n"; NUL and byte order marks at the start go.
std::string with_plain_lines(std::string text) {
  std::size_t to = 0;
  for (std::size_t from = 0; from < text.size(); ++from) {
    const char c = text[from];
    const bool is_second_half = c == '\n' && from > 0 && text[from - 1] == '\r';
    if (c != '\0' && !is_second_half) {
      text[to++] = c;
    }
  }
  text.resize(to);
  std::replace(text.begin(), text.end(), '\r', '\n');
  constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
  std::size_t marks = 0;
  while (std::string_view(text).substr(marks).starts_with(kByteOrderMark)) {
    marks += kByteOrderMark.size();
  }
  return text.erase(0, marks);
}

/// Normalizing sorts the combining marks of one character by insertion: a megabyte of them would take hours.
void refuse_endless_marks(std::string_view text) {
  constexpr std::size_t kMaxMarks = 1000;
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(text.data());
  std::size_t marks = 0;
  for (std::size_t at = 0; at < text.size();) {
    UChar32 c = 0;
    U8_NEXT(bytes, at, text.size(), c);
    marks = c < 0x300 || u_getCombiningClass(c) == 0 ? 0 : marks + 1;
    if (marks > kMaxMarks) {
      throw Error(ErrorCode::kInvalidArgument,
                  message("the text has more than ", kMaxMarks, " combining marks on one character, up to byte ", at),
                  "text");
    }
  }
}

}  // namespace

std::string normalize_document_text(std::string_view text) {
  if (text.size() > kMaxDocumentBytes) {
    throw Error(ErrorCode::kInvalidArgument,
                message("the text has ", text.size(), " bytes; expected at most ", kMaxDocumentBytes), "text");
  }
  const std::string plain = with_plain_lines(to_valid_utf8(text));
  refuse_endless_marks(plain);
  UErrorCode status = U_ZERO_ERROR;
  const icu::Normalizer2* nfc = icu::Normalizer2::getNFCInstance(status);
  std::string normalized;
  if (U_SUCCESS(status)) {
    icu::StringByteSink<std::string> sink(&normalized,
                                          static_cast<std::int32_t>(std::min<std::size_t>(plain.size(), 1U << 30)));
    nfc->normalizeUTF8(0, icu::StringPiece(plain), sink, nullptr, status);
  }
  if (U_FAILURE(status)) {
    throw Error(ErrorCode::kInternal, message("ICU cannot normalize: ", u_errorName(status)));
  }
  return normalized;
}

}  // namespace refrag
