#pragma once
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace refrag {

/// Says of texts that come one after another whether each repeats an earlier one: passages that overlap, or documents
/// that were copied, would fill a prompt with the same words.
class NearDuplicates {
 public:
  /// `overlap`: the share of common word 5-grams (Jaccard) from which on two texts count as one; above 1: never.
  explicit NearDuplicates(double overlap) : overlap_(overlap) {}
  /// True where `text` repeats one that was kept; else it is kept itself.
  bool repeats(std::string_view text);

 private:
  double overlap_;
  std::vector<std::vector<std::uint64_t>> kept_;  // hashes of the 5-grams of each text, sorted, each once
};

}  // namespace refrag
