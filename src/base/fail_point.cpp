#include "base/fail_point.h"

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <set>
#include <utility>

#include "base/message.h"
#include "refrag/error.h"

namespace refrag {
namespace {

struct Armed {
  std::mutex mutex;
  std::multiset<std::string> to_throw;  // guarded by mutex
  std::string to_kill;                  // guarded by mutex; set once, from the environment
};

// Fail points that are armed, plus one until the environment has been read.
std::atomic<int> armed_count{1};

void read_environment(Armed& armed) {
  const char* value = std::getenv("REFRAG_FAIL_POINT");
  if (value == nullptr || *value == '\0') {
    armed_count.fetch_sub(1, std::memory_order_relaxed);
    return;
  }
  const std::string setting = value;
  const std::size_t colon = setting.rfind(':');
  const std::string action = colon == std::string::npos ? "throw" : setting.substr(colon + 1);
  if (action != "throw" && action != "kill") {
    throw Error(ErrorCode::kInvalidArgument,
                message("REFRAG_FAIL_POINT is \"", setting, "\"; expected NAME, NAME:throw or NAME:kill"),
                "REFRAG_FAIL_POINT");
  }
  const std::string name = setting.substr(0, colon);
  if (action == "kill") {
    armed.to_kill = name;
  } else {
    armed.to_throw.insert(name);
  }
}

Armed& armed() {
  // Never destroyed: threads may reach fail points while the process ends.
  static Armed& instance = *[] {
    auto made = std::make_unique<Armed>();
    read_environment(*made);
    return made.release();
  }();
  return instance;
}

}  // namespace

void fail_point(const char* name) {
  if (armed_count.load(std::memory_order_relaxed) == 0) {
    return;
  }
  Armed& points = armed();
  const std::lock_guard lock(points.mutex);
  if (points.to_kill == name) {
    std::raise(SIGKILL);
  }
  if (points.to_throw.contains(name)) {
    throw Error(ErrorCode::kInternal, message("fail point ", name, " was reached"));
  }
}

FailPoint::FailPoint(std::string name) : name_(std::move(name)) {
  Armed& points = armed();
  const std::lock_guard lock(points.mutex);
  points.to_throw.insert(name_);
  armed_count.fetch_add(1, std::memory_order_relaxed);
}

FailPoint::~FailPoint() {
  Armed& points = armed();
  const std::lock_guard lock(points.mutex);
  points.to_throw.erase(points.to_throw.find(name_));
  armed_count.fetch_sub(1, std::memory_order_relaxed);
}

}  // namespace refrag
