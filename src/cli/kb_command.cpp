#include <CLI/CLI.hpp>
#include <iostream>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/message.h"
#include "cli/commands.h"
#include "cli/exit_code.h"
#include "cli/options.h"
#include "cli/print_json.h"
#include "cli/terminal.h"
#include "engine/answer_json.h"

namespace refrag::cli {
namespace {

struct KbFlags {
  std::string kb;
  std::vector<std::string> ids;
  std::string after;
  std::size_t limit = 100;
};

int run_list(const KbFlags& flags, bool json) {
  const DocumentPage page = open_knowledge_base(flags.kb)->list(flags.after, flags.limit);
  if (json) {
    print_json(to_json(page));
    return kDone;
  }
  for (const DocumentSummary& document : page.documents) {
    std::cout << printable(document.id) << '\t' << document.passages << " passages\t" << document.chunks << " chunks\t"
              << printable(document.title) << '\n';
  }
  if (!page.next.empty()) {
    std::cout << "more: --after " << printable(page.next) << '\n';
  }
  return kDone;
}

int run_get(const KbFlags& flags, bool json) {
  const auto base = open_knowledge_base(flags.kb);
  const std::optional<StoredDocument> stored = base->get(flags.ids.front());
  if (!stored) {
    throw Error(ErrorCode::kNotFound, message("no document '", flags.ids.front(), "' in ", flags.kb), "ID");
  }
  if (json) {
    print_json(to_json(*stored));
  } else {
    std::cout << printable(stored->document.text);
    if (!stored->document.text.ends_with('\n')) {
      std::cout << '\n';
    }
  }
  return kDone;
}

int run_delete(const KbFlags& flags, bool json) {
  const std::set<std::string> once(flags.ids.begin(), flags.ids.end());
  const std::vector<std::string> ids(once.begin(), once.end());
  const std::size_t removed = open_knowledge_base(flags.kb)->remove(ids);
  if (json) {
    print_json(Json{{"deleted", removed}, {"not_found", ids.size() - removed}});
  } else {
    std::cout << "deleted " << removed << " of " << ids.size() << '\n';
  }
  return removed == ids.size() ? kDone : kNotThere;
}

int run_stats(const KbFlags& flags, bool json) {
  const KnowledgeBaseStats stats = open_knowledge_base(flags.kb)->stats();
  if (json) {
    print_json(to_json(stats));
    return kDone;
  }
  std::cout << stats.documents << " documents, " << stats.passages << " passages, " << stats.chunks << " chunks of "
            << stats.schema.chunk_size << " tokens (" << stats.tokens << " tokens)\n"
            << stats.segments << " segments, " << stats.dead_rows << " dead rows; vectors " << stats.vector_bytes
            << " bytes (" << name_of(stats.schema.vector_format) << "), texts and index " << stats.metadata_bytes
            << " bytes\nmade by " << printable(stats.schema.model_name) << ", chunks "
            << printable(stats.schema.identities.chunks.substr(0, 12)) << ", passages "
            << printable(stats.schema.identities.passages.substr(0, 12)) << '\n';
  return kDone;
}

int run_merge(const KbFlags& flags, bool json) {
  const auto base = open_knowledge_base(flags.kb);
  base->merge();
  const KnowledgeBaseStats stats = base->stats();
  if (json) {
    print_json(to_json(stats));
  } else {
    std::cout << stats.segments << " segments, " << stats.dead_rows << " dead rows\n";
  }
  return kDone;
}

CLI::App* declare(CLI::App& kb, const char* name, const char* what, const std::shared_ptr<KbFlags>& flags,
                  CommandContext& context, int (*run)(const KbFlags&, bool)) {
  CLI::App* command = kb.add_subcommand(name, what);
  command->add_option("--kb", flags->kb, "knowledge base directory")->required();
  command->add_flag("--json", context.json, "print JSON");
  command->callback(
      [flags, &context, run] { context.command = [flags, &context, run] { return run(*flags, context.json); }; });
  return command;
}

}  // namespace

void add_kb_command(CLI::App& app, CommandContext& context) {
  auto flags = std::make_shared<KbFlags>();
  CLI::App* kb = app.add_subcommand("kb", "Look into a knowledge base, or delete from it");
  kb->require_subcommand(0, 1);
  CLI::App* list = declare(*kb, "list", "Documents, by id", flags, context, run_list);
  list->add_option("--after", flags->after, "ids after this one");
  list->add_option("--limit", flags->limit, "documents at most")->check(CLI::Range(1, 100000))->capture_default_str();
  declare(*kb, "get", "A document's text", flags, context, run_get)
      ->add_option("ID", flags->ids, "document")
      ->required()
      ->expected(1);
  declare(*kb, "delete", "Delete documents", flags, context, run_delete)
      ->add_option("ID", flags->ids, "documents")
      ->required();
  declare(*kb, "stats", "Counts, bytes and identities", flags, context, run_stats);
  declare(*kb, "merge", "Fold segments together and drop what was deleted", flags, context, run_merge);
  kb->footer(R"(
Examples:
  refrag kb stats --kb kb/packages --json
  refrag kb list --kb kb/packages --limit 10
  refrag kb get --kb kb/packages oomd
  refrag kb delete --kb kb/packages oomd htop)");
}

}  // namespace refrag::cli
