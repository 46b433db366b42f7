#pragma once
#include <string>

namespace refrag {

/// A named place where a test, or REFRAG_FAIL_POINT=NAME[:throw|:kill] in the environment, makes the process fail.
/// Costs one relaxed atomic load when nothing is armed.
void fail_point(const char* name);

/// Arms a fail point for its lifetime: reaching it throws kInternal.
class FailPoint {
 public:
  explicit FailPoint(std::string name);
  FailPoint(const FailPoint&) = delete;
  FailPoint& operator=(const FailPoint&) = delete;
  ~FailPoint();

 private:
  std::string name_;
};

}  // namespace refrag
