#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace refrag {

/// Some of a segment's passage rows, one bit each, in the layout of faiss::IDSelectorBitmap.
class RowSet {
 public:
  explicit RowSet(std::size_t rows = 0) : rows_(rows), bits_((rows + 7) / 8) {}
  static RowSet all(std::size_t rows);

  bool contains(std::size_t row) const { return row < rows_ && (bits_[row / 8] >> (row % 8) & 1) != 0; }
  void insert(std::size_t row);
  void erase(std::size_t row);
  void keep_common(const RowSet& other);  // of as many rows

  std::size_t rows() const { return rows_; }
  std::size_t count() const { return count_; }
  std::span<const std::uint8_t> bitmap() const { return bits_; }

 private:
  std::size_t rows_;
  std::size_t count_ = 0;
  std::vector<std::uint8_t> bits_;
};

}  // namespace refrag
