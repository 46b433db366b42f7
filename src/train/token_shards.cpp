#include "train/token_shards.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "base/hash.h"
#include "base/message.h"
#include "refrag/error.h"

namespace refrag::train {
namespace {

namespace fs = std::filesystem;

std::string shard_name(std::size_t n) {
  const std::string digits = std::to_string(n);
  return std::string(digits.size() < 5 ? 5 - digits.size() : 0, '0') + digits + ".bin";
}

template <typename Number>
void write_numbers(std::ofstream& out, const Number* numbers, std::size_t count) {
  out.write(reinterpret_cast<const char*>(numbers), static_cast<std::streamsize>(count * sizeof(Number)));
}

void check_written(std::ofstream& out, const fs::path& path) {
  out.close();
  if (!out) throw Error(ErrorCode::kIo, message(path.string(), ": could not be written; is the disk full?"));
  sync_file(path);
}

[[noreturn]] void corrupt_shards(const fs::path& path, const std::string& what) {
  throw Error(ErrorCode::kCorrupt, message(path.string(), ": ", what, "; remove the folder to have it made again"));
}

void hash_file(Sha256& hash, const fs::path& path) {
  const MappedFile file(path);
  hash.add_field(path.filename().string()).add_field(std::to_string(file.bytes().size())).add(file.bytes());
}

}  // namespace

ShardWriter::ShardWriter(const fs::path& directory, std::uint64_t numbers_a_shard)
    : directory_(directory), most_(numbers_a_shard), offsets_(directory / "offsets.bin", std::ios::binary) {
  write_numbers(offsets_, &numbers_, 1);
}

void ShardWriter::open_shard() {
  const fs::path path = directory_ / shard_name(first_records_.size());
  shard_.open(path, std::ios::binary);
  if (!shard_) throw Error(ErrorCode::kIo, message(path.string(), " cannot be written"));
  first_records_.push_back(records_);
  in_shard_ = 0;
}

void ShardWriter::close_shard() {
  if (shard_.is_open()) check_written(shard_, directory_ / shard_name(first_records_.size() - 1));
}

void ShardWriter::add(std::span<const TokenId> record) {
  if (first_records_.empty() || (in_shard_ > 0 && in_shard_ + record.size() > most_)) {
    close_shard();
    open_shard();
  }
  write_numbers(shard_, record.data(), record.size());
  in_shard_ += record.size();
  numbers_ += record.size();
  ++records_;
  write_numbers(offsets_, &numbers_, 1);
}

void ShardWriter::finish(Json info) {
  close_shard();
  check_written(offsets_, directory_ / "offsets.bin");
  info["records"] = records_;
  info["numbers"] = numbers_;
  info["first_records"] = first_records_;
  write_file_atomic(directory_ / "info.json", info.dump(1) + "\n");
}

TokenShards::TokenShards(const fs::path& directory) : info_(parse_json_file(directory / "info.json")) {
  JsonReader json(info_, (directory / "info.json").string() + ": ", ErrorCode::kCorrupt);
  constexpr auto kMost = std::numeric_limits<std::int64_t>::max();
  records_ = static_cast<std::uint64_t>(json.integer("records", 0, kMost));
  numbers_ = static_cast<std::uint64_t>(json.integer("numbers", 0, kMost));
  for (const Json& first : json.value("first_records")) {
    if (!first.is_number_unsigned()) {
      json.fail("first_records", "a list of numbers");
    }
    first_records_.push_back(first.get<std::uint64_t>());
  }
  if (first_records_.empty() ? records_ > 0 : first_records_.front() != 0) {
    json.fail("first_records", "0 in front");
  }
  offsets_.emplace_back(directory / "offsets.bin");
  if (offsets_[0].bytes().size() != (records_ + 1) * sizeof(std::uint64_t) || offset(0) != 0 ||
      offset(records_) != numbers_) {
    corrupt_shards(directory / "offsets.bin", "does not fit info.json");
  }
  for (std::uint64_t n = 0; n < records_; ++n) {
    if (offset(n) > offset(n + 1)) {
      corrupt_shards(directory / "offsets.bin", message("record ", n, " ends before it begins"));
    }
  }
  for (std::size_t n = 0; n < first_records_.size(); ++n) {
    shards_.emplace_back(directory / shard_name(n));
    const std::uint64_t last = n + 1 < first_records_.size() ? first_records_[n + 1] : records_;
    if (first_records_[n] > last || last > records_ ||
        shards_[n].bytes().size() != (offset(last) - offset(first_records_[n])) * sizeof(TokenId)) {
      corrupt_shards(shards_[n].path(), "does not fit offsets.bin");
    }
  }
}

std::uint64_t TokenShards::offset(std::uint64_t n) const {
  std::uint64_t value = 0;
  std::memcpy(&value, offsets_[0].bytes().data() + n * sizeof value, sizeof value);
  return value;
}

std::span<const TokenId> TokenShards::record(std::uint64_t n) const {
  if (n >= records_) throw Error(ErrorCode::kInternal, message("record ", n, " of ", records_));
  const auto after = std::upper_bound(first_records_.begin(), first_records_.end(), n);
  const auto shard = static_cast<std::size_t>(after - first_records_.begin()) - 1;
  const std::uint64_t begin = offset(n) - offset(first_records_[shard]);
  const auto* numbers = reinterpret_cast<const TokenId*>(shards_[shard].bytes().data());  // whole pages: aligned
  return {numbers + begin, static_cast<std::size_t>(offset(n + 1) - offset(n))};
}

namespace {

/// Machines that share a file system have processes of the same number.
std::string host_name() {
  std::array<char, 256> name{};
  return ::gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "host";
}

}  // namespace

TokenShards TokenShards::cached(const fs::path& cache, const Json& key, const std::function<Json(ShardWriter&)>& fill) {
  const fs::path directory = cache / sha256_hex(key.dump()).substr(0, 24);
  if (!fs::exists(directory / "info.json")) {
    const fs::path unfinished = directory.string() + message(".", host_name(), ".", ::getpid(), ".tmp");
    fs::remove_all(unfinished);
    fs::create_directories(unfinished);
    ShardWriter writer(unfinished);
    Json info = fill(writer);
    info["key"] = key;
    writer.finish(std::move(info));
    std::error_code error;
    fs::rename(unfinished, directory, error);  // fails where another run was faster: theirs is as good
    if (error) fs::remove_all(unfinished);
    sync_directory(cache);
  }
  return TokenShards(directory);
}

std::string content_hash(const std::vector<fs::path>& paths) {
  Sha256 hash;
  for (const fs::path& path : paths) {
    if (!fs::is_directory(path)) {
      hash_file(hash, path);
      continue;
    }
    std::vector<fs::path> files;
    for (const fs::directory_entry& entry : fs::recursive_directory_iterator(path)) {
      if (entry.is_regular_file()) files.push_back(entry.path());
    }
    std::sort(files.begin(), files.end());
    for (const fs::path& file : files) hash_file(hash, file);
  }
  return hash.hex();
}

}  // namespace refrag::train
