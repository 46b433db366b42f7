#include "text/chunker.h"

#include <algorithm>
#include <iterator>
#include <optional>
#include <utility>

#include "base/message.h"
#include "refrag/error.h"
#include "text/sentences.h"

namespace refrag {
namespace {

// Text of one token is rarely longer than this. Slices of a passage's budget times these bytes bound what is tokenized
// to find a passage's end, so that cutting stays linear whatever the text.
constexpr std::size_t kUsualTokenBytes = 16;
constexpr std::size_t kLongestTokenBytes = 128;

bool begins_character(std::string_view text, std::size_t at) {
  return at >= text.size() || (static_cast<unsigned char>(text[at]) & 0xC0) != 0x80;
}

std::size_t character_at_or_before(std::string_view text, std::size_t at) {
  while (at > 0 && !begins_character(text, at)) {
    --at;
  }
  return at;
}

std::size_t character_at_or_after(std::string_view text, std::size_t at) {
  while (!begins_character(text, at)) {
    ++at;
  }
  return at;
}

ByteRange byte_range(std::size_t begin, std::size_t end) {
  return {static_cast<std::uint32_t>(begin), static_cast<std::uint32_t>(end)};
}

void check(const PassageOptions& options) {
  const auto refuse = [](const char* name, std::size_t found, const std::string& expected) {
    throw Error(ErrorCode::kInvalidArgument, message(name, " is ", found, "; expected ", expected), name);
  };
  if (options.chunk_size == 0) {
    refuse("chunk_size", 0, "1 or more");
  }
  if (options.passage_tokens == 0) {
    refuse("passage_tokens", 0, "1 or more");
  }
  if (options.overlap_tokens > options.passage_tokens / 2) {  // more would repeat the text many times over
    refuse("overlap_tokens", options.overlap_tokens,
           message("0 to ", options.passage_tokens / 2, ", half of passage_tokens"));
  }
}

/// The least that is kept together: a sentence, a heading, or a part of a sentence that is longer than a passage.
struct Unit {
  std::size_t begin = 0;
  std::size_t end = 0;
  std::size_t tokens = 0;      // of its text alone; at most the budget
  std::size_t gap_tokens = 0;  // estimate for the white space before it
  Border before = Border::kSentence;
  bool is_heading = false;
  bool is_whole = true;  // not part of a longer sentence
};

/// Sentences with their tokens counted; those over the budget are cut.
class UnitMaker {
 public:
  UnitMaker(std::string_view text, const Tokenizer& tokenizer, std::size_t budget)
      : text_(text), tokenizer_(tokenizer), budget_(budget) {}

  std::vector<Unit> make() {
    for (const Sentence& sentence : find_sentences(text_)) {
      const std::size_t size = sentence.end - sentence.begin;
      const std::size_t tokens = size <= slice_bytes() ? count(sentence.begin, sentence.end) : budget_ + 1;
      if (tokens <= budget_) {
        add(sentence, sentence.begin, sentence.end, tokens);
      } else {
        add_parts(sentence);
      }
    }
    return std::move(units_);
  }

 private:
  struct Part {
    std::size_t end = 0;
    std::size_t tokens = 0;
  };

  std::size_t slice_bytes() const { return budget_ * kUsualTokenBytes; }

  std::size_t count(std::size_t begin, std::size_t end) const {
    return tokenizer_.encode_with_ranges(text_.substr(begin, end - begin)).ids.size();
  }

  std::size_t count_gap(std::size_t begin, std::size_t end) const {
    if (end - begin <= 1) {
      return 0;  // a single space or line break: mostly part of a token beside it
    }
    return end - begin <= slice_bytes() ? count(begin, end) : budget_;
  }

  void add(const Sentence& sentence, std::size_t begin, std::size_t end, std::size_t tokens) {
    const bool is_first_part = begin == sentence.begin;
    const std::size_t previous_end = units_.empty() ? begin : units_.back().end;
    units_.push_back({.begin = begin,
                      .end = end,
                      .tokens = tokens,
                      .gap_tokens = count_gap(previous_end, begin),
                      .before = is_first_part ? sentence.before : Border::kSentence,
                      .is_heading = sentence.is_heading,
                      .is_whole = is_first_part && end == sentence.end});
  }

  void add_parts(const Sentence& sentence) {
    for (std::size_t begin = sentence.begin; begin < sentence.end;) {
      const Part part = first_part(begin, sentence.end);
      add(sentence, begin, part.end, part.tokens);
      begin = skip_space(text_, part.end, sentence.end);
    }
  }

  /// As much of [begin, end) as fits the budget, up to a line's or a word's end where there is one, else to a token's.
  Part first_part(std::size_t begin, std::size_t end) const {
    std::size_t stop = end;
    if (end - begin > slice_bytes()) {
      stop = before_word(begin, character_at_or_before(text_, begin + slice_bytes()));
    }
    const std::size_t one_character = character_at_or_after(text_, begin + 1);
    for (int attempt = 0;; ++attempt) {
      stop = std::max(stop, one_character);
      const Encoding encoding = tokenizer_.encode_with_ranges(text_.substr(begin, stop - begin));
      if (encoding.ids.size() <= budget_) {
        return {stop, encoding.ids.size()};
      }
      if (stop == one_character) {
        throw Error(ErrorCode::kInvalidArgument,
                    message("passage_tokens is ", budget_, "; the character at byte ", begin, " alone has ",
                            encoding.ids.size(), " tokens"),
                    "passage_tokens");
      }
      // A prefix may be tokenized into more than its share; then halving ends the search soon.
      constexpr int kExactAttempts = 4;
      const std::size_t fitting = begin + encoding.ranges[budget_].begin;
      const std::size_t halved = begin + (stop - begin) / 2;
      const std::size_t next = attempt < kExactAttempts ? std::min(fitting, stop - 1) : halved;
      stop = before_word(begin, character_at_or_before(text_, next));
    }
  }

  /// The end of the last line in the second half of [begin, end), else of the last word, else `end`.
  std::size_t before_word(std::size_t begin, std::size_t end) const {
    const std::string_view text = text_.substr(begin, end - begin + 1);  // a word may end right at `end`
    const std::size_t line_end = text.rfind('\n');
    const std::size_t word_end = text.find_last_of(" \t\n");
    if (line_end != std::string_view::npos && line_end >= text.size() / 2) {
      return drop_space(text_, begin, begin + line_end);
    }
    return word_end == std::string_view::npos ? end : drop_space(text_, begin, begin + word_end);
  }

  std::string_view text_;
  const Tokenizer& tokenizer_;
  std::size_t budget_;
  std::vector<Unit> units_;
};

/// Fills passages with units, each up to the budget and to the best border near it.
class PassageFiller {
 public:
  PassageFiller(std::string_view text, const Tokenizer& tokenizer, const PassageOptions& options)
      : text_(text),
        tokenizer_(tokenizer),
        options_(options),
        units_(UnitMaker(text, tokenizer, options.passage_tokens).make()) {}

  std::vector<Passage> fill() {
    std::size_t first = 0;
    for (std::size_t next = 0; next < units_.size();) {  // units before `next` are in a passage
      Cut cut = cut_after(first, next);
      if (!cut.encoding.ids.empty()) {
        passages_.push_back(passage_of(cut));
      }
      first = first_of_overlap(cut.first, cut.last);
      next = cut.last;
    }
    return std::move(passages_);
  }

  /// Chunks of text that was tokenized alone, with ranges in whole characters of the document.
  static Passage make_passage(std::string_view text, ByteRange bytes, const Encoding& encoding,
                              std::size_t chunk_size) {
    Passage passage{bytes, cut_into_chunks(encoding, chunk_size)};
    for (Chunk& chunk : passage.chunks) {
      const std::size_t begin = character_at_or_after(text, bytes.begin + chunk.bytes.begin);
      chunk.bytes.begin = static_cast<std::uint32_t>(std::min<std::size_t>(begin, bytes.end));
    }
    // Bytes that no token stands for belong to the chunk before them, those at the start to the first.
    passage.chunks.front().bytes.begin = bytes.begin;
    for (std::size_t i = 0; i < passage.chunks.size(); ++i) {
      passage.chunks[i].bytes.end = i + 1 < passage.chunks.size() ? passage.chunks[i + 1].bytes.begin : bytes.end;
    }
    return passage;
  }

 private:
  /// Units [first, last) as one text, tokenized.
  struct Cut {
    std::size_t first = 0;
    std::size_t last = 0;
    ByteRange bytes;
    Encoding encoding;
  };

  Passage passage_of(const Cut& cut) const { return make_passage(text_, cut.bytes, cut.encoding, options_.chunk_size); }

  Cut tokenize(std::size_t first, std::size_t last, bool with_line_end) const {
    const std::size_t begin = units_[first].begin;
    std::size_t end = units_[last - 1].end;
    if (with_line_end && text_.substr(end, 1) == "\n") {
      ++end;  // a passage ends with its line, as a document does
    }
    return {first, last, byte_range(begin, end), tokenizer_.encode_with_ranges(text_.substr(begin, end - begin))};
  }

  /// A passage that begins with unit `first` (repeated where before `next`) and brings at least unit `next`.
  Cut cut_after(std::size_t first, std::size_t next) const {
    std::size_t last = best_end(first, next);
    while (true) {
      Cut cut = tokenize(first, last, true);
      const std::size_t tokens = cut.encoding.ids.size();
      if (tokens <= options_.passage_tokens) {
        return cut;
      }
      // Joined, the units have more tokens than apart: give back as many units as are too many, the new ones first.
      std::size_t excess = tokens - options_.passage_tokens;
      if (last == next + 1 && first == next) {
        return tokenize(first, last, false);  // exactly the text that was counted when the unit was made
      }
      while (last > next + 1 && excess > 0) {
        --last;
        excess -= std::min(excess, std::max<std::size_t>(units_[last].tokens, 1));
      }
      last = without_trailing_headings(last, next);
      while (first < next && excess > 0) {
        excess -= std::min(excess, std::max<std::size_t>(units_[first].tokens, 1));
        ++first;
      }
    }
  }

  /// One past the last unit of the passage [first, ...).
  std::size_t best_end(std::size_t first, std::size_t next) const {
    std::size_t tokens = units_[first].tokens;
    std::size_t last = first + 1;
    while (last < units_.size() && tokens + cost(last) <= options_.passage_tokens) {
      tokens += cost(last++);
    }
    if (last >= units_.size()) {
      return units_.size();
    }
    last = std::max(last, next + 1);
    std::size_t paragraph_end = 0;
    for (std::size_t end = last; end > next && tokens >= options_.passage_tokens / 2; --end) {
      if (units_[end].before == Border::kHeading) {
        return end;
      }
      if (units_[end].before == Border::kParagraph && paragraph_end == 0 && !units_[end - 1].is_heading) {
        paragraph_end = end;
      }
      tokens -= std::min(tokens, cost(end - 1));
    }
    return paragraph_end > 0 ? paragraph_end : without_trailing_headings(last, next);
  }

  /// A heading belongs to what follows it.
  std::size_t without_trailing_headings(std::size_t last, std::size_t next) const {
    std::size_t end = last;
    while (end > next && units_[end - 1].is_heading) {
      --end;
    }
    return end > next ? end : last;
  }

  /// The first of the whole sentences at the end of [first, last) that the next passage repeats.
  std::size_t first_of_overlap(std::size_t first, std::size_t last) const {
    if (last == units_.size()) {
      return last;
    }
    const std::size_t room = options_.passage_tokens - std::min(options_.passage_tokens, cost(last));
    const std::size_t limit = std::min(options_.overlap_tokens, room);
    std::size_t tokens = 0;
    std::size_t begin = last;
    while (begin > first + 1 && units_[begin - 1].is_whole && tokens + cost(begin - 1) <= limit) {
      tokens += cost(--begin);
    }
    return begin;
  }

  std::size_t cost(std::size_t unit) const { return units_[unit].gap_tokens + units_[unit].tokens; }

  std::string_view text_;
  const Tokenizer& tokenizer_;
  PassageOptions options_;
  std::vector<Unit> units_;
  std::vector<Passage> passages_;
};

/// The whole text as one passage, where it fits.
std::optional<Passage> whole_text(std::string_view text, const Tokenizer& tokenizer, const PassageOptions& options) {
  if (text.size() / kLongestTokenBytes > options.passage_tokens) {
    return std::nullopt;  // too long to be worth the attempt
  }
  const Encoding encoding = tokenizer.encode_with_ranges(text);
  if (encoding.ids.empty() || encoding.ids.size() > options.passage_tokens) {
    return std::nullopt;
  }
  return PassageFiller::make_passage(text, byte_range(0, text.size()), encoding, options.chunk_size);
}

}  // namespace

std::vector<Passage> cut_into_passages(std::string_view text, const Tokenizer& decoder_tokenizer,
                                       const PassageOptions& options) {
  check(options);
  if (text.size() > kMaxDocumentBytes) {
    throw Error(ErrorCode::kInvalidArgument,
                message("the text has ", text.size(), " bytes; expected at most ", kMaxDocumentBytes), "text");
  }
  if (skip_space(text, 0, text.size()) == text.size()) {
    return {};
  }
  if (std::optional<Passage> whole = whole_text(text, decoder_tokenizer, options)) {
    return {*std::move(whole)};
  }
  return PassageFiller(text, decoder_tokenizer, options).fill();
}

std::vector<Chunk> cut_into_chunks(const Encoding& encoding, std::size_t chunk_size) {
  if (chunk_size == 0) {
    throw Error(ErrorCode::kInvalidArgument, "chunk_size is 0; expected 1 or more", "chunk_size");
  }
  std::vector<Chunk> chunks;
  for (std::size_t begin = 0; begin < encoding.ids.size(); begin += chunk_size) {
    const std::size_t end = std::min(begin + chunk_size, encoding.ids.size());
    Chunk& chunk = chunks.emplace_back();
    chunk.ids.assign(encoding.ids.begin() + static_cast<std::ptrdiff_t>(begin),
                     encoding.ids.begin() + static_cast<std::ptrdiff_t>(end));
    if (!encoding.ranges.empty()) {
      chunk.bytes = {encoding.ranges[begin].begin, encoding.ranges[end - 1].end};
    }
  }
  return chunks;
}

}  // namespace refrag
