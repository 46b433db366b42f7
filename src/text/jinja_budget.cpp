#include "text/jinja_budget.h"

#include "base/message.h"
#include "refrag/error.h"

namespace refrag::jinja {

void fail(const std::string& what) { throw Error(ErrorCode::kInvalidArgument, "chat template: " + what, "messages"); }

void Budget::spend(std::size_t steps) {
  if (steps > left_) {
    fail(message("more than ", kMaxSteps, " steps"));
  }
  left_ -= steps;
}

}  // namespace refrag::jinja
