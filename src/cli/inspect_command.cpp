#include <CLI/CLI.hpp>
#include <iomanip>
#include <iostream>
#include <memory>
#include <string>

#include "cli/commands.h"
#include "cli/exit_code.h"
#include "cli/print_json.h"
#include "cli/terminal.h"
#include "refrag/model_bundle.h"

namespace refrag::cli {
namespace {

Json to_json(const BundleReport& report) {
  Json parts = Json::array();
  for (const PartReport& part : report.parts) {
    Json shape = Json::object();
    for (const auto& [name, value] : part.shape) {
      shape[name] = value;
    }
    parts.push_back({{"name", part.name},
                     {"architecture", part.architecture},
                     {"dtype", part.stored_dtype},
                     {"parameters", part.parameters},
                     {"bytes", part.bytes},
                     {"shape", shape}});
  }
  return {{"name", report.name},
          {"chunk_size", report.chunk_size},
          {"parts", parts},
          {"identities",
           {{"chunks", report.identities.chunks},
            {"passages", report.identities.passages},
            {"projector", report.projector_identity}}},
          {"problems", report.problems}};
}

void print(const BundleReport& report) {
  std::cout << printable(report.name) << ", chunks of " << report.chunk_size << " tokens\n";
  for (const PartReport& part : report.parts) {
    std::cout << "  " << std::left << std::setw(10) << printable(part.name) << ' ' << printable(part.architecture)
              << ", " << part.parameters << " parameters, " << printable(part.stored_dtype) << ", " << part.bytes
              << " bytes\n";
    for (const auto& [name, value] : part.shape) {
      std::cout << "      " << printable(name) << ": " << value << '\n';
    }
  }
  std::cout << "  identity of chunks     " << report.identities.chunks << "\n  identity of passages   "
            << report.identities.passages << "\n  identity of projector  " << report.projector_identity << '\n';
  for (const std::string& problem : report.problems) {
    std::cout << "problem: " << printable(problem) << '\n';
  }
  if (report.problems.empty()) {
    std::cout << "no problems found\n";
  }
}

}  // namespace

void add_inspect_command(CLI::App& app, CommandContext& context) {
  auto directory = std::make_shared<std::string>();
  CLI::App* command = app.add_subcommand("inspect", "Show what a model bundle holds, and any problem with it");
  command->add_option("BUNDLE", *directory, "model bundle, or a Hugging Face LLaMA directory")->required();
  command->add_flag("--json", context.json, "print the report as JSON");
  command->footer("\nExits with 4 where a problem was found.\n\nExample:\n  refrag inspect models/refrag-tiny");
  command->callback([directory, &context] {
    context.command = [directory, &context] {
      const BundleReport report = ModelBundle::inspect(*directory);
      if (context.json) {
        print_json(to_json(report), 2);
      } else {
        print(report);
      }
      return report.problems.empty() ? kDone : kWrongData;
    };
  });
}

}  // namespace refrag::cli
