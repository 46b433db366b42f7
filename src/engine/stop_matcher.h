#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace refrag {

/// Finds the first stop string in a text that arrives in pieces, wherever the borders of the pieces lie, and holds back
/// what could yet turn out to be the beginning of one.
class StopMatcher {
 public:
  explicit StopMatcher(std::vector<std::string> stops);

  /// What can be shown now. The stop string that is complete first counts (of two that end together, the longer one);
  /// it and what follows are dropped.
  std::string add(std::string_view text);
  /// At the end of the answer: what was held back.
  std::string finish();
  bool stopped() const { return stopped_; }

 private:
  std::vector<std::string> stops_;
  std::string held_;  // not shown yet; grows no longer than the longest stop string between two calls
  bool stopped_ = false;
};

}  // namespace refrag
