#include "bench/latency_report.h"

#include <algorithm>
#include <sstream>

#include "base/message.h"

namespace refrag::bench {
namespace {

constexpr double kMiB = 1 << 20;
constexpr double kGiga = 1e9;
constexpr double kMsASecond = 1000;

/// The row of full context that a row is compared with; null where it could not run.
const LatencyRow* full_of(const LatencyReport& report, const LatencyRow& row) {
  for (const LatencyRow& other : report.rows) {
    if (other.setting.context == row.setting.context && other.setting.mode == Mode::kFull && other.error.empty()) {
      return &other;
    }
  }
  return nullptr;
}

double scaled(const LatencyReport& report, double ms) {
  return scale_to_layers(ms, report.machine.outside_ms, report.layers_run, report.decoder.layers);
}

std::vector<double> ttft_of(const LatencyReport& report, const std::vector<Timings>& runs) {
  std::vector<double> times;
  for (const Timings& run : runs) times.push_back(run.ttft - run.prefill + scaled(report, run.prefill));
  return times;
}

LatencyFigures::Times times_of(const LatencyReport& report, const LatencyRow& row) {
  return {ttft_of(report, row.cold), ttft_of(report, row.warm), ttft_of(report, row.steady)};
}

std::vector<double> with_warm_and_steady(const LatencyReport& report, const LatencyRow& row, double Timings::*phase) {
  std::vector<double> times;
  for (const std::vector<Timings>* runs : {&row.warm, &row.steady}) {
    for (const Timings& run : *runs) times.push_back(scaled(report, run.*phase));
  }
  return times;
}

/// Milliseconds that all answers of a batch took, one a run. Cut models are compared one request at a time alone.
std::vector<double> elapsed_of(const LatencyReport& report, const LatencyRow& row, std::size_t batch) {
  std::vector<double> times;
  if (batch == 1) {
    const std::vector<double> first = ttft_of(report, row.steady);
    for (std::size_t n = 0; n < first.size(); ++n) {
      const auto others = static_cast<double>(row.usage.completion_tokens) - 1;
      times.push_back(first[n] + others * scaled(report, row.steady[n].per_token));
    }
    return times;
  }
  for (const BatchRuns& runs : row.batches) {
    if (runs.batch == batch) return runs.elapsed_ms;
  }
  return times;
}

LatencyFigures::Throughput throughput_of(const LatencyReport& report, const LatencyRow& row, const LatencyRow* full,
                                         const BatchRuns& runs) {
  const std::vector<double> elapsed = elapsed_of(report, row, runs.batch);
  std::vector<double> prompts, tokens;
  for (const double ms : elapsed) {
    prompts.push_back(kMsASecond * static_cast<double>(runs.batch) / ms);
    tokens.push_back(kMsASecond * static_cast<double>(runs.tokens) / ms);
  }
  LatencyFigures::Throughput throughput{runs.batch, spread_of(prompts), spread_of(tokens), {}};
  if (full != nullptr) throughput.ratio = spread_of_ratios(elapsed_of(report, *full, runs.batch), elapsed);
  return throughput;
}

double best_prompts(const std::vector<LatencyFigures::Throughput>& throughput) {
  double best = 0;
  for (const LatencyFigures::Throughput& of_batch : throughput) best = std::max(best, of_batch.prompts.median);
  return best;
}

double ideal_ms(const LatencyReport& report, const LatencyRow& row) {
  const OperationRates rates = report.machine.rates();
  double ms = ideal_prefill_ms(report.decoder, static_cast<double>(row.usage.prompt_positions), rates);
  if (!row.setting.cached) {
    constexpr std::size_t kAroundChunk = 2;  // the encoder's start and end
    ms += ideal_encode_ms(report.encoder, static_cast<double>(row.usage.chunks),
                          static_cast<double>(row.setting.chunk_size + kAroundChunk), rates);
  }
  return ms;
}

std::string percent(double share) { return text_of(100 * share, 0) + " %"; }

std::string or_dash(const std::optional<double>& value, int digits) { return value ? text_of(*value, digits) : "-"; }

// ---------------------------------------------------------------- JSON

/// Null where there is nothing.
Json optional_json(const std::optional<double>& value) { return value ? Json(*value) : Json(); }

Json to_json(const DecoderShape& shape) {
  return {{"name", shape.name},           {"layers", shape.layers},        {"width", shape.width},
          {"heads", shape.heads},         {"kv_heads", shape.kv_heads},    {"head_dim", shape.head_dim},
          {"ffn_width", shape.ffn_width}, {"vocab_size", shape.vocab_size}};
}

Json to_json(const MachineRates& machine) {
  Json attention = Json::object();
  for (const auto& [positions, rate] : machine.attention) attention[std::to_string(positions)] = rate / kGiga;
  return {{"gemm_gflops", machine.linear / kGiga},
          {"memory_gbytes", machine.memory / kGiga},
          {"attention_gflops", attention},
          {"head_ms", machine.outside_ms}};
}

Json phases_json(const std::vector<Timings>& runs) {
  const auto median = [&](double Timings::*phase) {
    std::vector<double> times;
    for (const Timings& run : runs) times.push_back(run.*phase);
    return percentile(times, 0.5);
  };
  return {{"queue", median(&Timings::queue)},        {"retrieve", median(&Timings::retrieve)},
          {"lookup", median(&Timings::lookup)},      {"encode", median(&Timings::encode)},
          {"project", median(&Timings::project)},    {"policy", median(&Timings::policy)},
          {"prefill", median(&Timings::prefill)},    {"ttft", median(&Timings::ttft)},
          {"per_token", median(&Timings::per_token)}};
}

Json setting_json(const LatencySetting& setting) {
  Json json = {{"context", setting.context}, {"prompt", label_of(setting)}, {"mode", name_of(setting.mode)}};
  if (setting.mode == Mode::kRefrag) {
    json.update({{"k", setting.chunk_size}, {"expand", setting.expand}, {"cached", setting.cached}});
  }
  return json;
}

Json row_json(const LatencyReport& report, const LatencyRow& row) {
  Json json = setting_json(row.setting);
  if (!row.error.empty()) {
    json["error"] = row.error;
    return json;
  }
  const LatencyFigures figures = figures_of(report, row);
  json["prompt_positions"] = row.usage.prompt_positions;
  json["chunks"] = row.usage.chunks;
  json["expanded"] = row.usage.expanded;
  json["encoded_chunks"] = row.usage.encoded_chunks;
  json["ttft_ms"] = {{"cold", to_json(spread_of(figures.ttft.cold))},
                     {"warm", to_json(spread_of(figures.ttft.warm))},
                     {"steady", to_json(spread_of(figures.ttft.steady))}};
  json["ttft_ratio"] = {{"cold", to_json(figures.cold_ratio)},
                        {"warm", to_json(figures.warm_ratio)},
                        {"steady", to_json(figures.steady_ratio)}};
  json["ideal_ratio"] = optional_json(figures.ideal_ratio);
  json["share_of_ideal"] = optional_json(figures.share_of_ideal);
  json["paper_ratio"] = optional_json(figures.paper_ratio);
  json["ttit_ms"] = to_json(spread_of(figures.per_token));
  json["ttit_ratio"] = to_json(figures.per_token_ratio);
  json["phases_ms"] = phases_json(row.steady);  // as measured, not scaled
  json["prefill_share_of_gemm"] = figures.prefill_share;
  json["decode_share_of_memory"] = figures.decode_share;
  json["kv_cache_bytes"] = figures.kv_bytes;
  json["peak_memory_bytes"] = row.peak_memory ? Json(*row.peak_memory) : Json();
  json["throughput"] = Json::array();
  for (const LatencyFigures::Throughput& throughput : figures.throughput) {
    json["throughput"].push_back({{"batch", throughput.batch},
                                  {"prompts_per_second", to_json(throughput.prompts)},
                                  {"tokens_per_second", to_json(throughput.tokens)},
                                  {"ratio", to_json(throughput.ratio)}});
  }
  json["best_throughput_ratio"] = optional_json(figures.best_throughput_ratio);
  return json;
}

// ---------------------------------------------------------------- Markdown

std::string heading(const LatencyReport& report) {
  const DecoderShape& shape = report.decoder;
  std::string text = message("Shape ", shape.name, " (", shape.layers, " layers, width ", shape.width,
                             ", random weights), ", report.dtype, ", encoder ", report.encoder.name, ", ",
                             report.threads, report.threads == 1 ? " thread, " : " threads, ", report.processor, ".\n");
  if (report.layers_run != shape.layers) {
    text += message("**Computed from measured layers**: ", report.layers_run, " of ", shape.layers,
                    " layers ran; prefill and decoding are scaled to all, but for the head. Peak memory is not.\n");
  }
  text += message("Machine: GEMM ", text_of(report.machine.linear / kGiga, 1), " GFLOP/s, memory ",
                  text_of(report.machine.memory / kGiga, 1), " GB/s, attention ");
  for (const auto& [positions, rate] : report.machine.attention) {
    text += message(positions == report.machine.attention.begin()->first ? "" : ", ", text_of(rate / kGiga, 0), " at ",
                    positions);
  }
  text += message(
      " GFLOP/s.\n\nTTFT runs from the question's arrival at the engine to its first token: queueing, lexical "
      "retrieval of passages of 256 tokens and look-up of their chunk vectors (\"on the spot\": cutting and encoding "
      "passages that came with it), projection, policy, prefill and the first token's choice. Cold: engine and "
      "knowledge base just opened, files not in memory, weights loaded. Warm: the same question again. Steady: each "
      "question about passages never asked for before. Median (least to most) of ",
      report.plan.repeat, " runs.\n\n");
  return text;
}

void add_row(std::ostringstream& out, const LatencyReport& report, const LatencyRow& row) {
  out << "| " << row.setting.context << " | " << label_of(row.setting) << " | ";
  if (!row.error.empty()) {
    out << "could not run: " << row.error << " |\n";
    return;
  }
  const LatencyFigures figures = figures_of(report, row);
  const bool is_full = row.setting.mode == Mode::kFull;
  const auto ratio = [&](const Spread& spread) { return is_full ? "1" : text_of(spread, 2); };
  out << row.usage.prompt_positions << " | " << text_of(spread_of(figures.ttft.cold), 1) << " | "
      << text_of(spread_of(figures.ttft.warm), 1) << " | " << text_of(spread_of(figures.ttft.steady), 1) << " | "
      << ratio(figures.cold_ratio) << " | " << ratio(figures.warm_ratio) << " | " << ratio(figures.steady_ratio)
      << " | " << or_dash(figures.ideal_ratio, 1) << " | "
      << (figures.share_of_ideal ? percent(*figures.share_of_ideal) : "-") << " | " << or_dash(figures.paper_ratio, 2)
      << " | " << text_of(spread_of(figures.per_token), 2) << " | " << percent(figures.prefill_share) << " | "
      << percent(figures.decode_share) << " | " << text_of(figures.kv_bytes / kMiB, 1) << " | "
      << (row.peak_memory ? text_of(static_cast<double>(*row.peak_memory) / kMiB, 0) : "-") << " |\n";
}

void add_throughput(std::ostringstream& out, const LatencyReport& report, const LatencyRow& row) {
  if (!row.error.empty()) return;
  const LatencyFigures figures = figures_of(report, row);
  for (const LatencyFigures::Throughput& throughput : figures.throughput) {
    out << "| " << row.setting.context << " | " << label_of(row.setting) << " | " << throughput.batch << " | "
        << text_of(throughput.prompts, 3) << " | " << text_of(throughput.tokens, 2) << " | "
        << (row.setting.mode == Mode::kFull ? "1" : text_of(throughput.ratio, 2)) << " |\n";
  }
  if (figures.throughput.size() > 1 && figures.best_throughput_ratio) {
    out << "| " << row.setting.context << " | " << label_of(row.setting) << " | best of each | "
        << text_of(best_prompts(figures.throughput), 3) << " | - | " << text_of(*figures.best_throughput_ratio, 2)
        << " |\n";
  }
}

// ---------------------------------------------------------------- charts

/// The rows of one kind of prompt, one a context.
std::vector<const LatencyRow*> rows_like(const LatencyReport& report, LatencySetting setting) {
  std::vector<const LatencyRow*> rows;
  for (const LatencyRow& row : report.rows) {
    setting.context = row.setting.context;
    if (row.setting == setting && row.error.empty()) rows.push_back(&row);
  }
  return rows;
}

ChartPoint point_of(const LatencyRow& row, const Spread& spread) {
  return {static_cast<double>(row.setting.context), spread.median, spread.least, spread.most};
}

}  // namespace

LatencyFigures figures_of(const LatencyReport& report, const LatencyRow& row) {
  LatencyFigures figures;
  if (!row.error.empty()) return figures;
  figures.ttft = times_of(report, row);
  figures.per_token = with_warm_and_steady(report, row, &Timings::per_token);
  figures.prefill = with_warm_and_steady(report, row, &Timings::prefill);

  const auto positions = static_cast<double>(row.usage.prompt_positions);
  const auto bytes = static_cast<double>(report.bytes_a_value);
  const double kv_bytes_a_token = kv_bytes_a_position(report.decoder, bytes);
  figures.kv_bytes = (positions + static_cast<double>(row.usage.completion_tokens)) * kv_bytes_a_token;
  figures.prefill_share = prefill_operations(report.decoder, positions).sum() /
                          (spread_of(figures.prefill).median / kMsASecond) / report.machine.linear;
  figures.decode_share =
      (weights_a_token(report.decoder) * static_cast<double>(report.bytes_a_weight) + positions * kv_bytes_a_token) /
      (spread_of(figures.per_token).median / kMsASecond) / report.machine.memory;

  const LatencyRow* full = full_of(report, row);
  for (const BatchRuns& runs : row.batches) figures.throughput.push_back(throughput_of(report, row, full, runs));
  if (full == nullptr || row.setting.mode == Mode::kFull) return figures;
  const LatencyFigures::Times of_full = times_of(report, *full);
  figures.cold_ratio = spread_of_ratios(of_full.cold, figures.ttft.cold);
  figures.warm_ratio = spread_of_ratios(of_full.warm, figures.ttft.warm);
  figures.steady_ratio = spread_of_ratios(of_full.steady, figures.ttft.steady);
  figures.per_token_ratio =
      spread_of_ratios(with_warm_and_steady(report, *full, &Timings::per_token), figures.per_token);
  const double full_prompts = best_prompts(figures_of(report, *full).throughput);
  if (full_prompts > 0) figures.best_throughput_ratio = best_prompts(figures.throughput) / full_prompts;
  figures.ideal_ratio = ideal_ms(report, *full) / ideal_ms(report, row);
  figures.share_of_ideal = figures.steady_ratio.median / *figures.ideal_ratio;
  const double of_paper = paper_measured_ratio(row.setting.context, row.setting.chunk_size, row.setting.cached);
  if (of_paper > 0 && row.setting.expand == 0) figures.paper_ratio = of_paper;
  return figures;
}

Json to_json(const LatencyReport& report) {
  Json rows = Json::array();
  for (const LatencyRow& row : report.rows) rows.push_back(row_json(report, row));
  return {
      {"decoder", to_json(report.decoder)},
      {"layers_run", report.layers_run},
      {"encoder", {{"name", report.encoder.name}, {"layers", report.encoder.layers}, {"width", report.encoder.width}}},
      {"dtype", report.dtype},
      {"threads", report.threads},
      {"processor", report.processor},
      {"machine", to_json(report.machine)},
      {"tokens", report.plan.tokens},
      {"repeat", report.plan.repeat},
      {"step_positions", report.plan.max_step_positions},
      {"rows", rows}};
}

std::string to_markdown(const LatencyReport& report) {
  std::ostringstream out;
  out << heading(report)
      << "| context | prompt | positions | TTFT ms, cold | warm | steady | × full, cold | warm | steady | ideal | of "
         "ideal | paper | TTIT ms | prefill of GEMM | decode of memory | KV MiB | peak MiB |\n"
         "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n";
  for (const LatencyRow& row : report.rows) add_row(out, report, row);
  out << "\nEnd to end, " << report.plan.tokens << " tokens an answer:\n\n"
      << "| context | prompt | batch | prompts/s | tokens/s | × full |\n| --- | --- | --- | --- | --- | --- |\n";
  for (const LatencyRow& row : report.rows) add_throughput(out, report, row);
  return out.str();
}

std::vector<SvgChart> charts_of(const LatencyReport& report) {
  SvgChart ratios;
  ratios.title = message("TTFT of full context / refrag, ", report.decoder.name, ", ", report.dtype);
  ratios.x = {.label = "context tokens", .is_logarithmic = true};
  ratios.y = {.label = "times faster (steady)", .is_logarithmic = true};
  SvgChart times;
  times.title = message("TTFT, ", report.decoder.name, ", ", report.dtype);
  times.x = ratios.x;
  times.y = {.label = "ms (steady)", .is_logarithmic = true};
  for (const LatencySetting& setting : settings_of(report.plan, report.plan.contexts.front())) {
    if (setting.expand != report.plan.expand.front()) continue;
    ChartSeries time{.name = label_of(setting), .points = {}};
    ChartSeries ratio{.name = label_of(setting), .points = {}};
    ChartSeries ideal{.name = label_of(setting) + ", ideal", .points = {}, .has_markers = false};
    for (const LatencyRow* row : rows_like(report, setting)) {
      const LatencyFigures figures = figures_of(report, *row);
      time.points.push_back(point_of(*row, spread_of(figures.ttft.steady)));
      ratio.points.push_back(point_of(*row, figures.steady_ratio));
      if (figures.ideal_ratio) {
        ideal.points.push_back({.x = static_cast<double>(row->setting.context), .y = *figures.ideal_ratio});
      }
    }
    times.series.push_back(std::move(time));
    if (setting.mode == Mode::kFull) continue;
    ratios.series.push_back(std::move(ratio));
    if (setting.cached) ratios.series.push_back(std::move(ideal));
    const double of_paper = paper_measured_ratio(16384, setting.chunk_size, setting.cached);
    if (of_paper > 0) {
      ratios.references.push_back(
          {message("paper, k=", setting.chunk_size, setting.cached ? "" : " on the spot", ", 16,384 tokens"),
           of_paper});
    }
  }
  return {ratios, times};
}

}  // namespace refrag::bench
