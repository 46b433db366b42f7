#pragma once
#include <faiss/IndexFlat.h>
#include <faiss/IndexIVFFlat.h>

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "store/segment_file.h"

namespace refrag {

/// Writes a faiss::IndexIVFFlat of `vectors` [rows, width], inner product, without a direct map.
void write_inverted(SegmentFileWriter& file, std::span<const float> vectors, std::size_t width);

/// Such a file, read by us: FAISS's reader trusts what it reads. Vectors stay mapped, their row numbers and the
/// centroids of the lists are on the heap.
class InvertedIndex {
 public:
  /// Throws kCorrupt unless the file is what write_inverted makes for `rows` vectors of `width` floats.
  InvertedIndex(std::shared_ptr<const SegmentFile> file, std::size_t width, std::size_t rows);
  ~InvertedIndex();

  const faiss::IndexIVFFlat& index() const { return *index_; }
  void copy_vector(std::size_t row, std::span<float> to) const;  // to [width]

 private:
  class Lists;
  std::shared_ptr<const SegmentFile> file_;
  std::unique_ptr<faiss::IndexFlatIP> centroids_;
  std::unique_ptr<Lists> lists_;
  std::unique_ptr<faiss::IndexIVFFlat> index_;  // over centroids_ and lists_
};

}  // namespace refrag
