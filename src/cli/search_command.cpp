#include <CLI/CLI.hpp>
#include <iostream>
#include <memory>
#include <string>

#include "cli/commands.h"
#include "cli/exit_code.h"
#include "cli/options.h"
#include "cli/passage_view.h"
#include "cli/print_json.h"
#include "engine/answer_json.h"
#include "refrag/engine.h"

namespace refrag::cli {
namespace {

struct SearchFlags {
  ModelFlags model;
  RetrieveFlags retrieve;
  std::string kb;
  std::string query;
};

int run_search(const SearchFlags& flags, bool json) {
  const RetrieveOptions options = flags.retrieve.options();
  const auto base = open_knowledge_base(flags.kb);
  const Engine engine(flags.model.load(ModelFlags::Use::kNoDecoder), base);
  const std::vector<Hit> hits = engine.search({flags.query, options});
  if (json) {
    print_json(Json{{"hits", to_json(hits, /*with_chunks=*/false)}});
    return kDone;
  }
  const Terminal terminal = Terminal::of_stdout();
  for (std::size_t n = 0; n < hits.size(); ++n) {
    std::cout << terminal.accent(heading_of(hits[n], n + 1)) << '\n' << printable(hits[n].text) << '\n';
  }
  if (hits.empty()) {
    std::cout << "nothing found\n";
  }
  return kDone;
}

}  // namespace

void add_search_command(CLI::App& app, CommandContext& context) {
  auto flags = std::make_shared<SearchFlags>();
  CLI::App* command = app.add_subcommand("search", "Find passages, without an answer");
  flags->model.declare(*command);
  command->add_option("--kb", flags->kb, "knowledge base directory")->required();
  command->add_option("QUERY", flags->query, "what to look for")->required();
  flags->retrieve.declare(*command);
  command->add_flag("--json", context.json, "print the hits as JSON");
  command->footer(R"(
Examples:
  refrag search --model models/refrag-tiny --kb kb/packages "wayland protocol"
  refrag search --model models/refrag-tiny --kb kb/packages --filter section=utils --top-k 3 monitor)");
  command->callback(
      [flags, &context] { context.command = [flags, &context] { return run_search(*flags, context.json); }; });
}

}  // namespace refrag::cli
