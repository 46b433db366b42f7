#include "cli/eval_output.h"

#include <algorithm>
#include <cmath>
#include <iomanip>
#include <iostream>
#include <set>
#include <sstream>

#include "base/files.h"
#include "cli/terminal.h"

namespace refrag::cli {
namespace {

ChartPoint point_of(double x, const Estimate& figure) {
  return {x, figure.value, figure.interval.low, figure.interval.high};
}

std::size_t share_count(const std::vector<PlotRow>& rows) {
  std::set<double> shares;
  for (const PlotRow& row : rows) {
    if (row.setting.mode == EvalMode::kRefrag) {
      shares.insert(row.setting.expand);
    }
  }
  return shares.size();
}

SvgChart bars_of(const std::vector<PlotRow>& rows) {
  SvgChart chart;
  chart.series.push_back({"", {}});
  for (const PlotRow& row : rows) {
    chart.series[0].points.push_back(point_of(static_cast<double>(chart.groups.size()), row.figure));
    chart.groups.push_back(label_of(row.setting));
  }
  return chart;
}

/// All rules expand the same where there is no choice, so those rows are points of every line.
SvgChart lines_of(const std::vector<PlotRow>& rows) {
  SvgChart chart;
  chart.x.label = "chunks expanded, %";
  for (const EvalRule rule : all_eval_rules()) {
    ChartSeries series{name_of(rule), {}};
    bool is_there = false;
    for (const PlotRow& row : rows) {
      const bool is_ours = !row.setting.has_choice() || row.setting.by == rule;
      if (row.setting.mode == EvalMode::kRefrag && is_ours) {
        series.points.push_back(point_of(row.setting.expand * 100, row.figure));
        is_there = is_there || row.setting.has_choice();
      }
    }
    std::sort(series.points.begin(), series.points.end(),
              [](const ChartPoint& a, const ChartPoint& b) { return a.x < b.x; });
    if (is_there) {
      chart.series.push_back(std::move(series));
    }
  }
  for (const PlotRow& row : rows) {
    if (row.setting.mode != EvalMode::kRefrag) {
      chart.references.push_back({label_of(row.setting), row.figure.value});
    }
  }
  return chart;
}

double without_sign_of_zero(double value) { return std::abs(value) < 0.0005 ? 0 : value; }

}  // namespace

std::string figure_text(const std::optional<Estimate>& estimate) {
  if (!estimate) {
    return "–";
  }
  std::ostringstream text;
  text << std::fixed << std::setprecision(3) << without_sign_of_zero(estimate->value);
  if (estimate->interval.low < estimate->interval.high) {
    text << " [" << without_sign_of_zero(estimate->interval.low) << ", "
         << without_sign_of_zero(estimate->interval.high) << "]";
  }
  return text.str();
}

Json interval_json(const Estimate& estimate) { return {estimate.interval.low, estimate.interval.high}; }

void put_figure(Json& json, const std::string& name, const std::optional<Estimate>& estimate) {
  json[name] = estimate ? Json(estimate->value) : Json(nullptr);
  json[name + "_interval"] = estimate ? interval_json(*estimate) : Json(nullptr);
}

SvgChart chart_by_share(const std::string& title, const std::string& figure, const std::vector<PlotRow>& rows) {
  SvgChart chart = lines_of(rows);
  if (chart.series.empty() || share_count(rows) < 2) {
    chart = bars_of(rows);
  }
  chart.title = title;
  chart.y.label = figure;
  return chart;
}

SvgChart chart_by_passages(const std::string& title, const std::string& figure,
                           const std::vector<std::pair<double, std::vector<PlotRow>>>& rows) {
  SvgChart chart;
  chart.title = title;
  chart.x = {.label = "passages in the prompt", .is_logarithmic = true};
  chart.y.label = figure;
  for (const auto& [passages, group] : rows) {
    chart.x.ticks.push_back(passages);
    chart.series.resize(group.size());
    for (std::size_t n = 0; n < group.size(); ++n) {
      chart.series[n].name = label_of(group[n].setting);
      chart.series[n].points.push_back(point_of(passages, group[n].figure));
    }
  }
  return chart;
}

void keep_in_view(ChartAxis& axis, const std::vector<PlotRow>& rows, double least, double most) {
  for (const PlotRow& row : rows) {
    least = std::min(least, row.figure.value);
    most = std::max(most, row.figure.value);
  }
  const double margin = (most - least) / 10;
  axis.least = least - margin;
  axis.most = most + margin;
}

void write_plot(const std::string& file, const std::vector<SvgChart>& charts) {
  write_file_atomic(file, to_svg(charts));
  std::cerr << "plot: " << printable(file) << '\n';
}

}  // namespace refrag::cli
