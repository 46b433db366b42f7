#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace refrag::train {

/// How many processes the launcher of this one (mpirun, srun) started together, by the environment; 1 without one.
std::int64_t launched_processes();

/// The processes that compute a run together, by MPI. What is collective must be called by all of them, in one order.
class ProcessGroup {
 public:
  ProcessGroup() = default;  // this process alone: nothing of MPI is touched

  /// All that the launcher started. MPI ends when the last copy of the group goes. Throws kUnsupported where there are
  /// several processes and this program was built without MPI, or with another one than the launcher's.
  static ProcessGroup of_launcher();

  std::int64_t rank() const { return rank_; }  // 0 to size() - 1
  std::int64_t size() const { return size_; }
  bool is_first() const { return rank_ == 0; }
  std::size_t threads() const { return threads_; }  // that each may use by default; 0: no opinion
  std::string name() const;                         // "process 2 of 4 on HOST"

  bool is_mine(std::uint64_t n) const;  // of things that are handed out one by one
  /// [begin, end) of `count` things that are handed out as ranges.
  std::pair<std::size_t, std::size_t> range_of(std::size_t count) const;

  /// Collective: each number becomes the sum over the processes.
  void sum(std::span<float> numbers) const;
  void sum(std::span<double> numbers) const;
  bool any(bool mine) const;                             // collective
  void copy_from_first(std::span<float> numbers) const;  // collective
  void barrier() const;                                  // collective
  /// Collective: the first process alone, then the others: what it leaves in files is there for them.
  template <typename Act>
  void first_then_others(const Act& act) const {
    if (!is_first()) barrier();
    act();
    if (is_first()) barrier();
  }
  /// Ends all processes at once, whatever they are doing.
  [[noreturn]] void abort(int exit_code) const;

 private:
  class Mpi;

  std::int64_t rank_ = 0;
  std::int64_t size_ = 1;
  std::size_t threads_ = 0;
  std::shared_ptr<const Mpi> mpi_;  // where there are several
};

/// For each of the things that cost so much, the process (0 to processes - 1) that does it, so that all have about as
/// much to do: the dearest first, each to whoever has least.
std::vector<std::int64_t> divide_work(std::span<const std::uint64_t> costs, std::int64_t processes);

}  // namespace refrag::train
