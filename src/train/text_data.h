#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "text/tokenizer.h"
#include "train/config.h"
#include "train/draw.h"
#include "train/token_shards.h"

namespace refrag::train {

/// Says how far a long preparation has come: documents so far.
using OnPrepared = std::function<void(std::uint64_t done)>;

/// Calls `take` with each line of JSONL files as an object, with its place ("FILE:17") for messages, one at a time.
void for_each_line(const std::vector<std::filesystem::path>& files,
                   const std::function<void(const Json& row, const std::string& where)>& take);

/// The text of each document: `text` of a line of JSONL, whatever else it has; of other files and folders what the
/// reader of documents gives. Throws kCorrupt for one that cannot be read.
void for_each_text(const std::vector<std::filesystem::path>& paths,
                   const std::function<void(const std::string&)>& take);

/// Token ids as chunks: every `chunk_size` of them, the last one short.
std::vector<std::vector<TokenId>> chunks_of(std::span<const TokenId> ids, std::size_t chunk_size);

/// The documents of a corpus as token ids, tokenized once. One record a document, without BOS and EOS.
class TextData {
 public:
  TextData(const DataConfig& config, const Tokenizer& tokenizer, const OnPrepared& on_prepared = {});
  TextData(TokenShards shards, bool join, std::optional<TokenId> end);

  std::uint64_t documents() const { return shards_.size(); }
  std::uint64_t tokens() const { return shards_.numbers(); }
  std::span<const TokenId> document(std::uint64_t n) const { return shards_.record(n); }
  /// The documents in the shuffled order of a pass: `place` counts on over passes.
  std::uint64_t shuffled_document(std::uint64_t place, std::uint64_t seed) const;

  /// At most `count` tokens in a row from a random place: of the document, or, where documents are joined, of it and
  /// those behind it, with EOS between. A document that is too short gives what it has.
  std::vector<TokenId> window(std::uint64_t document, std::size_t count, Draw& draw) const;

 private:
  TokenShards shards_;
  bool join_;
  std::optional<TokenId> end_;
};

}  // namespace refrag::train
