#include "eval/encode_once.h"

#include <set>

namespace refrag {

Matrix EncodeOnce::encode_chunks(const std::vector<std::vector<TokenId>>& chunks) const {
  std::set<std::vector<TokenId>> wanted;
  for (const std::vector<TokenId>& chunk : chunks) {
    if (!vectors_.contains(chunk)) {
      wanted.insert(chunk);
    }
  }
  if (!wanted.empty()) {
    const std::vector<std::vector<TokenId>> missing(wanted.begin(), wanted.end());
    const Matrix made = runner_->encode_chunks(missing);
    for (std::size_t n = 0; n < missing.size(); ++n) {
      const auto row = made.row(n);
      vectors_[missing[n]] = {row.begin(), row.end()};
    }
  }
  Matrix result{chunks.size(), info().chunk_width, {}};
  for (const std::vector<TokenId>& chunk : chunks) {
    const std::vector<float>& row = vectors_.at(chunk);
    result.values.insert(result.values.end(), row.begin(), row.end());
  }
  return result;
}

}  // namespace refrag
