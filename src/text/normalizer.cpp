#include "text/normalizer.h"

#include <openssl/evp.h>

#include <algorithm>
#include <memory>
#include <optional>

#include "base/message.h"
#include "text/charsmap.h"
#include "text/json_parts.h"
#include "text/regex.h"
#include "text/unicode.h"

namespace refrag {
namespace {

// ICU sorts combining marks by insertion: an endless run of them would take quadratic time.
constexpr int kMaxClusterCodePoints = 1024;

bool is_ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return (c & 0x80) == 0; });
}

/// Every code point becomes `map(code point)`, which may be empty.
template <typename Map>
AlignedText map_code_points(const AlignedText& from, const Map& map) {
  AlignedTextBuilder out(from);
  const std::string& text = from.text();
  for (std::size_t at = 0; at < text.size();) {
    const CodePoint c = code_point_at(text, at);
    const std::string mapped = map(c.value);
    if (mapped == std::string_view(text).substr(at, c.length)) {
      out.keep(at, at + c.length);
    } else {
      out.put(mapped, at, at + c.length);
    }
    at += c.length;
  }
  return out.finish();
}

template <typename Keep>
AlignedText keep_code_points(const AlignedText& from, const Keep& keep) {
  return map_code_points(from, [&](char32_t c) { return keep(c) ? to_utf8(c) : std::string(); });
}

AlignedText lower(const AlignedText& from) {
  return map_code_points(from, [](char32_t c) { return to_lower_case(c); });
}

/// Cluster by cluster, so that every result keeps the place it came from.
AlignedText to_normal_form(NormalForm form, AlignedText from) {
  const std::string& text = from.text();
  if (is_ascii(text) || is_normalized(form, text)) {
    return from;
  }
  AlignedTextBuilder out(from);
  for (std::size_t begin = 0; begin < text.size();) {
    std::size_t end = begin + code_point_at(text, begin).length;
    for (int length = 1; end < text.size() && length < kMaxClusterCodePoints; ++length) {
      const CodePoint c = code_point_at(text, end);
      if (is_boundary_before(form, c.value)) {
        break;
      }
      end += c.length;
    }
    const std::string_view cluster = std::string_view(text).substr(begin, end - begin);
    const std::string normal = normalize(form, cluster);
    if (normal == cluster) {
      out.keep(begin, end);
    } else {
      out.put(normal, begin, end);
    }
    begin = end;
  }
  return out.finish();
}

AlignedText replace(const Regex& pattern, const std::string& content, AlignedText from) {
  const std::vector<Span> matches = pattern.find_all(from.text());
  if (matches.empty()) {
    return from;
  }
  AlignedTextBuilder out(from);
  std::size_t done = 0;
  for (const Span& match : matches) {
    out.keep(done, match.begin);
    out.put(content, match.begin, match.end);
    done = match.end;
  }
  out.keep(done, from.text().size());
  return out.finish();
}

AlignedText prepend(const std::string& content, AlignedText from) {
  if (from.empty()) {
    return from;
  }
  AlignedTextBuilder out(from);
  out.put(content, 0, 0);
  out.keep(0, from.text().size());
  return out.finish();
}

AlignedText strip(bool left, bool right, AlignedText from) {
  const std::string& text = from.text();
  std::size_t begin = text.size();
  std::size_t end = 0;
  for (std::size_t at = 0; at < text.size();) {
    const CodePoint c = code_point_at(text, at);
    if (!is_white_space(c.value)) {
      begin = std::min(begin, at);
      end = at + c.length;
    }
    at += c.length;
  }
  const std::size_t from_byte = left ? begin : 0;
  const std::size_t to_byte = right ? std::max(end, from_byte) : text.size();
  return from.slice(from_byte, to_byte);
}

/// `tokenizers` asks for whole grapheme clusters first, short ones only, then for each code point.
AlignedText apply_charsmap(const CharsMap& rules, AlignedText from) {
  constexpr std::size_t kLongestCluster = 5;  // bytes
  const std::string& text = from.text();
  AlignedTextBuilder out(from);
  GraphemeCursor clusters(text);
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = clusters.next();
    const std::string_view cluster = std::string_view(text).substr(begin, end - begin);
    const auto whole = cluster.size() <= kLongestCluster ? rules.shortest_rule(cluster) : std::nullopt;
    if (whole) {
      out.put(*whole, begin, end);
    }
    for (std::size_t at = begin; !whole && at < end;) {
      const std::size_t next = at + code_point_at(text, at).length;
      const auto one = rules.shortest_rule(std::string_view(text).substr(at, next - at));
      if (one) {
        out.put(*one, at, next);
      } else {
        out.keep(at, next);
      }
      at = next;
    }
    begin = end;
  }
  return out.finish();
}

std::string decode_base64(const std::string& text, const std::string& field) {
  std::string bytes(text.size() / 4 * 3 + 3, '\0');
  const int length =
      EVP_DecodeBlock(reinterpret_cast<unsigned char*>(bytes.data()),
                      reinterpret_cast<const unsigned char*>(text.data()), static_cast<int>(text.size()));
  if (length < 0) {
    throw Error(ErrorCode::kCorrupt, message(field, " is not base64"), field);
  }
  const std::size_t padding = text.size() - std::min(text.size(), text.find_last_not_of('=') + 1);
  bytes.resize(static_cast<std::size_t>(length) - std::min<std::size_t>(padding, static_cast<std::size_t>(length)));
  return bytes;
}

// The tables of sentencepiece's "nmt" rules, as `tokenizers` has them.
bool is_dropped_by_nmt(char32_t c) {
  return (c >= 1 && c <= 8) || c == 0xB || (c >= 0xE && c <= 0x1F) || c == 0x7F || c == 0x8F || c == 0x9F;
}

bool is_space_to_nmt(char32_t c) {
  return c == 9 || c == 0xA || c == 0xC || c == 0xD || c == 0x1680 || (c >= 0x200B && c <= 0x200F) || c == 0x2028 ||
         c == 0x2029 || c == 0x2581 || c == 0xFEFF || c == 0xFFFD;
}

std::string apply_nmt(char32_t c) {
  return is_dropped_by_nmt(c) ? std::string() : is_space_to_nmt(c) ? " " : to_utf8(c);
}

std::string clean_for_bert(char32_t c) {
  if (c == '\t' || c == '\n' || c == '\r') {
    return " ";
  }
  if (c == 0 || c == 0xFFFD || is_other(c)) {
    return {};
  }
  return is_white_space(c) ? " " : to_utf8(c);
}

std::string space_ideographs(char32_t c) { return is_cjk_ideograph(c) ? message(" ", to_utf8(c), " ") : to_utf8(c); }

}  // namespace

Normalizer::Normalizer(JsonReader json) { add(std::move(json)); }

AlignedText Normalizer::operator()(AlignedText text) const {
  for (const Step& step : steps_) {
    text = step(std::move(text));
  }
  return text;
}

void Normalizer::add(JsonReader json) {
  const std::string type = json.text("type");
  const auto form = [&](NormalForm wanted) {
    steps_.push_back([wanted](AlignedText text) { return to_normal_form(wanted, std::move(text)); });
  };
  if (type == "Sequence") {
    for (JsonReader& step : json.objects("normalizers")) {
      add(std::move(step));
    }
  } else if (type == "BertNormalizer") {
    add_bert(json);
  } else if (type == "NFC") {
    form(NormalForm::kNfc);
  } else if (type == "NFD") {
    form(NormalForm::kNfd);
  } else if (type == "NFKC") {
    form(NormalForm::kNfkc);
  } else if (type == "NFKD") {
    form(NormalForm::kNfkd);
  } else if (type == "Lowercase") {
    steps_.emplace_back([](AlignedText text) { return lower(text); });
  } else if (type == "StripAccents") {
    steps_.emplace_back(
        [](AlignedText text) { return keep_code_points(text, [](char32_t c) { return !is_mark(c); }); });
  } else if (type == "Strip") {
    const bool left = json.boolean("strip_left", true);
    const bool right = json.boolean("strip_right", true);
    steps_.emplace_back([left, right](AlignedText text) { return strip(left, right, std::move(text)); });
  } else if (type == "Prepend") {
    const std::string content = json.text("prepend");
    steps_.emplace_back([content](AlignedText text) { return prepend(content, std::move(text)); });
  } else if (type == "Replace") {
    const Regex pattern = read_pattern(json);
    const std::string content = json.text("content");
    steps_.emplace_back([pattern, content](AlignedText text) { return replace(pattern, content, std::move(text)); });
  } else if (type == "Nmt") {
    steps_.emplace_back([](AlignedText text) { return map_code_points(text, apply_nmt); });
  } else if (type == "Precompiled") {
    const std::string blob = json.text("precompiled_charsmap", "");
    if (!blob.empty()) {
      const std::string field = json.path_of("precompiled_charsmap");
      const auto rules = std::make_shared<const CharsMap>(decode_base64(blob, field), field);
      steps_.emplace_back([rules](AlignedText text) { return apply_charsmap(*rules, std::move(text)); });
    }
  } else {
    refuse_type(json, "normalizer", type);
  }
}

void Normalizer::add_bert(JsonReader& json) {
  const bool lower_case = json.boolean("lowercase", true);
  if (json.boolean("clean_text", true)) {
    steps_.emplace_back([](AlignedText text) { return map_code_points(text, clean_for_bert); });
  }
  if (json.boolean("handle_chinese_chars", true)) {
    steps_.emplace_back([](AlignedText text) { return map_code_points(text, space_ideographs); });
  }
  if (json.boolean("strip_accents", lower_case)) {
    steps_.emplace_back([](AlignedText text) {
      return keep_code_points(to_normal_form(NormalForm::kNfd, std::move(text)),
                              [](char32_t c) { return !is_nonspacing_mark(c); });
    });
  }
  if (lower_case) {
    steps_.emplace_back([](AlignedText text) { return lower(text); });
  }
}

}  // namespace refrag
