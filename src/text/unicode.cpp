#include "text/unicode.h"

#include <unicode/brkiter.h>
#include <unicode/normalizer2.h>
#include <unicode/uchar.h>
#include <unicode/uniset.h>
#include <unicode/utext.h>
#include <unicode/utf8.h>

#include <memory>

#include "base/message.h"
#include "refrag/error.h"

namespace refrag {
namespace {

void check(UErrorCode status, const char* what) {
  if (U_FAILURE(status)) {
    throw Error(ErrorCode::kInternal, message("ICU: ", what, " failed: ", u_errorName(status)));
  }
}

// `tokenizers` normalizes with Unicode 9's tables: what came later stays as it is.
const icu::UnicodeSet& unicode_9() {
  static const icu::UnicodeSet* const kSet = [] {
    UErrorCode status = U_ZERO_ERROR;
    auto set = std::make_unique<icu::UnicodeSet>(UNICODE_STRING_SIMPLE("[:Age=9.0:]"), status);
    check(status, "reading a set of code points");
    set->freeze();
    return set.release();
  }();
  return *kSet;
}

icu::FilteredNormalizer2 normalizer_of(NormalForm form) {
  UErrorCode status = U_ZERO_ERROR;
  const icu::Normalizer2* found = nullptr;
  switch (form) {
    case NormalForm::kNfc:
      found = icu::Normalizer2::getNFCInstance(status);
      break;
    case NormalForm::kNfd:
      found = icu::Normalizer2::getNFDInstance(status);
      break;
    case NormalForm::kNfkc:
      found = icu::Normalizer2::getNFKCInstance(status);
      break;
    case NormalForm::kNfkd:
      found = icu::Normalizer2::getNFKDInstance(status);
      break;
  }
  check(status, "loading a normalizer");
  return {*found, unicode_9()};
}

icu::StringPiece piece_of(std::string_view text) { return {text.data(), static_cast<std::int32_t>(text.size())}; }

std::uint32_t category_bit(char32_t c) { return U_GET_GC_MASK(static_cast<UChar32>(c)); }

bool is_known_in(int unicode_version, char32_t c) {
  UVersionInfo age;
  u_charAge(static_cast<UChar32>(c), age);
  return age[0] != 0 && age[0] <= unicode_version;
}

}  // namespace

CodePoint code_point_at(std::string_view text, std::size_t byte) {
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(text.data());
  std::size_t at = byte;
  UChar32 value = 0;
  U8_NEXT_UNSAFE(bytes, at, value);  // the text is valid UTF-8
  return {static_cast<char32_t>(value), at - byte};
}

void append_utf8(char32_t code_point, std::string& out) {
  std::uint8_t bytes[U8_MAX_LENGTH];
  std::size_t length = 0;
  U8_APPEND_UNSAFE(bytes, length, static_cast<UChar32>(code_point));
  out.append(reinterpret_cast<const char*>(bytes), length);
}

std::string to_utf8(char32_t code_point) {
  std::string out;
  append_utf8(code_point, out);
  return out;
}

bool is_white_space(char32_t c) { return u_isUWhiteSpace(static_cast<UChar32>(c)) != 0; }

bool is_numeric(char32_t c) { return (category_bit(c) & U_GC_N_MASK) != 0; }

bool is_punctuation(char32_t c) {
  if (c < 0x80) {
    return (c >= '!' && c <= '/') || (c >= ':' && c <= '@') || (c >= '[' && c <= '`') || (c >= '{' && c <= '~');
  }
  if (c == 0x166D || c == 0x111C9) {
    return true;  // until Unicode 11
  }
  return (category_bit(c) & U_GC_P_MASK) != 0 && is_known_in(8, c);
}

bool is_word(char32_t c) {
  const auto point = static_cast<UChar32>(c);
  return u_isUAlphabetic(point) != 0 || (category_bit(c) & (U_GC_M_MASK | U_GC_ND_MASK | U_GC_PC_MASK)) != 0 ||
         u_hasBinaryProperty(point, UCHAR_JOIN_CONTROL) != 0;
}

bool is_nonspacing_mark(char32_t c) {
  if (c == 0x1734) {
    return true;  // until Unicode 13
  }
  const bool became_later = c == 0x1885 || c == 0x1886 || c == 0xA9BD || c == 0x111C9;
  return (category_bit(c) & U_GC_MN_MASK) != 0 && is_known_in(8, c) && !became_later;
}

bool is_mark(char32_t c) {
  if (c == 0x1CF2 || c == 0x1CF3) {
    return true;  // until Unicode 11
  }
  return (category_bit(c) & U_GC_M_MASK) != 0 && is_known_in(9, c) && c != 0x111C9;
}

bool is_other(char32_t c) {
  return (category_bit(c) & (U_GC_CC_MASK | U_GC_CF_MASK | U_GC_CO_MASK)) != 0 && is_known_in(8, c);
}

bool is_cjk_ideograph(char32_t c) {
  return (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0x3400 && c <= 0x4DBF) || (c >= 0x20000 && c <= 0x2A6DF) ||
         (c >= 0x2A700 && c <= 0x2B73F) || (c >= 0x2B740 && c <= 0x2B81F) || (c >= 0x2B920 && c <= 0x2CEAF) ||
         (c >= 0xF900 && c <= 0xFAFF) || (c >= 0x2F800 && c <= 0x2FA1F);
}

std::string to_lower_case(char32_t c) {
  if (c == 0x130) {
    return "i\u0307";  // the one code point whose lower case is longer whatever stands beside it
  }
  return to_utf8(static_cast<char32_t>(u_tolower(static_cast<UChar32>(c))));
}

std::string normalize(NormalForm form, std::string_view text) {
  std::string out;
  icu::StringByteSink<std::string> sink(&out);
  UErrorCode status = U_ZERO_ERROR;
  normalizer_of(form).normalizeUTF8(0, piece_of(text), sink, nullptr, status);
  check(status, "normalizing");
  return out;
}

bool is_normalized(NormalForm form, std::string_view text) {
  UErrorCode status = U_ZERO_ERROR;
  const bool is = normalizer_of(form).isNormalizedUTF8(piece_of(text), status) != 0;
  check(status, "checking a normal form");
  return is;
}

bool is_boundary_before(NormalForm form, char32_t c) {
  return normalizer_of(form).hasBoundaryBefore(static_cast<UChar32>(c)) != 0;
}

struct GraphemeCursor::State {
  UText* text = nullptr;
  std::unique_ptr<icu::BreakIterator> breaks;
  std::size_t size = 0;
};

GraphemeCursor::GraphemeCursor(std::string_view text) : state_(new State) {
  UErrorCode status = U_ZERO_ERROR;
  state_->size = text.size();
  state_->text = utext_openUTF8(nullptr, text.data(), static_cast<std::int64_t>(text.size()), &status);
  state_->breaks.reset(icu::BreakIterator::createCharacterInstance(icu::Locale::getRoot(), status));
  if (U_SUCCESS(status)) {
    state_->breaks->setText(state_->text, status);
    state_->breaks->first();
  }
  if (U_FAILURE(status)) {
    utext_close(state_->text);
    delete state_;
    check(status, "finding grapheme clusters");
  }
}

GraphemeCursor::~GraphemeCursor() {
  state_->breaks.reset();
  utext_close(state_->text);
  delete state_;
}

std::size_t GraphemeCursor::next() {
  const std::int32_t found = state_->breaks->next();
  return found == icu::BreakIterator::DONE ? state_->size : static_cast<std::size_t>(found);
}

}  // namespace refrag
