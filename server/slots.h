#pragma once
#include <condition_variable>
#include <cstddef>
#include <functional>
#include <mutex>

namespace refrag::server {

/// Room for so many at once; who comes later waits. Thread-safe.
class Slots {
 public:
  explicit Slots(std::size_t count) : free_(count) {}

 private:
  friend class Slot;
  std::mutex mutex_;
  std::condition_variable freed_;
  std::size_t free_;  // guarded by mutex_
};

/// One of them, for as long as this lives.
class Slot {
 public:
  /// Calls `check` every now and then while it waits, and throws what that throws.
  Slot(Slots& slots, const std::function<void()>& check);
  Slot(const Slot&) = delete;
  Slot& operator=(const Slot&) = delete;
  ~Slot();

 private:
  Slots& slots_;
};

}  // namespace refrag::server
