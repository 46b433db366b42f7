#pragma once
#include <csignal>
#include <functional>
#include <thread>

namespace refrag::cli {

/// While it lives, the first Ctrl-C or SIGTERM is noted instead of ending the process, so that a command can stop at a
/// commit; the second one ends the process as usual. A signal that was ignored before stays ignored.
class InterruptGuard {
 public:
  InterruptGuard();
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;
  ~InterruptGuard();  // what was before is in force again
  static bool interrupted();

 private:
  struct sigaction before_int_ = {};
  struct sigaction before_term_ = {};
};

/// Calls `act` on a thread of its own within 50 ms of an interrupt, for a wait that no signal ends. Watches as long as
/// the thread lives.
std::jthread on_interrupt(std::function<void()> act);

}  // namespace refrag::cli
