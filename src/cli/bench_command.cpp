#include <CLI/CLI.hpp>

#include "cli/bench_parts.h"
#include "cli/commands.h"

namespace refrag::cli {

void add_bench_command(CLI::App& app, CommandContext& context) {
  CLI::App* bench = app.add_subcommand("bench", "Measure how fast it is on this machine");
  bench->require_subcommand(0, 1);
  bench->footer(R"(
Examples:
  refrag bench latency --shape tinyllama --contexts 2048,16384 --k 16,32 --repeat 5
  refrag bench serve --url http://127.0.0.1:8080 --question "What is the section of oomd?" --clients 1,8,64
  refrag bench index --model models/refrag-tiny data/packages-heldout.jsonl
  refrag bench search --passages 100000)");
  add_bench_latency(*bench, context);
  add_bench_serve(*bench, context);
  add_bench_index(*bench, context);
  add_bench_search(*bench, context);
}

}  // namespace refrag::cli
