#pragma once
#include <optional>
#include <string>
#include <vector>

#include "base/json_reader.h"
#include "base/svg_chart.h"
#include "bench/costs.h"
#include "bench/latency.h"
#include "bench/machine.h"
#include "bench/spread.h"

namespace refrag::bench {

/// All that a run of `refrag bench latency` measured.
struct LatencyReport {
  DecoderShape decoder;
  std::size_t layers_run = 0;  // fewer than the shape has: times are scaled to all of them
  EncoderShape encoder;
  std::string dtype;
  std::size_t bytes_a_value = 0;   // of activations and of the KV cache
  std::size_t bytes_a_weight = 0;  // of what decoding reads
  std::size_t threads = 0;
  std::string processor;
  MachineRates machine;
  LatencyPlan plan;
  std::vector<LatencyRow> rows;
};

/// What follows from one row: times of all layers, and what they are compared with.
struct LatencyFigures {
  /// Milliseconds, one a run.
  struct Times {
    std::vector<double> cold, warm, steady;
  };
  Times ttft;
  std::vector<double> per_token;  // of the warm and steady runs
  std::vector<double> prefill;
  Spread cold_ratio, warm_ratio, steady_ratio;  // TTFT of full context to this one's, run by run
  Spread per_token_ratio;
  std::optional<double> ideal_ratio;  // operations at the measured rates, nothing else
  std::optional<double> share_of_ideal;
  std::optional<double> paper_ratio;
  double prefill_share = 0;  // of the measured rate of linear layers
  double decode_share = 0;   // of the measured rate of memory
  double kv_bytes = 0;       // of a sequence at its end

  struct Throughput {
    std::size_t batch = 0;
    Spread prompts;  // a second
    Spread tokens;   // a second
    Spread ratio;    // to full context at the same batch
  };
  std::vector<Throughput> throughput;
  /// Prompts a second at the best batch of each: this one's to full context's.
  std::optional<double> best_throughput_ratio;
};

/// `row` is one of the report's.
LatencyFigures figures_of(const LatencyReport& report, const LatencyRow& row);

Json to_json(const LatencyReport& report);
std::string to_markdown(const LatencyReport& report);
std::vector<SvgChart> charts_of(const LatencyReport& report);

}  // namespace refrag::bench
