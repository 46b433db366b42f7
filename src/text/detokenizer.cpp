#include "text/detokenizer.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/message.h"
#include "base/utf8.h"
#include "text/byte_alphabet.h"
#include "text/json_parts.h"
#include "text/unicode.h"

namespace refrag {
namespace {

constexpr std::string_view kReplacementCharacter = "\uFFFD";
constexpr std::string_view kSpaceSymbol = "\u2581";

void replace_all(std::string& text, std::string_view from, std::string_view to) {
  for (std::size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
  }
}

/// The artefacts that BERT's decoder takes out of each token, in this order.
void clean_up(std::string& token) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 11> kRules = {{{" .", "."},
                                                                                     {" ?", "?"},
                                                                                     {" !", "!"},
                                                                                     {" ,", ","},
                                                                                     {" ' ", "'"},
                                                                                     {" n't", "n't"},
                                                                                     {" 'm", "'m"},
                                                                                     {" do not", " don't"},
                                                                                     {" 's", "'s"},
                                                                                     {" 've", "'ve"},
                                                                                     {" 're", "'re"}}};
  for (const auto& [from, to] : kRules) {
    replace_all(token, from, to);
  }
}

/// Without at most `most` times `what` at its start.
void strip_front(std::string& text, std::string_view what, std::size_t most) {
  std::size_t at = 0;
  for (; most > 0 && std::string_view(text).substr(at).starts_with(what); --most) {
    at += what.size();
  }
  text.erase(0, at);
}

/// The bytes that at most `most` times `what` take at its end.
std::size_t trailing(std::string_view text, std::string_view what, std::size_t most) {
  std::size_t size = text.size();
  for (; most > 0 && text.substr(0, size).ends_with(what); --most) {
    size -= what.size();
  }
  return text.size() - size;
}

std::optional<int> hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return std::nullopt;
}

/// "<0x0A>"
std::optional<char> parse_byte_token(std::string_view token) {
  if (token.size() != 6 || !token.starts_with("<0x") || !token.ends_with('>')) {
    return std::nullopt;
  }
  const std::optional<int> high = hex_digit(token[3]);
  const std::optional<int> low = hex_digit(token[4]);
  return high && low ? std::optional(static_cast<char>(*high * 16 + *low)) : std::nullopt;
}

std::string read_character(JsonReader& json, const std::string& name) {
  std::string character = json.text(name);
  if (character.empty() || code_point_at(character, 0).length != character.size()) {
    json.fail(name, "one character");
  }
  return character;
}

/// The first character of `bytes`, or what stands there instead of one.
std::size_t valid_character(std::string_view bytes) {
  for (std::size_t length = 1; length <= std::min<std::size_t>(4, bytes.size()); ++length) {
    if (is_valid_utf8(bytes.substr(0, length))) {
      return length;
    }
  }
  return 0;
}

}  // namespace

Detokenizer::Detokenizer(JsonReader json) { add(std::move(json)); }

Detokenizer Detokenizer::joining_with_spaces() {
  Detokenizer made;
  made.before_bytes_.emplace_back();
  made.before_bytes_.back().kind = Step::Kind::kJoinWithSpace;
  return made;
}

Detokenizer Detokenizer::of_sentencepiece(LeadingSpace leading_space) {
  Detokenizer made;
  made.byte_runs_ = ByteRuns::kByCharacter;
  made.leading_space_ = leading_space;
  made.before_bytes_.emplace_back();
  made.before_bytes_.back().pattern = Regex::of_text(kSpaceSymbol);
  made.before_bytes_.back().content = " ";
  return made;
}

void Detokenizer::add(JsonReader json) {
  const std::string type = json.text("type");
  const auto refuse_here = [&] { refuse_type(json, "decoder at this place", type); };
  Step step;
  if (type == "Sequence") {
    for (JsonReader& part : json.objects("decoders")) {
      add(std::move(part));
    }
    return;
  }
  if (type == "Fuse") {
    is_fused_ = true;
    return;
  }
  if (type == "ByteFallback") {
    if (is_fused_ || byte_runs_ != ByteRuns::kNone) {
      refuse_here();
    }
    byte_runs_ = ByteRuns::kAllOrNothing;
    return;
  }
  if (type == "Strip") {
    step.kind = Step::Kind::kStrip;
    step.content = read_character(json, "content");
    step.start = static_cast<std::size_t>(json.integer("start", 0, 0, 1000));
    step.stop = static_cast<std::size_t>(json.integer("stop", 0, 0, 1000));
    if (is_fused_) {
      if (!strip_.empty()) {
        refuse_here();
      }
      strip_ = step.content;
      strip_start_ = step.start;
      strip_stop_ = step.stop;
      return;
    }
  } else if (type == "Replace") {
    step.kind = Step::Kind::kReplace;
    step.pattern = read_pattern(json);
    step.content = json.text("content");
  } else if (type == "ByteLevel") {
    step.kind = Step::Kind::kByteLevel;
  } else if (type == "Metaspace") {
    step.kind = Step::Kind::kMetaspace;
    step.content = read_character(json, "replacement");
    const bool never = json.one_of("prepend_scheme", {"first", "never", "always"}, 2) == 1;
    step.is_on = !never && json.boolean("add_prefix_space", true);
  } else if (type == "WordPiece") {
    step.kind = Step::Kind::kWordPiece;
    step.content = json.text("prefix", "##");
    step.is_on = json.boolean("cleanup", true);
  } else {
    refuse_type(json, "decoder", type);
  }
  const bool reads_bytes = step.kind != Step::Kind::kStrip && step.kind != Step::Kind::kReplace;
  if (is_fused_ || (reads_bytes && byte_runs_ != ByteRuns::kNone)) {
    refuse_here();
  }
  is_fused_ = step.kind == Step::Kind::kByteLevel;
  (byte_runs_ == ByteRuns::kNone ? before_bytes_ : after_bytes_).push_back(std::move(step));
}

std::string Detokenizer::Step::apply(const std::string& token, bool is_first) const {
  std::string text;
  switch (kind) {
    case Kind::kReplace: {
      std::size_t done = 0;
      for (const Span& match : pattern->find_all(token)) {
        text.append(token, done, match.begin - done).append(content);
        done = match.end;
      }
      return text.append(token, done);
    }
    case Kind::kStrip:
      text = token;
      strip_front(text, content, start);
      text.resize(text.size() - trailing(text, content, stop));
      return text;
    case Kind::kMetaspace:
      text = token;
      replace_all(text, content, is_first && is_on ? "" : " ");
      return text;
    case Kind::kWordPiece:
      text = is_first ? token : token.starts_with(content) ? token.substr(content.size()) : " " + token;
      if (is_on) {
        clean_up(text);
      }
      return text;
    case Kind::kByteLevel:
      return bytes_spelt_by(token).value_or(token);
    case Kind::kJoinWithSpace:
      break;
  }
  return is_first ? token : " " + token;
}

std::string Detokenizer::apply(const std::vector<Step>& steps, std::string token, bool is_first) {
  for (const Step& step : steps) {
    token = step.apply(token, is_first);
  }
  return token;
}

std::optional<char> Detokenizer::byte_of(const TokenText& token, const std::string& text) const {
  if (token.kind == TokenText::Kind::kByte) {
    return token.text.front();
  }
  return token.kind == TokenText::Kind::kText && byte_runs_ == ByteRuns::kAllOrNothing ? parse_byte_token(text)
                                                                                       : std::nullopt;
}

std::string Detokenizer::text_after_others(const TokenText& token) const {
  if (token.kind != TokenText::Kind::kText) {
    return token.text;
  }
  const std::string text = apply(before_bytes_, token.text, false);
  const std::optional<char> byte = byte_of(token, text);
  return byte ? std::string(1, *byte) : apply(after_bytes_, text, false);
}

bool Detokenizer::strips_leading_space() const {
  const auto drops_first = [](const Step& step) {
    return step.kind == Step::Kind::kWordPiece || step.kind == Step::Kind::kJoinWithSpace ||
           (step.kind == Step::Kind::kMetaspace && step.is_on);
  };
  return leading_space_ != LeadingSpace::kKeep || (strip_ == " " && strip_start_ > 0) ||
         std::any_of(before_bytes_.begin(), before_bytes_.end(), drops_first);
}

Detokenizer::Stream::Stream(const Detokenizer& detokenizer, bool at_start)
    : is_first_(at_start),
      leading_space_(at_start ? detokenizer.leading_space_ : LeadingSpace::kKeep),
      strip_start_(at_start ? detokenizer.strip_start_ : 0) {}

std::string Detokenizer::Stream::add(const Detokenizer& detokenizer, const TokenText& token) {
  if (token.kind == TokenText::Kind::kNothing) {
    return {};
  }
  std::string text = token.text;
  if (token.kind == TokenText::Kind::kText) {
    if (leading_space_ != LeadingSpace::kKeep && text.starts_with(kSpaceSymbol)) {
      text.erase(0, kSpaceSymbol.size());
      leading_space_ = leading_space_ == LeadingSpace::kDropOne ? LeadingSpace::kKeep : leading_space_;
    }
    text = apply(detokenizer.before_bytes_, std::move(text), is_first_);
  }
  is_first_ = false;
  const std::optional<char> byte = detokenizer.byte_of(token, text);
  if (byte || !text.empty()) {
    leading_space_ = LeadingSpace::kKeep;
  }
  if (byte) {
    run_ += *byte;
    return whole_characters(strip_ends(detokenizer, settle_run(detokenizer, false)));
  }
  std::string before = settle_run(detokenizer, true);
  if (token.kind == TokenText::Kind::kText) {
    text = apply(detokenizer.after_bytes_, std::move(text), false);
  }
  return whole_characters(strip_ends(detokenizer, before + text));
}

std::string Detokenizer::Stream::finish(const Detokenizer& detokenizer) {
  std::string text = strip_ends(detokenizer, settle_run(detokenizer, true));
  text += std::exchange(held_back_, {});
  text.resize(text.size() -
              trailing(text, detokenizer.strip_, detokenizer.strip_.empty() ? 0 : detokenizer.strip_stop_));
  return to_valid_utf8(std::exchange(half_, {}) + text);
}

std::string Detokenizer::Stream::settle_run(const Detokenizer& detokenizer, bool is_over) {
  std::string text;
  if (detokenizer.byte_runs_ == ByteRuns::kAllOrNothing) {
    if (is_over && !run_.empty()) {
      const std::string run = std::exchange(run_, {});
      if (is_valid_utf8(run)) {
        return apply(detokenizer.after_bytes_, run, false);
      }
      for (std::size_t i = 0; i < run.size(); ++i) {
        text += apply(detokenizer.after_bytes_, std::string(kReplacementCharacter), false);
      }
    }
    return text;
  }
  while (!run_.empty()) {
    const std::size_t length = valid_character(run_);
    if (length == 0 && !is_over && incomplete_tail(run_) == run_.size()) {
      break;  // more bytes may complete it
    }
    text += length > 0 ? std::string_view(run_).substr(0, length) : kReplacementCharacter;
    run_.erase(0, std::max<std::size_t>(length, 1));
  }
  return text;
}

std::string Detokenizer::Stream::strip_ends(const Detokenizer& detokenizer, std::string text) {
  if (detokenizer.strip_.empty()) {
    return text;
  }
  while (strip_start_ > 0 && !text.empty()) {
    if (!text.starts_with(detokenizer.strip_)) {
      strip_start_ = 0;
      break;
    }
    text.erase(0, detokenizer.strip_.size());
    --strip_start_;
  }
  text = std::exchange(held_back_, {}) + text;
  const std::size_t keep = trailing(text, detokenizer.strip_, detokenizer.strip_stop_);
  held_back_ = text.substr(text.size() - keep);
  text.resize(text.size() - keep);
  return text;
}

std::string Detokenizer::Stream::whole_characters(const std::string& text) {
  std::string all = std::exchange(half_, {}) + text;
  const std::size_t tail = incomplete_tail(all);
  half_ = all.substr(all.size() - tail);
  all.resize(all.size() - tail);
  return to_valid_utf8(all);
}

}  // namespace refrag
