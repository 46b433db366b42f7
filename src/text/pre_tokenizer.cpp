#include "text/pre_tokenizer.h"

#include <algorithm>
#include <string>
#include <utility>

#include "text/byte_alphabet.h"
#include "text/json_parts.h"
#include "text/unicode.h"

namespace refrag {
namespace {

// GPT-2's words (the constant pattern of `tokenizers`' ByteLevel).
constexpr const char* kByteLevelPattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

// `\w+|[^\w\s]+` as Rust's regex reads it (ByteLevel's and a file's patterns are Oniguruma's).
constexpr const char* kWhitespacePattern =
    R"([\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]+|[^\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}\s]+)";

/// What happens to a delimiter, as `tokenizers` names it.
enum class Behavior { kRemoved, kIsolated, kMergedWithPrevious, kMergedWithNext, kContiguous };

/// A stretch of a word that is a delimiter or lies between delimiters. Parts cover the word.
struct Part {
  Span span;
  bool is_delimiter = false;
};

Behavior read_behavior(JsonReader& json, Behavior fallback) {
  return static_cast<Behavior>(
      json.one_of("behavior", {"Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"},
                  static_cast<std::size_t>(fallback)));
}

std::vector<Part> parts_by(const Regex& pattern, std::string_view word) {
  std::vector<Part> parts;
  std::size_t done = 0;
  for (const Span& match : pattern.find_all(word)) {
    if (match.begin > done) {
      parts.push_back({{done, match.begin}, false});
    }
    parts.push_back({match, true});
    done = match.end;
  }
  if (done < word.size()) {
    parts.push_back({{done, word.size()}, false});
  }
  return parts;
}

/// Every code point that `is_delimiter` is a part of its own.
template <typename Predicate>
std::vector<Part> parts_by_code_point(const Predicate& is_delimiter, std::string_view word) {
  std::vector<Part> parts;
  std::size_t done = 0;
  for (std::size_t at = 0; at < word.size();) {
    const CodePoint c = code_point_at(word, at);
    if (is_delimiter(c.value)) {
      if (at > done) {
        parts.push_back({{done, at}, false});
      }
      done = at + c.length;
      parts.push_back({{at, done}, true});
    }
    at += c.length;
  }
  if (done < word.size()) {
    parts.push_back({{done, word.size()}, false});
  }
  return parts;
}

std::vector<Span> merge_contiguous(const std::vector<Part>& parts) {
  std::vector<Span> spans;
  bool previous = false;
  for (const Part& part : parts) {
    if (!spans.empty() && part.is_delimiter == previous) {
      spans.back().end = part.span.end;
    } else {
      spans.push_back(part.span);
    }
    previous = part.is_delimiter;
  }
  return spans;
}

std::vector<Span> merge_with_previous(const std::vector<Part>& parts) {
  std::vector<Span> spans;
  bool previous = false;
  for (const Part& part : parts) {
    if (!spans.empty() && part.is_delimiter && !previous) {
      spans.back().end = part.span.end;
    } else {
      spans.push_back(part.span);
    }
    previous = part.is_delimiter;
  }
  return spans;
}

std::vector<Span> merge_with_next(const std::vector<Part>& parts) {
  std::vector<Span> spans;
  bool next = false;
  for (auto part = parts.rbegin(); part != parts.rend(); ++part) {
    if (!spans.empty() && part->is_delimiter && !next) {
      spans.back().begin = part->span.begin;
    } else {
      spans.push_back(part->span);
    }
    next = part->is_delimiter;
  }
  std::reverse(spans.begin(), spans.end());
  return spans;
}

std::vector<Span> arrange(const std::vector<Part>& parts, Behavior behavior) {
  switch (behavior) {
    case Behavior::kMergedWithPrevious:
      return merge_with_previous(parts);
    case Behavior::kMergedWithNext:
      return merge_with_next(parts);
    case Behavior::kContiguous:
      return merge_contiguous(parts);
    case Behavior::kRemoved:
    case Behavior::kIsolated:
      break;
  }
  std::vector<Span> spans;
  for (const Part& part : parts) {
    if (behavior == Behavior::kIsolated || !part.is_delimiter) {
      spans.push_back(part.span);
    }
  }
  return spans;
}

/// Cuts every word again by `find`, a function from a word to its parts.
template <typename Find>
void split_words(Words& words, Behavior behavior, const Find& find) {
  std::vector<Span> spans;
  for (const Span& word : words.spans) {
    const std::string_view text = std::string_view(words.text.text()).substr(word.begin, word.end - word.begin);
    for (const Span& span : arrange(find(text), behavior)) {
      if (span.end > span.begin) {
        spans.push_back({word.begin + span.begin, word.begin + span.end});
      }
    }
  }
  words.spans = std::move(spans);
}

/// Writes every word anew: `rewrite` puts the word with its span into the builder.
template <typename Rewrite>
void rewrite_words(Words& words, const Rewrite& rewrite) {
  AlignedTextBuilder out(words.text);
  std::vector<Span> spans;
  for (const Span& word : words.spans) {
    const std::size_t begin = out.size();
    rewrite(word, out);
    if (out.size() > begin) {
      spans.push_back({begin, out.size()});
    }
  }
  words.text = out.finish();
  words.spans = std::move(spans);
}

void prepend_space(Words& words) {
  rewrite_words(words, [&](const Span& word, AlignedTextBuilder& out) {
    if (words.text.text()[word.begin] != ' ') {
      out.put(" ", word.begin, word.begin);
    }
    out.keep(word.begin, word.end);
  });
}

void spell_bytes(Words& words) {
  rewrite_words(words, [&](const Span& word, AlignedTextBuilder& out) {
    for (std::size_t at = word.begin; at < word.end; ++at) {
      out.put(spell_byte(static_cast<std::uint8_t>(words.text.text()[at])), at, at + 1);
    }
  });
}

struct Metaspace {
  enum class Prepend { kFirst, kNever, kAlways };
  std::string replacement;
  Prepend prepend = Prepend::kAlways;

  void rewrite(Words& words) const {
    const std::string& text = words.text.text();
    // Text that is not cut yet begins where it began, even if the normalizer dropped its first characters.
    const bool is_whole = words.spans == std::vector<Span>{{0, text.size()}};
    rewrite_words(words, [&](const Span& word, AlignedTextBuilder& out) {
      const bool has_prefix =
          text[word.begin] == ' ' || std::string_view(text).substr(word.begin).starts_with(replacement);
      const bool is_first = (is_whole ? words.text.first() : words.text.origin(word.begin, word.end).begin) == 0;
      if (!has_prefix && (prepend == Prepend::kAlways || (prepend == Prepend::kFirst && is_first))) {
        out.put(replacement, word.begin, word.begin);
      }
      for (std::size_t at = word.begin; at < word.end; ++at) {
        if (text[at] == ' ') {
          out.put(replacement, at, at + 1);
        } else {
          out.keep(at, at + 1);
        }
      }
    });
  }
};

}  // namespace

PreTokenizer::PreTokenizer(JsonReader json) { add(std::move(json)); }

Words PreTokenizer::operator()(AlignedText text) const {
  const std::size_t size = text.text().size();
  Words words{std::move(text), {}};
  if (size > 0) {
    words.spans.push_back({0, size});
  }
  for (const Step& step : steps_) {
    step(words);
  }
  return words;
}

void PreTokenizer::add(JsonReader json) {
  const std::string type = json.text("type");
  const auto split_at = [&](bool (*is_delimiter)(char32_t), Behavior behavior) {
    steps_.emplace_back([is_delimiter, behavior](Words& words) {
      split_words(words, behavior, [&](std::string_view word) { return parts_by_code_point(is_delimiter, word); });
    });
  };
  if (type == "Sequence") {
    for (JsonReader& step : json.objects("pretokenizers")) {
      add(std::move(step));
    }
  } else if (type == "ByteLevel") {
    add_byte_level(json);
  } else if (type == "Metaspace") {
    add_metaspace(json);
  } else if (type == "Split") {
    add_split(json);
  } else if (type == "BertPreTokenizer") {
    split_at(is_white_space, Behavior::kRemoved);
    split_at(is_punctuation, Behavior::kIsolated);
  } else if (type == "WhitespaceSplit") {
    split_at(is_white_space, Behavior::kRemoved);
  } else if (type == "Whitespace") {
    steps_.emplace_back([pattern = Regex(kWhitespacePattern)](Words& words) {
      split_words(words, Behavior::kRemoved, [&](std::string_view word) {
        std::vector<Part> parts = parts_by(pattern, word);
        for (Part& part : parts) {
          part.is_delimiter = !part.is_delimiter;
        }
        return parts;
      });
    });
  } else if (type == "Punctuation") {
    split_at(is_punctuation, read_behavior(json, Behavior::kIsolated));
  } else if (type == "Digits") {
    split_at(is_numeric, json.boolean("individual_digits", false) ? Behavior::kIsolated : Behavior::kContiguous);
  } else {
    refuse_type(json, "pre-tokenizer", type);
  }
}

void PreTokenizer::add_byte_level(JsonReader& json) {
  if (json.boolean("add_prefix_space", true)) {
    steps_.emplace_back(prepend_space);
  }
  if (json.boolean("use_regex", true)) {
    steps_.emplace_back([pattern = Regex(kByteLevelPattern)](Words& words) {
      split_words(words, Behavior::kIsolated, [&](std::string_view word) { return parts_by(pattern, word); });
    });
  }
  steps_.emplace_back(spell_bytes);
}

void PreTokenizer::add_metaspace(JsonReader& json) {
  Metaspace metaspace;
  metaspace.replacement = json.text("replacement");
  if (metaspace.replacement.empty() || code_point_at(metaspace.replacement, 0).length != metaspace.replacement.size()) {
    json.fail("replacement", "one character");
  }
  metaspace.prepend = static_cast<Metaspace::Prepend>(json.one_of("prepend_scheme", {"first", "never", "always"}, 2));
  if (!json.boolean("add_prefix_space", true)) {
    metaspace.prepend = Metaspace::Prepend::kNever;
  }
  steps_.emplace_back([metaspace](Words& words) { metaspace.rewrite(words); });
  if (json.boolean("split", true)) {
    const char32_t replacement = code_point_at(metaspace.replacement, 0).value;
    steps_.emplace_back([replacement](Words& words) {
      split_words(words, Behavior::kMergedWithNext, [&](std::string_view word) {
        return parts_by_code_point([&](char32_t c) { return c == replacement; }, word);
      });
    });
  }
}

void PreTokenizer::add_split(JsonReader& json) {
  const Regex pattern = read_pattern(json);
  const Behavior behavior = read_behavior(json, Behavior::kIsolated);
  const bool invert = json.boolean("invert", false);
  steps_.emplace_back([pattern, behavior, invert](Words& words) {
    split_words(words, behavior, [&](std::string_view word) {
      std::vector<Part> parts = parts_by(pattern, word);
      for (Part& part : parts) {
        part.is_delimiter = part.is_delimiter != invert;
      }
      return parts;
    });
  });
}

}  // namespace refrag
