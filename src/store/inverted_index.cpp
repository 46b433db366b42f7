#include "store/inverted_index.h"

#include <faiss/impl/io.h>
#include <faiss/index_io.h>
#include <faiss/invlists/InvertedLists.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>

#include "base/message.h"
#include "refrag/error.h"
#include "store/flat_index.h"

namespace refrag {
namespace {

using FaissId = faiss::Index::idx_t;

struct FaissWriter : faiss::IOWriter {
  explicit FaissWriter(SegmentFileWriter& to) : file(to) {}
  std::size_t operator()(const void* data, std::size_t size, std::size_t items) override {
    file.append(data, size * items);
    return items;
  }
  SegmentFileWriter& file;
};

/// The first bytes of every index file of FAISS: the word for its type, its size and metric.
std::string index_header(std::size_t width, std::size_t rows) {
  constexpr std::size_t kHeaderBytes = 37;
  faiss::IndexFlatIP centroids(static_cast<FaissId>(width));
  faiss::IndexIVFFlat index(&centroids, width, 1, faiss::METRIC_INNER_PRODUCT);
  index.is_trained = true;
  index.ntotal = static_cast<FaissId>(rows);
  faiss::VectorIOWriter writer;
  faiss::write_index(&index, &writer);
  return {writer.data.begin(), writer.data.begin() + kHeaderBytes};
}

/// Reads a file front to back; whatever is not there, or not as expected, is kCorrupt.
class FileReader {
 public:
  explicit FileReader(const SegmentFile& file) : file_(file), rest_(file.all()) {}

  std::span<const std::byte> take(std::uint64_t size) {
    if (size > rest_.size()) {
      fail(message("ends where ", size, " bytes more were expected"));
    }
    const std::span<const std::byte> taken = rest_.first(size);
    rest_ = rest_.subspan(size);
    return taken;
  }
  std::uint64_t number() {
    std::uint64_t value = 0;
    std::memcpy(&value, take(sizeof value).data(), sizeof value);
    return value;
  }
  void expect(std::string_view bytes, const char* what) {
    if (std::memcmp(take(bytes.size()).data(), bytes.data(), bytes.size()) != 0) {
      fail(message("has another ", what, " than it should"));
    }
  }
  void expect_number(std::uint64_t expected, const char* what) {
    if (const std::uint64_t found = number(); found != expected) {
      fail(message("has ", found, " ", what, "; expected ", expected));
    }
  }
  std::size_t left() const { return rest_.size(); }
  [[noreturn]] void fail(const std::string& problem) const {
    throw Error(ErrorCode::kCorrupt, message(file_.path().string(), " ", problem));
  }

 private:
  const SegmentFile& file_;
  std::span<const std::byte> rest_;
};

/// FAISS writes a size for every list, or, where most are empty, pairs of a list and its size.
std::vector<std::size_t> read_sizes(FileReader& reader, std::size_t lists, std::size_t rows) {
  const std::span<const std::byte> word = reader.take(4);
  const bool is_sparse = std::memcmp(word.data(), "sprs", 4) == 0;
  if (!is_sparse && std::memcmp(word.data(), "full", 4) != 0) {
    reader.fail("has inverted lists of another kind than it should");
  }
  const std::uint64_t numbers = reader.number();
  if (is_sparse ? numbers % 2 != 0 || numbers / 2 > lists : numbers != lists) {
    reader.fail(message("has ", numbers, " sizes of inverted lists; expected ", lists));
  }
  std::vector<std::size_t> sizes(lists);
  std::size_t sum = 0;
  for (std::uint64_t i = 0; i < numbers; i += is_sparse ? 2 : 1) {
    const std::uint64_t list = is_sparse ? reader.number() : i;
    const std::uint64_t size = reader.number();
    if (list >= lists || sizes[list] != 0 || size > rows - sum) {
      reader.fail(message("has an inverted list ", list, " of ", size, " vectors, which does not fit"));
    }
    sizes[list] = size;
    sum += size;
  }
  if (sum != rows) {
    reader.fail(message("has ", sum, " vectors in its inverted lists; expected ", rows));
  }
  return sizes;
}

}  // namespace

/// The lists where they are mapped.
class InvertedIndex::Lists : public faiss::ReadOnlyInvertedLists {
 public:
  Lists(FileReader& reader, const std::vector<std::size_t>& sizes, std::size_t width, std::size_t rows)
      : faiss::ReadOnlyInvertedLists(sizes.size(), width * sizeof(float)), ids_(rows), vectors_(rows, nullptr) {
    std::size_t first = 0;
    for (const std::size_t size : sizes) {
      const std::byte* codes = reader.take(size * code_size).data();
      std::memcpy(ids_.data() + first, reader.take(size * sizeof(FaissId)).data(), size * sizeof(FaissId));
      for (std::size_t i = 0; i < size; ++i) {
        const FaissId row = ids_[first + i];
        if (row < 0 || static_cast<std::size_t>(row) >= rows || vectors_[static_cast<std::size_t>(row)] != nullptr) {
          reader.fail(message("has a vector of row ", row, " that is there twice or should not be there"));
        }
        vectors_[static_cast<std::size_t>(row)] = codes + i * code_size;
      }
      lists_.push_back({codes, first, size});
      first += size;
    }
  }

  std::size_t list_size(std::size_t list) const override { return lists_[list].size; }
  const std::uint8_t* get_codes(std::size_t list) const override {
    return reinterpret_cast<const std::uint8_t*>(lists_[list].codes);
  }
  const FaissId* get_ids(std::size_t list) const override { return ids_.data() + lists_[list].first_id; }
  const std::byte* vector(std::size_t row) const { return vectors_[row]; }

 private:
  struct List {
    const std::byte* codes;
    std::size_t first_id;
    std::size_t size;
  };
  std::vector<List> lists_;
  std::vector<FaissId> ids_;               // of all lists, one after another
  std::vector<const std::byte*> vectors_;  // by row
};

void write_inverted(SegmentFileWriter& file, std::span<const float> vectors, std::size_t width) {
  const auto rows = static_cast<FaissId>(vectors.size() / width);
  // About √rows lists, so that choosing lists and searching some of them cost about the same.
  const auto lists = static_cast<std::size_t>(std::sqrt(static_cast<double>(rows)));
  faiss::IndexFlatIP centroids(static_cast<FaissId>(width));
  faiss::IndexIVFFlat index(&centroids, width, std::max<std::size_t>(lists, 1), faiss::METRIC_INNER_PRODUCT);
  // FAISS wants 39 training vectors a list and takes up to 256; 64 are enough and keep a merge short.
  index.cp.max_points_per_centroid = 64;
  index.cp.min_points_per_centroid = 1;  // below, it prints a warning
  index.train(rows, vectors.data());
  index.add(rows, vectors.data());
  FaissWriter writer(file);
  faiss::write_index(&index, &writer);
}

InvertedIndex::InvertedIndex(std::shared_ptr<const SegmentFile> file, std::size_t width, std::size_t rows)
    : file_(std::move(file)) {
  FileReader reader(*file_);
  reader.expect(index_header(width, rows), "index header");
  const std::uint64_t lists = reader.number();
  if (lists == 0 || lists > rows) {
    reader.fail(message("has ", lists, " inverted lists; expected 1 to ", rows));
  }
  reader.expect_number(1, "lists to search by default");
  centroids_ = read_flat(reader.take(flat_bytes(width, lists)), width, lists);
  if (centroids_ == nullptr) {
    reader.fail(message("has no flat index of ", lists, " centroids of ", width, " floats"));
  }
  reader.expect(std::string_view("\0", 1), "direct map");
  reader.expect_number(0, "entries in its direct map");
  reader.expect("ilar", "kind of inverted lists");
  reader.expect_number(lists, "inverted lists");
  reader.expect_number(width * sizeof(float), "bytes a vector");
  const std::vector<std::size_t> sizes = read_sizes(reader, lists, rows);
  lists_ = std::make_unique<Lists>(reader, sizes, width, rows);
  if (reader.left() != 0) {
    reader.fail(message("has ", reader.left(), " bytes too many"));
  }
  index_ = std::make_unique<faiss::IndexIVFFlat>(centroids_.get(), width, lists, faiss::METRIC_INNER_PRODUCT);
  index_->replace_invlists(lists_.get());
  index_->ntotal = static_cast<FaissId>(rows);
  index_->is_trained = true;
}

InvertedIndex::~InvertedIndex() = default;

void InvertedIndex::copy_vector(std::size_t row, std::span<float> to) const {
  std::memcpy(to.data(), lists_->vector(row), to.size_bytes());
}

}  // namespace refrag
