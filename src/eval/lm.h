#pragma once
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "eval/bootstrap.h"
#include "eval/setting.h"

namespace refrag {

class ModelRunner;

/// One JSON object a line, field `text`; other fields are passed over. In an order drawn by the seed.
/// Throws kCorrupt naming file, line and field.
std::vector<std::string> read_texts(const std::filesystem::path& file, std::uint64_t seed);

struct LmOptions {
  std::vector<EvalSetting> settings;
  std::size_t context = 256;     // tokens, compressed in mode refrag: the paper's s
  std::size_t target = 128;      // tokens that are predicted after it: the paper's o
  std::size_t windows = 1;       // a document, one after another from its beginning; 0: all it has
  std::size_t documents = 0;     // as many as have a window; 0: all
  std::uint64_t seed = 1;        // of the rule random and of the bootstrap
  std::size_t resamples = 1000;  // of the bootstrap
};

struct LmRow {
  EvalSetting setting;
  Estimate log_perplexity;                // nats a target token
  std::optional<Estimate> gap_recovered;  // as QaRow::log_perplexity_gap
  double context_positions = 0;           // what stands between BOS and the target, mean
};

struct LmReport {
  std::vector<LmRow> rows;
  std::size_t documents = 0;
  std::size_t windows = 0;
  std::size_t target_tokens = 0;  // that every row predicts
  std::size_t too_short = 0;      // documents without a whole window
  bool interrupted = false;       // rows are over the documents that were done by then
};

/// Log-perplexity of what follows a context, which each setting reads in its way: BOS, the context's entries, then the
/// target's tokens, without a prompt template. Every row predicts the same tokens. Rules that read a question are given
/// the last chunk of the context for one. Intervals are over documents, whose windows are not independent.
/// `on_progress` returns false to stop. Throws kUnsupported for a setting that the model cannot do, kInvalidArgument
/// for a window longer than the model's context and where no document has one.
LmReport evaluate_lm(const std::shared_ptr<ModelRunner>& runner, const std::vector<std::string>& texts,
                     const LmOptions& options,
                     const std::function<bool(std::size_t done, std::size_t total)>& on_progress = {});

}  // namespace refrag
