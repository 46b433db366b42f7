#include <CLI/CLI.hpp>

#include "cli/commands.h"
#include "cli/eval_rows.h"

namespace refrag::cli {

void add_eval_command(CLI::App& app, CommandContext& context) {
  CLI::App* eval = app.add_subcommand("eval", "Measure how good a bundle's answers and predictions are");
  eval->require_subcommand(0, 1);
  eval->footer(
      "\nExamples:\n  refrag eval qa --model models/refrag-tiny --data data/qa-heldout.jsonl --limit 384\n"
      "  refrag eval lm --model models/refrag-tiny --data data/packages-heldout.jsonl --context 48 --target 32");
  add_eval_qa(*eval, context);
  add_eval_lm(*eval, context);
}

}  // namespace refrag::cli
