#include "eval/setting.h"

#include "base/message.h"
#include "engine/model_runner.h"

namespace refrag {

const std::vector<EvalMode>& all_eval_modes() {
  static const std::vector<EvalMode> modes = {EvalMode::kNone, EvalMode::kLast, EvalMode::kRefrag, EvalMode::kFull};
  return modes;
}

const std::vector<EvalRule>& all_eval_rules() {
  static const std::vector<EvalRule> rules = {EvalRule::kPolicy,         EvalRule::kRandom,
                                              EvalRule::kFirst,          EvalRule::kSimilarity,
                                              EvalRule::kHighPerplexity, EvalRule::kLowPerplexity};
  return rules;
}

const char* name_of(EvalMode mode) {
  switch (mode) {
    case EvalMode::kNone:
      return "none";
    case EvalMode::kLast:
      return "last";
    case EvalMode::kRefrag:
      return "refrag";
    case EvalMode::kFull:
      return "full";
  }
  return "";
}

const char* name_of(EvalRule rule) {
  switch (rule) {
    case EvalRule::kPolicy:
      return "policy";
    case EvalRule::kRandom:
      return "random";
    case EvalRule::kFirst:
      return "first";
    case EvalRule::kSimilarity:
      return "similarity";
    case EvalRule::kHighPerplexity:
      return "high-perplexity";
    case EvalRule::kLowPerplexity:
      return "low-perplexity";
  }
  return "";
}

bool reads_perplexity(EvalRule rule) { return rule == EvalRule::kHighPerplexity || rule == EvalRule::kLowPerplexity; }

std::string label_of(const EvalSetting& setting) {
  if (setting.mode == EvalMode::kLast) {
    return "last tokens";
  }
  if (setting.mode != EvalMode::kRefrag) {
    return name_of(setting.mode);
  }
  const std::string share = message("refrag, ", setting.expand * 100, " % expanded");
  return setting.has_choice() ? message(share, " by ", name_of(setting.by)) : share;
}

std::vector<EvalSetting> make_settings(const std::vector<EvalMode>& modes, const std::vector<double>& shares,
                                       const std::vector<EvalRule>& rules) {
  std::vector<EvalSetting> settings;
  for (const EvalMode mode : modes) {
    if (mode != EvalMode::kRefrag) {
      settings.push_back({.mode = mode});
      continue;
    }
    for (const double share : shares) {
      for (const EvalRule rule : rules) {
        settings.push_back({.mode = mode, .expand = share, .by = rule});
        if (!settings.back().has_choice()) {
          break;
        }
      }
    }
  }
  return settings;
}

std::string what_lacks(const EvalSetting& setting, const ModelInfo& model) {
  const bool compresses = setting.mode == EvalMode::kRefrag || setting.mode == EvalMode::kLast;
  if (compresses && model.chunk_size == 0) {
    return "chunk encoder";
  }
  if (setting.has_choice() && setting.by == EvalRule::kPolicy && !model.has_policy) {
    return "expansion policy";
  }
  return "";
}

}  // namespace refrag
