#include "server/slots.h"

#include <chrono>

namespace refrag::server {
namespace {

constexpr std::chrono::milliseconds kSlotLook{50};

}  // namespace

Slot::Slot(Slots& slots, const std::function<void()>& check) : slots_(slots) {
  std::unique_lock lock(slots_.mutex_);
  while (!slots_.freed_.wait_for(lock, kSlotLook, [this] { return slots_.free_ > 0; })) {
    lock.unlock();
    check();
    lock.lock();
  }
  --slots_.free_;
}

Slot::~Slot() {
  {
    const std::lock_guard lock(slots_.mutex_);
    ++slots_.free_;
  }
  slots_.freed_.notify_one();
}

}  // namespace refrag::server
