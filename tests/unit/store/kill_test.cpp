#include <fcntl.h>
#include <gmock/gmock.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <random>
#include <string>
#include <thread>

#include "unit/store/kill_batches.h"

namespace refrag::testing {
namespace {

/// The child process that commits, and what it reported. Killed at the latest when it goes out of scope.
class Child {
 public:
  explicit Child(const std::filesystem::path& directory) {
    std::array<int, 2> ends{};
    EXPECT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    std::string program = std::string(REFRAG_BIN_DIR) + "/test_store_kill_child";
    std::string argument = directory.string();
    std::array<char*, 3> arguments = {program.data(), argument.data(), nullptr};
    EXPECT_EQ(::posix_spawn(&process_, program.c_str(), &actions, nullptr, arguments.data(), environ), 0);
    posix_spawn_file_actions_destroy(&actions);
    ::close(ends[1]);
    reports_ = ::fdopen(ends[0], "r");
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child() {
    kill();
    (void)std::fclose(reports_);
  }

  /// The number of the next batch it reports; -1 once it is gone and all its reports are read.
  int next_report() {
    int number = -1;
    return std::fscanf(reports_, "%d\n", &number) == 1 ? number : -1;
  }
  void kill() {
    if (process_ > 0) {
      ::kill(process_, SIGKILL);
      ::waitpid(process_, nullptr, 0);
      process_ = -1;
    }
  }

 private:
  pid_t process_ = -1;
  std::FILE* reports_ = nullptr;
};

int number_of_kills() {
  const char* setting = std::getenv("REFRAG_KILLS");
  return setting == nullptr ? 20 : std::atoi(setting);
}

class KillTest : public StoreTest {};

TEST_F(KillTest, LosesNoReportedBatchAndShowsNoHalfOne) {
  create();
  close();
  std::mt19937 random(7);
  int reported = 0;  // batches that the base must hold
  for (int kill = 0; kill < number_of_kills(); ++kill) {
    Child child(path());
    // Any moment will do: after some batches, and then somewhere within the next.
    for (std::uint32_t batches = random() % 14; batches > 0; --batches) {
      const int number = child.next_report();
      ASSERT_GE(number, 0) << "the child stopped by itself";
      reported = number + 1;
    }
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 20'000));
    child.kill();
    for (int number = 0; (number = child.next_report()) >= 0;) {
      reported = number + 1;
    }

    const std::shared_ptr<KnowledgeBase> base = KnowledgeBase::open(path());

    const int held = count_batches(*base);
    ASSERT_GE(held, reported) << "a reported batch is gone after kill " << kill;
    ASSERT_LE(held, reported + 1) << "kill " << kill;
    ASSERT_EQ(document_ids(*base), ids_after(held)) << "kill " << kill;
    ASSERT_EQ(base->snapshot().passage_count(), ids_after(held).size());
    ASSERT_GT(read_everything(*base), 0U);
    ASSERT_EQ(segment_files().size(), 2 * base->stats().segments) << "strays are left after kill " << kill;
    reported = held;  // the next child starts from here, whether or not this one still came to report its last batch
  }
}

}  // namespace
}  // namespace refrag::testing
