#include "cli/app.h"

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <vector>

#include "base/log.h"
#include "cli/commands.h"
#include "cli/exit_code.h"
#include "cli/print_json.h"
#include "cli/terminal.h"
#include "engine/answer_json.h"
#include "refrag/error.h"
#include "refrag/version.h"

namespace refrag::cli {
namespace {

constexpr const char* kFooter = R"(
Examples:
  refrag index --model models/refrag-tiny --kb kb/packages data/packages-heldout.jsonl
  refrag query --model models/refrag-tiny --kb kb/packages "What is the section of oomd?"
  refrag inspect models/refrag-tiny

Exit codes: 0 done, 1 failure, 2 wrong use or input, 3 not found, 4 damaged or mismatched data, 5 busy (try again),
6 done, but some documents were left out, 130 interrupted.)";

int report(const Error& error, const CommandContext& context) {
  std::cerr << "refrag: error: " << printable(error.what()) << '\n';
  if (context.json) {
    print_json(context.events ? event_json(error) : event_data(error));
  }
  if (context.after_error) context.after_error(exit_code_of(error.code()));
  return exit_code_of(error.code());
}

}  // namespace

int run(int argc, const char* const* argv) {
  CLI::App app(
      "Answers questions over documents, many times faster: context is compressed, and expanded where it matters.",
      "refrag");
  app.set_version_flag("--version", kVersion);
  app.require_subcommand(0, 1);  // not 1, here and in groups: a misspelt command would be told as a missing one
  app.footer(kFooter);
  app.get_formatter()->column_width(34);
  std::string log_level = "warning";
  app.add_option("--log-level", log_level, "debug, info, warning, error or off")->capture_default_str();

  CommandContext context;
  add_index_command(app, context);
  add_query_command(app, context);
  add_search_command(app, context);
  add_inspect_command(app, context);
  add_kb_command(app, context);
  add_eval_command(app, context);
  add_bench_command(app, context);
  add_train_command(app, context);

  try {
    app.parse(argc, argv);
    configure_log({.level = parse_log_level(log_level)});
    if (!context.command) {
      const std::vector<CLI::App*> chosen = app.get_subcommands();
      std::cerr << (chosen.empty() ? app.help() : chosen.front()->help());
      return kWrongUse;
    }
    return context.command();
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kDone : kWrongUse;
  } catch (const Error& error) {
    return report(error, context);
  } catch (const std::exception& error) {
    return report(Error(ErrorCode::kInternal, error.what()), context);
  }
}

}  // namespace refrag::cli
