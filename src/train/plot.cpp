#include "train/plot.h"

#include "base/message.h"
#include "base/svg_chart.h"
#include "refrag/error.h"
#include "train/text_data.h"

namespace refrag::train {
namespace {

struct Curve {
  const char* field;
  const char* label;
  bool is_logarithmic = false;
};

constexpr Curve kCurves[] = {{"loss", "loss (nats a token)"},
                             {"reward", "reward in training (-log-perplexity of the answer)"},
                             {"learning_rate", "learning rate"},
                             {"gradient_norm", "gradient norm", true},
                             {"tokens_per_second", "tokens a second"}};
constexpr const char* kRules[] = {"policy", "random", "similarity", "high_perplexity", "low_perplexity"};

std::string name_of_log(const std::filesystem::path& log) {
  const std::filesystem::path whole = std::filesystem::weakly_canonical(log);
  return whole.filename() == "log.jsonl" ? whole.parent_path().filename().string() : whole.stem().string();
}

void add_point(ChartSeries& series, const Json& row, const Json& from, const char* field) {
  if (from.contains(field) && from[field].is_number()) {
    series.points.push_back({row["step"].get<double>(), from[field].get<double>()});
  }
}

SvgChart chart_of(const std::string& label, bool is_logarithmic) {
  SvgChart chart;
  chart.title = label;
  chart.x.label = "step";
  chart.y.label = label;
  chart.y.is_logarithmic = is_logarithmic;
  return chart;
}

void add_series(SvgChart& chart, ChartSeries series) {
  if (!series.points.empty()) chart.series.push_back(std::move(series));
}

}  // namespace

std::string plot_logs(const std::vector<std::filesystem::path>& logs) {
  std::vector<std::vector<Json>> rows;
  for (const std::filesystem::path& log : logs) {
    std::vector<Json>& own = rows.emplace_back();
    for_each_line({log}, [&](const Json& row, const std::string&) {
      if (row.is_object() && row.contains("step") && row["step"].is_number()) own.push_back(row);
    });
    if (own.empty()) {
      throw Error(ErrorCode::kCorrupt,
                  message(log.string(), ": no line with a \"step\"; expected a log of refrag train"));
    }
  }
  std::vector<SvgChart> charts;
  for (const Curve& curve : kCurves) {
    SvgChart chart = chart_of(curve.label, curve.is_logarithmic);
    for (std::size_t n = 0; n < logs.size(); ++n) {
      ChartSeries series{name_of_log(logs[n]), {}, false};
      for (const Json& row : rows[n]) add_point(series, row, row, curve.field);
      add_series(chart, std::move(series));
    }
    if (!chart.series.empty()) charts.push_back(std::move(chart));
  }
  SvgChart rewards = chart_of("reward on questions kept apart, by rule", false);
  for (std::size_t n = 0; n < logs.size(); ++n) {
    for (const char* rule : kRules) {
      ChartSeries series{name_of_log(logs[n]) + ", " + rule, {}, true};
      for (const Json& row : rows[n]) {
        if (row.contains("evaluation")) add_point(series, row, row["evaluation"], rule);
      }
      add_series(rewards, std::move(series));
    }
  }
  if (!rewards.series.empty()) charts.push_back(std::move(rewards));
  return to_svg(charts);
}

}  // namespace refrag::train
