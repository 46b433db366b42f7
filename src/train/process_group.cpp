#include "train/process_group.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <numeric>

#include "base/cpu.h"
#include "base/message.h"
#include "refrag/error.h"

#ifdef REFRAG_HAS_MPI
#define OMPI_SKIP_MPICXX 1  // Open MPI's header: no C++ bindings
#define MPICH_SKIP_MPICXX 1
#include <mpi.h>
#endif

namespace refrag::train {
namespace {

/// 0 where the variable is not set or no number.
std::int64_t number_in_environment(const char* name) {
  const char* value = std::getenv(name);
  std::int64_t number = 0;
  if (value != nullptr) std::from_chars(value, value + std::strlen(value), number);
  return number;
}

}  // namespace

std::int64_t launched_processes() {
  // Open MPI's mpirun; MPICH's and Intel's; srun. SLURM_NTASKS will not do: batch scripts have it too.
  for (const char* name : {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS"}) {
    if (const std::int64_t processes = number_in_environment(name); processes > 0) return processes;
  }
  return 1;
}

#ifdef REFRAG_HAS_MPI

namespace {

/// What starts the processes must tell MPI how they find one another; MPI itself would end them with a page of text.
void require_introduction(std::int64_t launched) {
  for (const char* name : {"OMPI_COMM_WORLD_SIZE", "PMIX_RANK", "PMI_RANK", "PMI_FD"}) {
    if (std::getenv(name) != nullptr) return;
  }
  throw Error(ErrorCode::kUnsupported, message("srun started ", launched, " processes that do not know one another; ",
                                               "expected srun --mpi=pmix (srun --mpi=list says what there is)"));
}

}  // namespace

/// MPI between its beginning and its end.
class ProcessGroup::Mpi {
 public:
  Mpi() {
    int provided = 0;
    MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &provided);
    if (provided < MPI_THREAD_FUNNELED) {
      throw Error(ErrorCode::kUnsupported, "this MPI was built without threads; expected MPI_THREAD_FUNNELED");
    }
    MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &machine_);
  }
  Mpi(const Mpi&) = delete;
  Mpi& operator=(const Mpi&) = delete;
  ~Mpi() {
    // It waits for the others: where one has failed, they may never come. The launcher ends them when this one is gone.
    if (std::uncaught_exceptions() == 0) MPI_Finalize();
  }

  int rank() const { return number_of(MPI_Comm_rank, MPI_COMM_WORLD); }
  int size() const { return number_of(MPI_Comm_size, MPI_COMM_WORLD); }

  /// The cores that this process may run on, shared with those on this machine that may run there too.
  std::size_t threads() const {
    cpu_set_t mine;
    CPU_ZERO(&mine);
    if (sched_getaffinity(0, sizeof(mine), &mine) != 0) return 1;
    cpu_set_t together = mine;
    MPI_Allreduce(MPI_IN_PLACE, &together, sizeof(together), MPI_BYTE, MPI_BOR, machine_);
    const int own = CPU_COUNT(&mine);
    int sum = own;
    MPI_Allreduce(MPI_IN_PLACE, &sum, 1, MPI_INT, MPI_SUM, machine_);
    const auto cores =
        physical_cores() * static_cast<std::size_t>(CPU_COUNT(&together)) / static_cast<std::size_t>(sum);
    return std::max<std::size_t>(1, cores);
  }

  template <typename Number>
  static void sum(std::span<Number> numbers, MPI_Datatype type) {
    for_each_part(numbers, [&](Number* first, int count) {
      MPI_Allreduce(MPI_IN_PLACE, first, count, type, MPI_SUM, MPI_COMM_WORLD);
    });
  }

  static void copy_from_first(std::span<float> numbers) {
    for_each_part(numbers, [](float* first, int count) { MPI_Bcast(first, count, MPI_FLOAT, 0, MPI_COMM_WORLD); });
  }

 private:
  static constexpr std::size_t kMostNumbers = std::size_t{1} << 28;  // a call: MPI counts in int

  template <typename Ask>
  static int number_of(const Ask& ask, MPI_Comm processes) {
    int number = 0;
    ask(processes, &number);
    return number;
  }

  template <typename Number, typename Act>
  static void for_each_part(std::span<Number> numbers, const Act& act) {
    for (std::size_t begin = 0; begin < numbers.size(); begin += kMostNumbers) {
      act(numbers.data() + begin, static_cast<int>(std::min(kMostNumbers, numbers.size() - begin)));
    }
  }

  MPI_Comm machine_ = MPI_COMM_NULL;  // the processes on this machine
};

ProcessGroup ProcessGroup::of_launcher() {
  ProcessGroup group;
  const std::int64_t launched = launched_processes();
  if (launched == 1) return group;
  require_introduction(launched);
  group.mpi_ = std::make_shared<const Mpi>();
  group.rank_ = group.mpi_->rank();
  group.size_ = group.mpi_->size();
  if (group.size_ != launched) {
    throw Error(ErrorCode::kUnsupported,
                message("the launcher started ", launched, " processes, and MPI connects ", group.size_,
                        " of them; expected the mpirun of the MPI that refrag was built with, or srun --mpi=pmix"));
  }
  group.threads_ = group.mpi_->threads();
  return group;
}

void ProcessGroup::sum(std::span<float> numbers) const {
  if (mpi_) Mpi::sum(numbers, MPI_FLOAT);
}

void ProcessGroup::sum(std::span<double> numbers) const {
  if (mpi_) Mpi::sum(numbers, MPI_DOUBLE);
}

void ProcessGroup::copy_from_first(std::span<float> numbers) const {
  if (mpi_) Mpi::copy_from_first(numbers);
}

void ProcessGroup::barrier() const {
  if (mpi_) MPI_Barrier(MPI_COMM_WORLD);
}

void ProcessGroup::abort(int exit_code) const {
  if (mpi_) MPI_Abort(MPI_COMM_WORLD, exit_code);
  std::exit(exit_code);
}

#else

ProcessGroup ProcessGroup::of_launcher() {
  if (const std::int64_t launched = launched_processes(); launched > 1) {
    throw Error(
        ErrorCode::kUnsupported,
        message("the launcher started ", launched, " processes, and this refrag was built without MPI. Install ",
                "libopenmpi-dev and openmpi-bin, then configure it again with -D REFRAG_MPI=ON"));
  }
  return {};
}

void ProcessGroup::sum(std::span<float>) const {}
void ProcessGroup::sum(std::span<double>) const {}
void ProcessGroup::copy_from_first(std::span<float>) const {}
void ProcessGroup::barrier() const {}
void ProcessGroup::abort(int exit_code) const { std::exit(exit_code); }

#endif

std::string ProcessGroup::name() const {
  char host[256] = {};
  if (::gethostname(host, sizeof(host) - 1) != 0) host[0] = '\0';
  return message("process ", rank_ + 1, " of ", size_, " on ", host);
}

bool ProcessGroup::is_mine(std::uint64_t n) const {
  return n % static_cast<std::uint64_t>(size_) == static_cast<std::uint64_t>(rank_);
}

std::pair<std::size_t, std::size_t> ProcessGroup::range_of(std::size_t count) const {
  const auto size = static_cast<std::size_t>(size_);
  const auto rank = static_cast<std::size_t>(rank_);
  return {count * rank / size, count * (rank + 1) / size};
}

bool ProcessGroup::any(bool mine) const {
  double sum = mine ? 1 : 0;
  this->sum(std::span(&sum, 1));
  return sum > 0;
}

std::vector<std::int64_t> divide_work(std::span<const std::uint64_t> costs, std::int64_t processes) {
  std::vector<std::size_t> dearest_first(costs.size());
  std::iota(dearest_first.begin(), dearest_first.end(), std::size_t{0});
  std::stable_sort(dearest_first.begin(), dearest_first.end(),
                   [&](std::size_t a, std::size_t b) { return costs[a] > costs[b]; });
  std::vector<std::uint64_t> loads(static_cast<std::size_t>(processes), 0);
  std::vector<std::int64_t> owners(costs.size(), 0);
  for (const std::size_t n : dearest_first) {
    const auto lightest = std::min_element(loads.begin(), loads.end());
    *lightest += costs[n];
    owners[n] = lightest - loads.begin();
  }
  return owners;
}

}  // namespace refrag::train
