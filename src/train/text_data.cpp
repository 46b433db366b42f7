#include "train/text_data.h"

#include <algorithm>
#include <utility>

#include "base/message.h"
#include "refrag/error.h"
#include "text/chunker.h"
#include "text/reader.h"

namespace refrag::train {
namespace {

namespace fs = std::filesystem;

bool is_json_lines(const fs::path& path) {
  return !fs::is_directory(path) && format_of(path) == DocumentFormat::kJsonLines;
}

TokenShards text_shards(const DataConfig& config, const Tokenizer& tokenizer, const OnPrepared& on_prepared) {
  const Json key = {
      {"kind", "text"}, {"version", 1}, {"tokenizer", tokenizer.identity()}, {"content", content_hash(config.text)}};
  return TokenShards::cached(config.cache, key, [&](ShardWriter& writer) {
    for_each_text(config.text, [&](const std::string& text) {
      const std::vector<TokenId> ids = tokenizer.encode(normalize_document_text(text));
      if (!ids.empty()) writer.add(ids);
      if (on_prepared) on_prepared(writer.records());
    });
    return Json::object();
  });
}

}  // namespace

void for_each_line(const std::vector<fs::path>& files,
                   const std::function<void(const Json& row, const std::string& where)>& take) {
  for (const fs::path& file : files) {
    std::ifstream in(file);
    if (!in) throw Error(ErrorCode::kNotFound, message(file.string(), " cannot be opened"));
    std::string line;
    for (std::size_t number = 1; std::getline(in, line); ++number) {
      if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
      const std::string where = message(file.string(), ":", number);
      Json row;
      try {
        row = parse_json(line, where);
      } catch (const Error& error) {
        throw Error(ErrorCode::kCorrupt, error.what());  // a file's fault, not the caller's
      }
      take(row, where);
    }
  }
}

void for_each_text(const std::vector<fs::path>& paths, const std::function<void(const std::string&)>& take) {
  for (const fs::path& path : paths) {
    if (is_json_lines(path)) {
      for_each_line({path}, [&](const Json& row, const std::string& where) {
        take(JsonReader(row, where + ": ", ErrorCode::kCorrupt).text("text"));
      });
      continue;
    }
    read_paths({path}, {}, [&](ReadResult&& read) {
      if (!read.error.empty()) throw Error(ErrorCode::kCorrupt, message(read.where, ": ", read.error));
      take(read.document.text);
      return true;
    });
  }
}

std::vector<std::vector<TokenId>> chunks_of(std::span<const TokenId> ids, std::size_t chunk_size) {
  std::vector<std::vector<TokenId>> chunks;
  for (; !ids.empty(); ids = ids.subspan(chunks.back().size())) {
    const std::span<const TokenId> chunk = ids.first(std::min(chunk_size, ids.size()));
    chunks.emplace_back(chunk.begin(), chunk.end());
  }
  return chunks;
}

TextData::TextData(const DataConfig& config, const Tokenizer& tokenizer, const OnPrepared& on_prepared)
    : TextData(text_shards(config, tokenizer, on_prepared), config.join, tokenizer.eos()) {}

TextData::TextData(TokenShards shards, bool join, std::optional<TokenId> end)
    : shards_(std::move(shards)), join_(join), end_(end) {
  if (shards_.size() == 0) throw Error(ErrorCode::kInvalidArgument, "data.text holds no text", "data.text");
}

std::uint64_t TextData::shuffled_document(std::uint64_t place, std::uint64_t seed) const {
  const std::uint64_t pass = place / shards_.size();
  return shuffled(place % shards_.size(), shards_.size(), Draw({seed, pass}).next());
}

std::vector<TokenId> TextData::window(std::uint64_t document, std::size_t count, Draw& draw) const {
  std::span<const TokenId> ids = shards_.record(document);
  const std::size_t starts = join_ ? ids.size() : ids.size() - std::min(count, ids.size()) + 1;
  ids = ids.subspan(draw.below(starts));
  std::vector<TokenId> window(ids.begin(), ids.begin() + static_cast<std::ptrdiff_t>(std::min(count, ids.size())));
  while (join_ && window.size() < count) {
    if (end_) window.push_back(*end_);
    document = (document + 1) % shards_.size();
    ids = shards_.record(document);
    const std::size_t more = std::min(count - window.size(), ids.size());
    window.insert(window.end(), ids.begin(), ids.begin() + static_cast<std::ptrdiff_t>(more));
  }
  return window;
}

}  // namespace refrag::train
