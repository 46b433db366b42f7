#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "base/json_reader.h"
#include "cli/commands.h"
#include "eval/setting.h"

namespace refrag {
struct ModelInfo;
}

namespace refrag::cli {

void add_eval_qa(CLI::App& eval, CommandContext& context);
void add_eval_lm(CLI::App& eval, CommandContext& context);

/// A row that the model cannot give, and why.
struct RowLeftOut {
  std::string label;
  std::string reason;
};

struct RowChoice {
  std::vector<EvalSetting> settings;
  std::vector<RowLeftOut> left_out;
};

/// --modes, --expand, --by, --all-rows, and what belongs to any table: --seed, --resamples, --plot, --quiet.
class RowFlags {
 public:
  void declare(CLI::App& command);
  /// Before the model is loaded: throws for words that are not known, and a --plot that cannot be written.
  void check() const;
  /// The rows that the model can give. Throws kUnsupported for one that was asked for by name and that it cannot.
  RowChoice choose(const ModelInfo& model) const;

  std::uint64_t seed = 1;
  std::size_t resamples = 1000;
  std::string plot;  // a file; empty: none
  bool quiet = false;

 private:
  std::vector<EvalSetting> settings() const;
  bool is_given(const char* flag) const;

  const CLI::App* command_ = nullptr;
  std::vector<std::string> modes_ = {"none", "last", "refrag", "full"};
  std::vector<double> expand_ = {0, 0.1, 0.25};
  std::vector<std::string> by_ = {"policy", "random"};
  bool all_ = false;
};

/// On standard error, a line each.
void print_left_out(const RowChoice& choice);
Json left_out_json(const RowChoice& choice);
/// mode, and in mode refrag expand and by.
Json setting_json(const EvalSetting& setting);

}  // namespace refrag::cli
