#pragma once
#include <memory>
#include <string>
#include <vector>

#include "refrag/knowledge_base.h"
#include "refrag/model_bundle.h"
#include "refrag/query.h"

namespace CLI {
class App;
}

namespace refrag::cli {

/// --model, --threads, --dtype, --device: the same wherever a model is used.
struct ModelFlags {
  std::string directory;
  std::string dtype = "auto";
  std::string device = "cpu";
  std::size_t threads = 0;

  void declare(CLI::App& command);
  enum class Use { kAll, kNoDecoder };
  /// Without use for the decoder its weights stay on disk.
  std::shared_ptr<const ModelBundle> load(Use use = Use::kAll) const;
};

/// --top-k, --retrieve, --filter, --min-score.
struct RetrieveFlags {
  std::size_t top_k = 8;
  std::string mode;
  std::vector<std::string> filter;
  double min_score = 0;

  void declare(CLI::App& command);
  RetrieveOptions options() const;
};

/// What --dtype takes.
std::vector<std::string> dtype_words();
Dtype parse_dtype(const std::string& word);
/// The words a flag takes, in the enum's order, as JSON spells them too.
Mode parse_mode(const std::string& word);
ExpandBy parse_expand_by(const std::string& word);

/// key=value pairs to a filter: true and false, whole and decimal numbers are taken as such, all else as text;
/// key="7" (with the quotes) is text.
Metadata parse_filter(const std::vector<std::string>& pairs);

/// Throws kNotFound with advice where there is no knowledge base.
std::shared_ptr<KnowledgeBase> open_knowledge_base(const std::string& directory);

}  // namespace refrag::cli
