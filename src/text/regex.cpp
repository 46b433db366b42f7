#define PCRE2_CODE_UNIT_WIDTH 8
#include "text/regex.h"

#include <pcre2.h>

#include <cstdint>

#include "base/message.h"
#include "refrag/error.h"
#include "text/regex_syntax.h"
#include "text/unicode.h"

namespace refrag {
namespace {

// Published patterns need a handful of steps a character; what needs more is hostile.
constexpr std::uint32_t kMatchLimit = 20'000'000;
constexpr std::uint32_t kHeapLimitKib = 64 * 1024;
constexpr std::size_t kMaxPatternBytes = 64 * 1024;

template <auto kFree>
struct Freer {
  template <typename T>
  void operator()(T* pointer) const {
    kFree(pointer);
  }
};
using CodePointer = std::unique_ptr<pcre2_code, Freer<pcre2_code_free>>;
using MatchData = std::unique_ptr<pcre2_match_data, Freer<pcre2_match_data_free>>;
using MatchContext = std::unique_ptr<pcre2_match_context, Freer<pcre2_match_context_free>>;
using CompileContext = std::unique_ptr<pcre2_compile_context, Freer<pcre2_compile_context_free>>;

std::string error_text(int number) {
  PCRE2_UCHAR buffer[256];
  const int length = pcre2_get_error_message(number, buffer, sizeof buffer);
  return length < 0 ? "unknown error" : std::string(reinterpret_cast<const char*>(buffer));
}

PCRE2_SPTR bytes_of(std::string_view text) { return reinterpret_cast<PCRE2_SPTR>(text.data()); }

}  // namespace

struct Regex::Code {
  CodePointer code;
  MatchContext limits;
};

Regex::Regex(std::string_view pattern) : Regex(compile(translate_oniguruma(pattern), pattern)) {}

Regex Regex::of_text(std::string_view text) { return compile(escape_pattern(text), text); }

Regex Regex::compile(const std::string& translated, std::string_view shown) {
  if (translated.size() > kMaxPatternBytes) {
    throw Error(ErrorCode::kUnsupported,
                message("a pattern of ", translated.size(), " bytes; at most ", kMaxPatternBytes, " are supported"));
  }
  const CompileContext context(pcre2_compile_context_create(nullptr));
  pcre2_set_newline(context.get(), PCRE2_NEWLINE_LF);
  int error = 0;
  PCRE2_SIZE where = 0;
  // Ruby's ^ and $ are always those of lines.
  const std::uint32_t options = PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C;
  auto code = std::make_shared<Code>();
  code->code.reset(pcre2_compile(bytes_of(translated), translated.size(), options, &error, &where, context.get()));
  if (code->code == nullptr) {
    throw Error(ErrorCode::kCorrupt, message("the pattern ", shown, " is broken: ", error_text(error)));
  }
  pcre2_jit_compile(code->code.get(), PCRE2_JIT_COMPLETE);  // where it cannot, matching is slower, not wrong
  code->limits.reset(pcre2_match_context_create(nullptr));
  pcre2_set_match_limit(code->limits.get(), kMatchLimit);
  pcre2_set_heap_limit(code->limits.get(), kHeapLimitKib);
  Regex regex;
  regex.code_ = std::move(code);
  regex.shown_ = shown;
  return regex;
}

std::vector<Span> Regex::find_all(std::string_view text) const {
  std::vector<Span> found;
  const MatchData data(pcre2_match_data_create_from_pattern(code_->code.get(), nullptr));
  std::size_t at = 0;
  while (at < text.size()) {
    int count = pcre2_match(code_->code.get(), bytes_of(text), text.size(), at, PCRE2_NO_UTF_CHECK, data.get(),
                            code_->limits.get());
    if (count == PCRE2_ERROR_JIT_STACKLIMIT) {
      count = pcre2_match(code_->code.get(), bytes_of(text), text.size(), at, PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT,
                          data.get(), code_->limits.get());
    }
    if (count == PCRE2_ERROR_NOMATCH) {
      break;
    }
    if (count < 0) {
      throw Error(ErrorCode::kInvalidArgument,
                  message("the tokenizer's pattern ", shown_, " gave up on this text: ", error_text(count)));
    }
    const PCRE2_SIZE* offsets = pcre2_get_ovector_pointer(data.get());
    const Span match{offsets[0], offsets[1]};
    if (match.begin < at || match.end < match.begin) {
      break;  // a look-behind with \K could point backwards
    }
    found.push_back(match);
    at = match.end > match.begin ? match.end : match.end + code_point_at(text, match.end).length;
  }
  return found;
}

}  // namespace refrag
