#include "cli/interrupt.h"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <utility>

namespace refrag::cli {
namespace {

constexpr std::chrono::milliseconds kTurn(50);

// A signal handler can reach nothing but a global.
std::atomic<bool> interrupted_flag = false;
static_assert(std::atomic<bool>::is_always_lock_free);  // so a handler may write it

void note_signal(int) { interrupted_flag = true; }

/// Returns what was in force before.
struct sigaction note(int signal) {
  struct sigaction before = {};
  ::sigaction(signal, nullptr, &before);
  if (before.sa_handler == SIG_IGN) {
    return before;  // a shell's background job, or what nohup is for
  }
  struct sigaction ours = {};
  ours.sa_handler = note_signal;
  ours.sa_flags = SA_RESETHAND;  // the second one ends the process; without SA_RESTART, so that waits come to an end
  ::sigaction(signal, &ours, nullptr);
  return before;
}

}  // namespace

InterruptGuard::InterruptGuard() {
  interrupted_flag = false;
  before_int_ = note(SIGINT);
  before_term_ = note(SIGTERM);
}

InterruptGuard::~InterruptGuard() {
  ::sigaction(SIGINT, &before_int_, nullptr);
  ::sigaction(SIGTERM, &before_term_, nullptr);
}

bool InterruptGuard::interrupted() { return interrupted_flag; }

std::jthread on_interrupt(std::function<void()> act) {
  return std::jthread([act = std::move(act)](const std::stop_token& stop) {
    std::mutex mutex;
    std::condition_variable_any stopped;
    std::unique_lock lock(mutex);
    while (!stop.stop_requested()) {
      if (stopped.wait_for(lock, stop, kTurn, InterruptGuard::interrupted)) {
        act();
        return;
      }
    }
  });
}

}  // namespace refrag::cli
