#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "store/row_set.h"
#include "store/segment_file.h"

namespace refrag {

/// How the passage vectors of a segment are stored and searched.
enum class PassageIndexKind {
  kFlat,      // faiss::IndexFlatIP, on the heap: exact
  kInverted,  // faiss::IndexIVFFlat over mapped vectors: searches the nearest of its lists
};
/// Flat search of 50,000 rows of 384 floats takes about as long as the rest of a question's retrieval.
constexpr std::size_t kInvertedFromRows = 50'000;

/// Writes `vectors` [rows, width]; row = position.
void write_passage_index(SegmentFileWriter& file, PassageIndexKind kind, std::span<const float> vectors,
                         std::size_t width);

/// Nearest rows by inner product. Thread-safe.
class PassageIndex {
 public:
  /// Reads the file once its checksums have passed. Throws kCorrupt unless it holds `rows` vectors of `width` floats.
  PassageIndex(std::shared_ptr<const SegmentFile> file, PassageIndexKind kind, std::size_t width, std::size_t rows);
  ~PassageIndex();

  /// (score, row) of the up to `count` best of `allowed`, best first.
  std::vector<std::pair<float, std::size_t>> search(std::span<const float> query, std::size_t count,
                                                    const RowSet& allowed) const;
  std::vector<float> vector(std::size_t row) const;  // [width]

 private:
  class Impl;
  std::unique_ptr<const Impl> impl_;
};

}  // namespace refrag
