#include "store/row_set.h"

#include <bit>

namespace refrag {

RowSet RowSet::all(std::size_t rows) {
  RowSet set(rows);
  for (std::size_t row = 0; row < rows; ++row) {
    set.insert(row);
  }
  return set;
}

void RowSet::insert(std::size_t row) {
  if (row < rows_ && !contains(row)) {
    bits_[row / 8] |= static_cast<std::uint8_t>(1U << (row % 8));
    ++count_;
  }
}

void RowSet::erase(std::size_t row) {
  if (contains(row)) {
    bits_[row / 8] &= static_cast<std::uint8_t>(~(1U << (row % 8)));
    --count_;
  }
}

void RowSet::keep_common(const RowSet& other) {
  count_ = 0;
  for (std::size_t i = 0; i < bits_.size(); ++i) {
    bits_[i] &= i < other.bits_.size() ? other.bits_[i] : std::uint8_t{0};
    count_ += static_cast<std::size_t>(std::popcount(bits_[i]));
  }
}

}  // namespace refrag
