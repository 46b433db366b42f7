#pragma once
#include <functional>

#include "base/json_reader.h"

namespace CLI {
class App;
}

namespace refrag::cli {

/// What parsing leaves behind: the command that was named, ready to run, and how to print its result.
struct CommandContext {
  std::function<int()> command;  // returns an exit code; throws refrag::Error
  bool json = false;
  bool events = false;                             // with `json`: one event a line, an error being the last of them
  std::function<void(int exit_code)> after_error;  // where there is more to do than to print it
};

// One function a command, each in its own source: declares the options and sets `context.command` when it is named.
void add_index_command(CLI::App& app, CommandContext& context);
void add_query_command(CLI::App& app, CommandContext& context);
void add_search_command(CLI::App& app, CommandContext& context);
void add_inspect_command(CLI::App& app, CommandContext& context);
void add_kb_command(CLI::App& app, CommandContext& context);
void add_eval_command(CLI::App& app, CommandContext& context);
void add_bench_command(CLI::App& app, CommandContext& context);
void add_train_command(CLI::App& app, CommandContext& context);

}  // namespace refrag::cli
