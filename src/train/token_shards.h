#pragma once
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <functional>
#include <span>
#include <vector>

#include "base/files.h"
#include "base/json_reader.h"
#include "base/token.h"

namespace refrag::train {

/// Writes records of numbers, most of them token ids, as files that TokenShards maps. Bounded in memory.
class ShardWriter {
 public:
  explicit ShardWriter(const std::filesystem::path& directory, std::uint64_t numbers_a_shard = std::uint64_t{1} << 26);
  void add(std::span<const TokenId> record);
  std::uint64_t records() const { return records_; }
  void finish(Json info);  // synced to disk when it returns

 private:
  void open_shard();
  void close_shard();

  std::filesystem::path directory_;
  std::uint64_t most_;  // numbers a shard, but for one longer record
  std::ofstream shard_;
  std::ofstream offsets_;
  std::vector<std::uint64_t> first_records_;  // of each shard
  std::uint64_t in_shard_ = 0;
  std::uint64_t records_ = 0;
  std::uint64_t numbers_ = 0;
};

/// A folder of memory-mapped records. `info.json` says how many and where shards begin, `offsets.bin` (uint64, one more
/// than records) where records begin, counted in numbers over all shards; `NNNNN.bin` hold the numbers (int32).
class TokenShards {
 public:
  /// Throws kCorrupt where files are missing, short or do not agree.
  explicit TokenShards(const std::filesystem::path& directory);

  std::uint64_t size() const { return records_; }
  std::uint64_t numbers() const { return numbers_; }
  std::span<const TokenId> record(std::uint64_t n) const;
  const Json& info() const { return info_; }

  /// The shards under `cache` for what `key` describes, made by `fill` (which returns their info) where they are not
  /// there yet. A crash leaves a folder that the next call replaces, never half a one under the final name.
  static TokenShards cached(const std::filesystem::path& cache, const Json& key,
                            const std::function<Json(ShardWriter&)>& fill);

 private:
  std::uint64_t offset(std::uint64_t n) const;

  Json info_;
  std::uint64_t records_ = 0;
  std::uint64_t numbers_ = 0;
  std::vector<std::uint64_t> first_records_;
  std::vector<MappedFile> shards_;
  std::vector<MappedFile> offsets_;  // one
};

/// SHA-256 of a file's bytes, or of the names and bytes of the files in a folder.
std::string content_hash(const std::vector<std::filesystem::path>& paths);

}  // namespace refrag::train
