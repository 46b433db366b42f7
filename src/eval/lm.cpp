#include "eval/lm.h"

#include <algorithm>
#include <fstream>
#include <map>
#include <numeric>
#include <random>
#include <span>
#include <utility>

#include "base/json_reader.h"
#include "base/message.h"
#include "engine/budget.h"
#include "engine/ranking.h"
#include "eval/scoring.h"
#include "refrag/error.h"
#include "text/chunker.h"

namespace refrag {
namespace {

using TokenIds = std::span<const TokenId>;

void add_tokens(std::vector<Entry>& entries, TokenIds ids) {
  for (const TokenId id : ids) {
    entries.push_back({.token = id});
  }
}

ExpandBy engine_rule(EvalRule rule) {
  return rule == EvalRule::kPolicy   ? ExpandBy::kPolicy
         : rule == EvalRule::kRandom ? ExpandBy::kRandom
         : rule == EvalRule::kFirst  ? ExpandBy::kFirst
                                     : ExpandBy::kSimilarity;
}

/// One stretch of a document: a context and what follows it. Chunk vectors, and the order in which each rule expands
/// the chunks, are made once for all rows.
class LmWindow {
 public:
  /// `bos` is empty where the model has none: then no row predicts the target's first token.
  LmWindow(ModelRunner& runner, std::vector<TokenId> bos, TokenIds context, TokenIds target, std::uint64_t seed)
      : runner_(runner), bos_(std::move(bos)), context_(context), target_(target), seed_(seed) {
    const std::size_t k = runner_.info().chunk_size;
    for (std::size_t begin = 0; k > 0 && begin < context_.size(); begin += k) {
      chunks_.push_back(context_.subspan(begin, std::min(k, context_.size() - begin)));
    }
  }

  /// Nats, of all predicted tokens together.
  double loss(const EvalSetting& setting) {
    std::vector<Entry> entries;
    add_tokens(entries, bos_);
    add_context(entries, setting);
    context_positions_ = entries.size() - bos_.size();
    add_tokens(entries, target_);
    const std::size_t first = entries.size() - predicted();
    const std::vector<double> losses = token_losses(runner_, entries, &projected_, first);
    return std::accumulate(losses.begin(), losses.end(), 0.0);
  }

  std::size_t predicted() const { return target_.size() - (bos_.empty() ? 1 : 0); }
  std::size_t context_positions() const { return context_positions_; }  // of the setting that was asked for last

 private:
  void add_context(std::vector<Entry>& entries, const EvalSetting& setting) {
    switch (setting.mode) {
      case EvalMode::kNone:
        return;
      case EvalMode::kFull:
        return add_tokens(entries, context_);
      case EvalMode::kLast:
        return add_tokens(entries, context_.last(chunks_.size()));
      case EvalMode::kRefrag:
        break;
    }
    encode();
    const std::vector<bool> expanded = choose(setting);
    for (std::size_t chunk = 0; chunk < chunks_.size(); ++chunk) {
      if (expanded[chunk]) {
        add_tokens(entries, chunks_[chunk]);
      } else {
        entries.push_back({.row = static_cast<std::int32_t>(chunk)});
      }
    }
  }

  void encode() {
    if (projected_.rows > 0) {
      return;
    }
    std::vector<std::vector<TokenId>> chunks;
    for (const TokenIds chunk : chunks_) {
      chunks.emplace_back(chunk.begin(), chunk.end());
    }
    vectors_ = runner_.encode_chunks(chunks);
    projected_ = runner_.project(vectors_);
  }

  std::vector<bool> choose(const EvalSetting& setting) {
    std::vector<bool> expanded(chunks_.size(), setting.expand == 1);
    if (setting.has_choice()) {
      const std::vector<std::size_t>& order = order_of(setting.by);
      for (std::size_t n = 0; n < chunks_within_fraction(setting.expand, chunks_.size()); ++n) {
        expanded[order[n]] = true;
      }
    }
    return expanded;
  }

  const std::vector<std::size_t>& order_of(EvalRule rule) {
    const auto [at, is_new] = orders_.try_emplace(rule);
    if (is_new) {
      at->second = reads_perplexity(rule) ? by_perplexity(rule == EvalRule::kHighPerplexity) : by_vectors(rule);
    }
    return at->second;
  }

  std::vector<std::size_t> by_vectors(EvalRule rule) const {
    const auto last = vectors_.row(vectors_.rows - 1);
    const Matrix question{1, vectors_.width, {last.begin(), last.end()}};
    return rank_chunks(engine_rule(rule), {question, vectors_, &projected_}, seed_, runner_).order;
  }

  std::vector<std::size_t> by_perplexity(bool highest_first) {
    if (chunk_losses_.empty()) {
      MixedInput input;
      input.add_tokens(bos_);
      for (const TokenIds chunk : chunks_) {
        input.add_chunk(0, {chunk.begin(), chunk.end()}, true);
      }
      chunk_losses_ = chunk_losses(runner_, input);
    }
    std::vector<float> scores;
    for (const double loss : chunk_losses_) {
      scores.push_back(static_cast<float>(highest_first ? loss : -loss));
    }
    return rank_by_scores(scores).order;
  }

  ModelRunner& runner_;
  std::vector<TokenId> bos_;
  TokenIds context_;
  TokenIds target_;
  std::uint64_t seed_;
  std::vector<TokenIds> chunks_;
  Matrix vectors_;                    // [chunks, d_enc]
  Matrix projected_;                  // [chunks, d_dec]
  std::vector<double> chunk_losses_;  // empty until a rule asks for them
  std::map<EvalRule, std::vector<std::size_t>> orders_;
  std::size_t context_positions_ = 0;
};

/// Sums over the windows of one document, by row.
struct DocumentLosses {
  std::vector<double> losses;
  double tokens = 0;
};

class LmEvaluation {
 public:
  LmEvaluation(ModelRunner& runner, const LmOptions& options) : runner_(runner), options_(options) {
    const ModelInfo& info = runner_.info();
    if (info.prompt.bos && info.tokenizer->bos()) {
      bos_ = {*info.tokenizer->bos()};
    }
    for (const EvalSetting& setting : options_.settings) {
      const std::string lacks = what_lacks(setting, info);
      if (!lacks.empty()) {
        throw Error(ErrorCode::kUnsupported,
                    message("row '", label_of(setting), "': model ", info.name, " has no ", lacks), "settings");
      }
    }
    const std::size_t positions = bos_.size() + window();
    if (positions > info.context_length) {
      throw Error(ErrorCode::kInvalidArgument,
                  message("--context ", options_.context, " and --target ", options_.target, " make ", positions,
                          " positions; the model's context length is ", info.context_length),
                  "--context");
    }
    if (options_.context == 0 || options_.target < 2) {
      throw Error(ErrorCode::kInvalidArgument,
                  message("--context is ", options_.context, " and --target ", options_.target,
                          "; expected 1 or more and 2 or more"),
                  "--context");
    }
    report_.rows.resize(options_.settings.size());
  }

  std::size_t window() const { return options_.context + options_.target; }
  std::size_t documents() const { return documents_.size(); }

  /// False for a document without a whole window.
  bool add(const std::string& text) {
    const std::vector<TokenId> ids = runner_.info().tokenizer->encode(normalize_document_text(text));
    longest_ = std::max(longest_, ids.size());
    const std::size_t whole = ids.size() / window();
    const std::size_t count = options_.windows == 0 ? whole : std::min(whole, options_.windows);
    if (count == 0) {
      ++report_.too_short;
      return false;
    }
    DocumentLosses document{std::vector<double>(options_.settings.size()), 0};
    for (std::size_t n = 0; n < count; ++n) {
      const TokenIds tokens = TokenIds(ids).subspan(n * window(), window());
      LmWindow window(runner_, bos_, tokens.first(options_.context), tokens.subspan(options_.context),
                      options_.seed + report_.windows);
      for (std::size_t row = 0; row < options_.settings.size(); ++row) {
        document.losses[row] += window.loss(options_.settings[row]);
        report_.rows[row].context_positions += static_cast<double>(window.context_positions());
      }
      document.tokens += static_cast<double>(window.predicted());
      report_.target_tokens += window.predicted();
      ++report_.windows;
    }
    documents_.push_back(std::move(document));
    return true;
  }

  LmReport finish(bool interrupted) {
    report_.interrupted = interrupted;
    report_.documents = documents_.size();
    if (documents_.empty()) {
      if (interrupted) {
        report_.rows.clear();
        return std::move(report_);
      }
      throw Error(ErrorCode::kInvalidArgument,
                  message("none of ", report_.too_short, " documents has the ", window(), " tokens of --context ",
                          options_.context, " and --target ", options_.target, "; the longest has ", longest_),
                  "--data");
    }
    fill_rows();
    return std::move(report_);
  }

 private:
  void fill_rows() {
    std::vector<std::vector<double>> columns(options_.settings.size() + 1);
    for (const DocumentLosses& document : documents_) {
      for (std::size_t row = 0; row < document.losses.size(); ++row) {
        columns[row].push_back(document.losses[row]);
      }
      columns.back().push_back(document.tokens);
    }
    std::vector<Resampled> figures = resampled_sums(columns, options_.resamples, options_.seed);
    const Resampled tokens = figures.back();
    figures.pop_back();
    for (Resampled& sums : figures) {
      sums = ratio(sums, tokens);
    }
    const Resampled* none = nullptr;
    const Resampled* full = nullptr;
    for (std::size_t row = 0; row < figures.size(); ++row) {
      const EvalMode mode = options_.settings[row].mode;
      none = mode == EvalMode::kNone ? &figures[row] : none;
      full = mode == EvalMode::kFull ? &figures[row] : full;
    }
    for (std::size_t row = 0; row < figures.size(); ++row) {
      LmRow& filled = report_.rows[row];
      filled.setting = options_.settings[row];
      filled.log_perplexity = estimate(figures[row]);
      filled.context_positions /= static_cast<double>(report_.windows);
      if (none != nullptr && full != nullptr) {
        filled.gap_recovered = gap_estimate(*none, figures[row], *full, true);
      }
    }
  }

  ModelRunner& runner_;
  const LmOptions& options_;
  std::vector<TokenId> bos_;
  std::vector<DocumentLosses> documents_;
  std::size_t longest_ = 0;  // document, tokens
  LmReport report_;
};

std::string read_text(const std::string& line, const std::string& where) {
  Json json;
  try {
    json = parse_json(line, where);
  } catch (const Error& error) {
    throw Error(ErrorCode::kCorrupt, error.what(), error.param());  // a file's fault, not the caller's
  }
  JsonReader row(json, where, ErrorCode::kCorrupt);
  return row.text("text");
}

}  // namespace

std::vector<std::string> read_texts(const std::filesystem::path& file, std::uint64_t seed) {
  std::ifstream in(file);
  if (!in) {
    throw Error(ErrorCode::kNotFound, message(file.string(), " cannot be opened"), "--data");
  }
  std::vector<std::string> texts;
  std::string line;
  for (std::size_t number = 1; std::getline(in, line); ++number) {
    if (!line.empty()) {
      texts.push_back(read_text(line, message(file.string(), ":", number)));
    }
  }
  if (texts.empty()) {
    throw Error(ErrorCode::kCorrupt, message(file.string(), " has no documents"), "--data");
  }
  std::mt19937_64 draw(seed);
  for (std::size_t n = texts.size(); n > 1; --n) {  // std::shuffle differs between standard libraries
    std::swap(texts[n - 1], texts[static_cast<std::size_t>(draw() % n)]);
  }
  return texts;
}

LmReport evaluate_lm(const std::shared_ptr<ModelRunner>& runner, const std::vector<std::string>& texts,
                     const LmOptions& options,
                     const std::function<bool(std::size_t done, std::size_t total)>& on_progress) {
  LmEvaluation evaluation(*runner, options);
  bool interrupted = false;
  const auto is_enough = [&] { return options.documents > 0 && evaluation.documents() == options.documents; };
  for (std::size_t n = 0; n < texts.size() && !interrupted && !is_enough(); ++n) {
    evaluation.add(texts[n]);
    const bool counts_all = options.documents == 0 || options.documents >= texts.size();
    const std::size_t done = counts_all ? n + 1 : evaluation.documents();
    interrupted = on_progress && !on_progress(done, counts_all ? texts.size() : options.documents);
  }
  return evaluation.finish(interrupted);
}

}  // namespace refrag
