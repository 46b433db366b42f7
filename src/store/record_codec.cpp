#include "store/record_codec.h"

#include <limits>

#include "base/json_reader.h"
#include "base/message.h"
#include "refrag/error.h"

namespace refrag {
namespace {

[[noreturn]] void fail(const std::string& what, const char* problem) {
  throw Error(ErrorCode::kCorrupt, message(what, ": ", problem));
}

void put(std::string& out, std::uint64_t value) {
  while (value >= 0x80) {
    out.push_back(static_cast<char>(value | 0x80));
    value >>= 7;
  }
  out.push_back(static_cast<char>(value));
}

std::uint64_t folded(std::int64_t value) {
  return (static_cast<std::uint64_t>(value) << 1) ^ static_cast<std::uint64_t>(value >> 63);
}
std::int64_t unfolded(std::uint64_t value) {
  return static_cast<std::int64_t>(value >> 1) ^ -static_cast<std::int64_t>(value & 1);
}

class BlobReader {
 public:
  BlobReader(std::string_view blob, const std::string& what) : rest_(blob), what_(what) {}

  /// Refuses numbers above `most`, so that sums and counts made of them stay in range.
  std::uint64_t next(std::uint64_t most) {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 63; shift += 7) {
      if (rest_.empty()) {
        fail(what_, "the blob ends inside a number");
      }
      const auto byte = static_cast<unsigned char>(rest_.front());
      rest_.remove_prefix(1);
      value |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
      if (byte < 0x80) {
        if (value > most) {
          fail(what_, "the blob holds a number that is out of range");
        }
        return value;
      }
    }
    fail(what_, "the blob holds a number that is too long");
  }
  /// A count of things of at least one byte each, which bounds what a reader may set aside for them.
  std::size_t count() { return next(rest_.size()); }
  void finish() const {
    if (!rest_.empty()) {
      fail(what_, "the blob has bytes left over");
    }
  }

 private:
  std::string_view rest_;
  const std::string& what_;
};

constexpr std::uint64_t kMostPosition = std::uint64_t{1} << 40;

MetadataValue value_of(const Json& json, const std::string& what) {
  if (json.is_string()) {
    return json.get<std::string>();
  }
  if (json.is_boolean()) {
    return json.get<bool>();
  }
  if (json.is_number_integer()) {
    return json.get<std::int64_t>();
  }
  if (json.is_number_float()) {
    return json.get<double>();
  }
  fail(what, "a metadata value is not a string, number or boolean");
}

}  // namespace

void SegmentRows::add(std::int64_t passage, std::size_t chunks) {
  passages.push_back(passage);
  first_chunk.push_back(first_chunk.back() + static_cast<std::uint32_t>(chunks));
}

std::string encode_rows(const SegmentRows& rows) {
  std::string blob;
  put(blob, rows.size());
  std::int64_t previous = 0;
  for (std::size_t row = 0; row < rows.size(); ++row) {
    put(blob, static_cast<std::uint64_t>(rows.passages[row] - previous));
    put(blob, rows.first_chunk[row + 1] - rows.first_chunk[row]);
    previous = rows.passages[row];
  }
  return blob;
}

SegmentRows decode_rows(std::string_view blob, const std::string& what) {
  BlobReader reader(blob, what);
  SegmentRows rows;
  const std::size_t count = reader.count();
  rows.passages.reserve(count);
  rows.first_chunk.reserve(count + 1);
  std::int64_t passage = 0;
  for (std::size_t row = 0; row < count; ++row) {
    const std::uint64_t step = reader.next(kMostPosition - static_cast<std::uint64_t>(passage));
    if (step == 0) {
      fail(what, "passage numbers do not ascend");
    }
    passage += static_cast<std::int64_t>(step);
    const std::uint64_t chunks = reader.next(std::numeric_limits<std::uint32_t>::max() - rows.first_chunk.back());
    rows.add(passage, chunks);
  }
  reader.finish();
  return rows;
}

std::string encode_chunks(std::span<const ChunkRecord> chunks, std::size_t passage_start) {
  std::string blob;
  put(blob, chunks.size());
  std::size_t previous = passage_start;
  for (const ChunkRecord& chunk : chunks) {
    put(blob, folded(static_cast<std::int64_t>(chunk.start) - static_cast<std::int64_t>(previous)));
    put(blob, chunk.end - chunk.start);
    previous = chunk.end;
    put(blob, chunk.ids.size());
    for (const TokenId id : chunk.ids) {
      put(blob, static_cast<std::uint64_t>(id));
    }
  }
  return blob;
}

std::vector<ChunkRecord> decode_chunks(std::string_view blob, std::size_t passage_start, const std::string& what) {
  BlobReader reader(blob, what);
  std::vector<ChunkRecord> chunks(reader.count());
  auto previous = static_cast<std::int64_t>(passage_start);
  for (ChunkRecord& chunk : chunks) {
    const std::int64_t start = previous + unfolded(reader.next(kMostPosition));
    if (start < 0) {
      fail(what, "a chunk starts before its document");
    }
    chunk.start = static_cast<std::size_t>(start);
    chunk.end = chunk.start + reader.next(kMostPosition);
    if (chunk.end > kMostPosition) {
      fail(what, "a chunk ends after any document");
    }
    previous = static_cast<std::int64_t>(chunk.end);
    chunk.ids.resize(reader.count());
    for (TokenId& id : chunk.ids) {
      id = static_cast<TokenId>(reader.next(std::numeric_limits<TokenId>::max()));
    }
  }
  reader.finish();
  return chunks;
}

std::string encode_metadata(const Metadata& metadata) {
  Json json = Json::object();
  for (const auto& [name, value] : metadata) {
    std::visit([&json, &key = name](const auto& held) { json[key] = held; }, value);
  }
  return json.dump();
}

Metadata decode_metadata(std::string_view json, const std::string& what) {
  const Json parsed = Json::parse(json, nullptr, /*allow_exceptions=*/false);
  if (!parsed.is_object()) {
    fail(what, "metadata is not a JSON object");
  }
  Metadata metadata;
  for (const auto& [name, value] : parsed.items()) {
    metadata.emplace(name, value_of(value, what));
  }
  return metadata;
}

}  // namespace refrag
