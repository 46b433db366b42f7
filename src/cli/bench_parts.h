#pragma once

namespace CLI {
class App;
}

namespace refrag::cli {

struct CommandContext;

// The parts of `refrag bench`.
void add_bench_latency(CLI::App& bench, CommandContext& context);
void add_bench_serve(CLI::App& bench, CommandContext& context);
void add_bench_index(CLI::App& bench, CommandContext& context);
void add_bench_search(CLI::App& bench, CommandContext& context);

}  // namespace refrag::cli
