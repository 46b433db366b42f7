#pragma once
#include <optional>
#include <string>
#include <vector>

#include "base/json_reader.h"
#include "base/svg_chart.h"
#include "eval/bootstrap.h"
#include "eval/setting.h"

namespace refrag::cli {

/// "0.346 [0.298, 0.394]"; "–" for nothing.
std::string figure_text(const std::optional<Estimate>& estimate);
Json interval_json(const Estimate& estimate);
/// json[NAME] and json[NAME_interval]; null where there is none.
void put_figure(Json& json, const std::string& name, const std::optional<Estimate>& estimate);

/// A row of a table, for a plot of one of its figures.
struct PlotRow {
  EvalSetting setting;
  Estimate figure;
};

/// Over the share that is expanded: a line a rule, and the other modes as lines across. Bars, one a row, where less
/// than two shares are there.
SvgChart chart_by_share(const std::string& title, const std::string& figure, const std::vector<PlotRow>& rows);

/// Over the number of passages: a line a row of the table.
SvgChart chart_by_passages(const std::string& title, const std::string& figure,
                           const std::vector<std::pair<double, std::vector<PlotRow>>>& rows);

/// Sets the axis to the rows' figures and to what stands between `least` and `most`: a share of a small gap may have an
/// interval so wide that nothing else could be told apart.
void keep_in_view(ChartAxis& axis, const std::vector<PlotRow>& rows, double least, double most);

/// Says on standard error where the picture is.
void write_plot(const std::string& file, const std::vector<SvgChart>& charts);

}  // namespace refrag::cli
