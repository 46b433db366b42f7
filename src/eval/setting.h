#pragma once
#include <string>
#include <vector>

namespace refrag {

struct ModelInfo;

/// What a row's prompts hold of the context.
enum class EvalMode {
  kNone,    // nothing
  kLast,    // its last tokens, in as many positions as the compressed context has
  kRefrag,  // one vector a chunk, some chunks as tokens
  kFull,    // all of it as tokens
};

/// Who picks the chunks to expand. The last two are the paper's heuristics: log-perplexity of a chunk under the decoder
/// itself, which reads the context as tokens for it.
enum class EvalRule { kPolicy, kRandom, kFirst, kSimilarity, kHighPerplexity, kLowPerplexity };

/// One way to read the context: a row of the table.
struct EvalSetting {
  EvalMode mode = EvalMode::kRefrag;
  double expand = 0;  // share of the chunks, mode refrag
  EvalRule by = EvalRule::kPolicy;

  /// Whether the rule matters: with none or all of the chunks expanded every rule picks the same.
  bool has_choice() const { return mode == EvalMode::kRefrag && expand > 0 && expand < 1; }
};

const std::vector<EvalMode>& all_eval_modes();
const std::vector<EvalRule>& all_eval_rules();
const char* name_of(EvalMode mode);
const char* name_of(EvalRule rule);
bool reads_perplexity(EvalRule rule);

/// "refrag, 10 % expanded by policy".
std::string label_of(const EvalSetting& setting);

/// The rows of a table: each mode, and mode refrag once for each share and rule.
std::vector<EvalSetting> make_settings(const std::vector<EvalMode>& modes, const std::vector<double>& shares,
                                       const std::vector<EvalRule>& rules);

/// What the model lacks for the setting: "chunk encoder", "expansion policy"; empty where it can do it.
std::string what_lacks(const EvalSetting& setting, const ModelInfo& model);

}  // namespace refrag
