// Adds three documents to a knowledge base and asks a question about one of them.
//   embed MODEL_DIR KB_DIR
#include <refrag/refrag.h>

#include <iostream>
#include <memory>
#include <variant>

namespace {

std::shared_ptr<refrag::KnowledgeBase> open_or_create(const char* directory, const refrag::ModelBundle& bundle) {
  if (refrag::KnowledgeBase::exists(directory)) {
    return refrag::KnowledgeBase::open(directory);
  }
  return refrag::KnowledgeBase::create(directory, bundle.schema());
}

void add_documents(const std::shared_ptr<const refrag::ModelBundle>& bundle,
                   const std::shared_ptr<refrag::KnowledgeBase>& base) {
  refrag::Indexer indexer(bundle, base);
  const auto results = indexer.add({
      {.id = "tide", .title = "tide", .text = "Package: tide\nSection: science\nVersion: 1.2-3\n", .metadata = {}},
      {.id = "dune", .title = "dune", .text = "Package: dune\nSection: games\nVersion: 4.5-6\n", .metadata = {}},
      {.id = "reef", .title = "reef", .text = "Package: reef\nSection: net\nVersion: 7.8-9\n", .metadata = {}},
  });
  for (const refrag::DocumentResult& result : results) {
    std::cout << result.id << ": " << refrag::name_of(result.status) << ' ' << result.error << '\n';
  }
}

void ask(refrag::Engine& engine, const std::string& question) {
  refrag::Query query;
  query.question = question;
  query.expand.fraction = 0.25;
  for (refrag::AnswerStream stream = engine.stream(query); const refrag::Event& event : stream) {
    if (const auto* token = std::get_if<refrag::TokenEvent>(&event)) {
      std::cout << token->text << std::flush;
    } else if (const auto* answer = std::get_if<refrag::Answer>(&event)) {
      std::cout << "\nfrom " << (answer->citations.empty() ? "nowhere" : answer->citations.front().document_id) << ", "
                << answer->usage.context_tokens << " context tokens read as "
                << answer->usage.prompt_positions - answer->usage.question_tokens << " positions\n";
    } else if (const auto* error = std::get_if<refrag::Error>(&event)) {
      throw *error;
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::cerr << "usage: embed MODEL_DIR KB_DIR\n";
    return 2;
  }
  try {
    const auto bundle = refrag::ModelBundle::load(argv[1]);
    const auto base = open_or_create(argv[2], *bundle);
    add_documents(bundle, base);
    refrag::Engine engine(bundle, base);
    ask(engine, "What is the section of dune?");
  } catch (const refrag::Error& error) {
    std::cerr << refrag::name_of(error.code()) << ": " << error.what() << '\n';
    return 1;
  }
  return 0;
}
