// Commits batches with ever greater numbers to the knowledge base that it is told of, and prints each number once its
// commit is done. Runs until it is killed (kill_test.cpp).
#include <cstdlib>
#include <iostream>

#include "unit/store/kill_batches.h"

namespace refrag::testing {
namespace {

[[noreturn]] void commit_until_killed(const std::filesystem::path& directory) {
  const std::shared_ptr<KnowledgeBase> base = KnowledgeBase::open(directory);
  for (int number = count_batches(*base);; ++number) {
    base->commit(numbered_batch(number));
    std::cout << number << std::endl;  // flushed: what was printed was committed
  }
}

}  // namespace
}  // namespace refrag::testing

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: test_store_kill_child DIRECTORY\n";
    return EXIT_FAILURE;
  }
  try {
    refrag::testing::commit_until_killed(argv[1]);
  } catch (const refrag::Error& error) {
    std::cerr << error.what() << '\n';
    return EXIT_FAILURE;
  }
}
