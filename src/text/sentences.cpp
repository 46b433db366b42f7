#include "text/sentences.h"

#include <unicode/brkiter.h>
#include <unicode/uchar.h>
#include <unicode/utext.h>
#include <unicode/utf8.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>

#include "base/message.h"
#include "refrag/error.h"

namespace refrag {
namespace {

void expect_success(UErrorCode status) {
  if (U_FAILURE(status)) {
    throw Error(ErrorCode::kInternal, message("ICU cannot find sentences: ", u_errorName(status)));
  }
}

/// ICU's sentence rules over UTF-8; positions are bytes.
class SentenceBreaker {
 public:
  SentenceBreaker() {
    UErrorCode status = U_ZERO_ERROR;
    breaks_.reset(icu::BreakIterator::createSentenceInstance(icu::Locale::getRoot(), status));
    expect_success(status);
  }

  /// Calls take(begin, end) for each sentence of `paragraph`, trailing white space included.
  template <typename Take>
  void each_sentence(std::string_view paragraph, const Take& take) {
    // The rules end a sentence at every line break, but text is often wrapped at a width.
    flowing_ = paragraph;
    std::replace(flowing_.begin(), flowing_.end(), '\n', ' ');
    UErrorCode status = U_ZERO_ERROR;
    const std::unique_ptr<UText, decltype(&utext_close)> text(
        utext_openUTF8(nullptr, flowing_.data(), static_cast<std::int64_t>(flowing_.size()), &status), utext_close);
    expect_success(status);
    breaks_->setText(text.get(), status);
    expect_success(status);
    std::int32_t begin = breaks_->first();
    for (std::int32_t end = breaks_->next(); end != icu::BreakIterator::DONE; end = breaks_->next()) {
      take(static_cast<std::size_t>(begin), static_cast<std::size_t>(end));
      begin = end;
    }
  }

 private:
  std::unique_ptr<icu::BreakIterator> breaks_;
  std::string flowing_;
};

struct Line {
  std::size_t begin = 0;
  std::size_t end = 0;  // without its line break
};

Line line_at(std::string_view text, std::size_t begin) {
  return {begin, std::min(text.find('\n', begin), text.size())};
}

bool is_blank(std::string_view text, Line line) { return skip_space(text, line.begin, line.end) == line.end; }

/// "## Title", after at most three spaces.
bool is_marked_heading(std::string_view line) {
  const std::size_t first = line.find_first_not_of(' ');
  if (first == std::string_view::npos || first > 3 || line[first] != '#') {
    return false;
  }
  const std::size_t after = line.find_first_not_of('#', first);
  return after != std::string_view::npos && after - first <= 6 && line[after] == ' ';
}

/// "=====" or "-----".
bool is_underline(std::string_view line) {
  const std::size_t size = line.find_last_not_of(' ') + 1;  // npos + 1 is 0
  return size >= 3 && (line[0] == '=' || line[0] == '-') &&
         line.substr(0, size).find_first_not_of(line[0]) == std::string_view::npos;
}

/// Walks over lines; what it has found so far is the result.
class SentenceFinder {
 public:
  explicit SentenceFinder(std::string_view text) : text_(text) {}

  std::vector<Sentence> find() {
    for (std::size_t at = 0; at < text_.size();) {
      const Line line = line_at(text_, at);
      at = line.end + 1;
      if (is_blank(text_, line)) {
        end_paragraph(line.begin);
        before_ = Border::kParagraph;
      } else if (is_marked_heading(view(line))) {
        end_paragraph(line.begin);
        add_heading(line.begin, line.end);
      } else if (paragraph_ == kNone && at < text_.size() && is_underline(view(line_at(text_, at)))) {
        const Line underline = line_at(text_, at);
        add_heading(line.begin, underline.end);
        at = underline.end + 1;
      } else if (paragraph_ == kNone) {
        paragraph_ = line.begin;
      }
    }
    end_paragraph(text_.size());
    return std::move(found_);
  }

 private:
  static constexpr std::size_t kNone = std::string_view::npos;

  std::string_view view(Line line) const { return text_.substr(line.begin, line.end - line.begin); }

  void add(std::size_t begin, std::size_t end, bool is_heading) {
    begin = skip_space(text_, begin, end);
    end = drop_space(text_, begin, end);
    if (begin < end) {
      found_.push_back({begin, end, is_heading ? Border::kHeading : before_, is_heading});
      before_ = Border::kSentence;
    }
  }

  void add_heading(std::size_t begin, std::size_t end) { add(begin, end, true); }

  void end_paragraph(std::size_t end) {
    if (paragraph_ == kNone) {
      return;
    }
    const std::size_t begin = paragraph_;
    paragraph_ = kNone;
    breaker_.each_sentence(text_.substr(begin, end - begin),
                           [&](std::size_t from, std::size_t to) { add(begin + from, begin + to, false); });
  }

  std::string_view text_;
  SentenceBreaker breaker_;
  std::size_t paragraph_ = kNone;  // where the paragraph that is being read begins
  Border before_ = Border::kParagraph;
  std::vector<Sentence> found_;
};

}  // namespace

std::size_t skip_space(std::string_view text, std::size_t begin, std::size_t end) {
  while (begin < end) {
    std::size_t next = begin;
    UChar32 c = 0;
    U8_NEXT(reinterpret_cast<const std::uint8_t*>(text.data()), next, end, c);
    if (c < 0 || !u_isUWhiteSpace(c)) {
      break;
    }
    begin = next;
  }
  return begin;
}

std::size_t drop_space(std::string_view text, std::size_t begin, std::size_t end) {
  while (begin < end) {
    auto last = static_cast<std::int32_t>(end);  // ICU's macro wants this type; documents are far smaller
    UChar32 c = 0;
    U8_PREV(reinterpret_cast<const std::uint8_t*>(text.data()), static_cast<std::int32_t>(begin), last, c);
    if (c < 0 || !u_isUWhiteSpace(c)) {
      break;
    }
    end = static_cast<std::size_t>(last);
  }
  return end;
}

std::vector<Sentence> find_sentences(std::string_view text) { return SentenceFinder(text).find(); }

}  // namespace refrag
