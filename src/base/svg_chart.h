#pragma once
#include <cstddef>
#include <optional>
#include <string>
#include <vector>

namespace refrag {

/// A point of a series. `low` and `high` are the ends of its error bar, in y's units. What is not finite, or not above
/// 0 on a logarithmic axis, is left out: a line breaks there.
struct ChartPoint {
  double x = 0;
  double y = 0;
  std::optional<double> low = std::nullopt;
  std::optional<double> high = std::nullopt;
};

struct ChartSeries {
  std::string name;
  std::vector<ChartPoint> points;
  bool has_markers = true;  // a dot at each point; false for curves of many points
};

struct ChartAxis {
  std::string label;
  bool is_logarithmic = false;
  std::optional<double> least = std::nullopt;  // absent: what the data spans, to the next tick
  std::optional<double> most = std::nullopt;
  std::vector<double> ticks = {};  // in place of round numbers
};

/// A dashed horizontal line across the chart: what the series are compared with.
struct ChartReference {
  std::string name;
  double y = 0;
};

/// A chart as a plain value; `to_svg` draws it. Lines over x, or, where `groups` are named, bars: then a point's x is
/// the number of its group, from 0. Texts are escaped; the picture is the same bytes for the same value.
struct SvgChart {
  std::string title;
  ChartAxis x;
  ChartAxis y;  // of bars: begins at 0 unless it is logarithmic or `least` says otherwise
  std::vector<ChartSeries> series;
  std::vector<std::string> groups = {};
  std::vector<ChartReference> references = {};
  double width = 760;  // pixels, legend included
  double height = 420;
};

std::string to_svg(const SvgChart& chart);
/// One picture with the charts below one another.
std::string to_svg(const std::vector<SvgChart>& charts);

/// Round numbers (1, 2 or 5 times a power of ten) from at or below `least` to at or above `most`, about `count` of
/// them. On a logarithmic axis: powers of ten, with 2 and 5 times them where there are few.
std::vector<double> nice_ticks(double least, double most, std::size_t count, bool is_logarithmic = false);
/// "0.25", "20k", "1.5M".
std::string tick_label(double value);

}  // namespace refrag
