#include "base/svg_chart.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <utility>

#include "base/utf8.h"

namespace refrag {
namespace {

// Okabe and Ito's colours, which stay apart for colour-blind readers too; yellow is left out, it fades on white.
constexpr std::array<const char*, 7> kColors = {"#0072B2", "#D55E00", "#009E73", "#CC79A7",
                                                "#E69F00", "#56B4E9", "#4D4D4D"};
constexpr std::array<const char*, 4> kDashes = {"", "7 3", "2 3", "8 3 2 3"};  // once the colours are used up
constexpr double kFontSize = 12;
constexpr double kCharWidth = 6.6;  // of a sans-serif letter at that size, on the wide side
constexpr double kTop = 40;
constexpr double kBottom = 52;
constexpr double kRight = 16;
constexpr double kLegendRow = 18;

/// Two decimals at most; the same in every locale.
std::string pixels(double value) {
  std::array<char, 32> text{};
  const auto end =
      std::to_chars(text.data(), text.data() + text.size(), std::clamp(value, -1e6, 1e6), std::chars_format::fixed, 2);
  std::string result(text.data(), end.ptr);
  result.erase(result.find_last_not_of('0') + 1);
  if (result.back() == '.') {
    result.pop_back();
  }
  return result == "-0" ? "0" : result;
}

/// As XML takes it: markup escaped, what XML forbids as U+FFFD.
std::string escaped(const std::string& text) {
  std::string result;
  for (const char c : to_valid_utf8(text)) {
    switch (c) {
      case '&':
        result += "&amp;";
        break;
      case '<':
        result += "&lt;";
        break;
      case '>':
        result += "&gt;";
        break;
      case '"':
        result += "&quot;";
        break;
      default:
        result += static_cast<unsigned char>(c) < 0x20 ? std::string("\uFFFD") : std::string(1, c);
    }
  }
  for (const std::string forbidden : {"\xEF\xBF\xBE", "\xEF\xBF\xBF"}) {  // U+FFFE, U+FFFF
    for (std::size_t at = 0; (at = result.find(forbidden, at)) != std::string::npos;) {
      result.replace(at, forbidden.size(), "\uFFFD");
    }
  }
  return result;
}

double text_width(const std::string& text) {
  return kCharWidth * static_cast<double>(count_code_points(to_valid_utf8(text)));
}

/// One axis: which values are shown, and where.
class AxisScale {
 public:
  AxisScale(const ChartAxis& axis, std::pair<double, double> span, std::size_t ticks) : is_log_(axis.is_logarithmic) {
    const bool is_least_fit = axis.least && shows(*axis.least);
    const bool is_most_fit = axis.most && shows(*axis.most);
    least_ = is_least_fit ? *axis.least : span.first;
    most_ = is_most_fit ? *axis.most : span.second;
    if (!(most_ > least_)) {  // one value alone stands in the middle
      const double half = is_log_ ? 0 : std::max(std::abs(least_) * 0.1, 0.5);
      most_ = is_log_ ? least_ * 2 : least_ + half;
      least_ = is_log_ ? least_ / 2 : least_ - half;
    }
    ticks_ = axis.ticks.empty() ? nice_ticks(least_, most_, ticks, is_log_) : axis.ticks;
    if (!is_least_fit && axis.ticks.empty()) {
      least_ = std::min(least_, ticks_.front());
    }
    if (!is_most_fit && axis.ticks.empty()) {
      most_ = std::max(most_, ticks_.back());
    }
    std::erase_if(ticks_,
                  [this](double tick) { return !shows(tick) || share(tick) < -1e-9 || share(tick) > 1 + 1e-9; });
  }

  bool shows(double value) const { return std::isfinite(value) && (!is_log_ || value > 0); }
  /// 0 at the axis's beginning, 1 at its end.
  double share(double value) const {
    return is_log_ ? std::log(value / least_) / std::log(most_ / least_) : (value - least_) / (most_ - least_);
  }
  double clamped_share(double value) const { return shows(value) ? std::clamp(share(value), 0.0, 1.0) : 0; }
  const std::vector<double>& ticks() const { return ticks_; }

 private:
  bool is_log_;
  double least_ = 0;
  double most_ = 1;
  std::vector<double> ticks_;
};

class ValueSpan {
 public:
  explicit ValueSpan(bool is_log) : is_log_(is_log) {}
  void add(double value) {
    if (std::isfinite(value) && (!is_log_ || value > 0)) {
      least_ = std::min(least_, value);
      most_ = std::max(most_, value);
    }
  }
  std::pair<double, double> get() const {
    if (least_ <= most_) {
      return {least_, most_};
    }
    return is_log_ ? std::pair(1.0, 10.0) : std::pair(0.0, 1.0);
  }

 private:
  bool is_log_;
  double least_ = std::numeric_limits<double>::infinity();
  double most_ = -std::numeric_limits<double>::infinity();
};

std::pair<double, double> x_span(const SvgChart& chart) {
  ValueSpan span(chart.x.is_logarithmic);
  for (const ChartSeries& series : chart.series) {
    for (const ChartPoint& point : series.points) {
      span.add(point.x);
    }
  }
  return span.get();
}

std::pair<double, double> y_span(const SvgChart& chart) {
  ValueSpan span(chart.y.is_logarithmic);
  for (const ChartSeries& series : chart.series) {
    for (const ChartPoint& point : series.points) {
      span.add(point.y);
      span.add(point.low.value_or(point.y));
      span.add(point.high.value_or(point.y));
    }
  }
  for (const ChartReference& reference : chart.references) {
    span.add(reference.y);
  }
  if (!chart.groups.empty()) {
    span.add(0);  // a bar's length must mean its value
  }
  return span.get();
}

class Drawing {
 public:
  explicit Drawing(const SvgChart& chart)
      : chart_(chart), x_(chart.x, x_span(chart), 8), y_(chart.y, y_span(chart), 6) {
    double labels = 0;
    for (const double tick : y_.ticks()) {
      labels = std::max(labels, text_width(tick_label(tick)));
    }
    left_ = labels + 42;
    right_ = std::max(left_ + 120, chart.width - kRight - legend_width());
    bottom_ = std::max(kTop + 80, chart.height - kBottom - slant_height());
  }

  std::string draw() {
    title();
    y_axis();
    chart_.groups.empty() ? x_axis() : group_axis();
    references();
    for (std::size_t n = 0; n < chart_.series.size(); ++n) {
      chart_.groups.empty() ? line(n) : bars(n);
    }
    legend();
    return std::move(out_);
  }

  /// May be more than asked for, where a long legend needs it.
  double width() const { return std::max(chart_.width, right_ + kRight + legend_width()); }
  double height() const {
    const double rows = static_cast<double>(chart_.series.size() + chart_.references.size());
    return std::max({chart_.height, bottom_ + kBottom + slant_height(), kTop + rows * kLegendRow + 8});
  }

 private:
  static std::string color_of(std::size_t series) { return kColors[series % kColors.size()]; }
  static std::string dash_of(std::size_t series) {
    const std::string dash = kDashes[series / kColors.size() % kDashes.size()];
    return dash.empty() ? "" : " stroke-dasharray=\"" + dash + "\"";
  }

  double x_at(double value) const { return left_ + x_.clamped_share(value) * (right_ - left_); }
  double y_at(double value) const { return bottom_ - y_.clamped_share(value) * (bottom_ - kTop); }

  double legend_width() const {
    double widest = 0;
    for (const ChartSeries& series : chart_.series) {
      widest = std::max(widest, text_width(series.name));
    }
    for (const ChartReference& reference : chart_.references) {
      widest = std::max(widest, text_width(reference.name));
    }
    return widest > 0 ? widest + 44 : 0;
  }

  double group_width() const { return (right_ - left_) / static_cast<double>(chart_.groups.size()); }
  bool is_slanted() const {
    return std::any_of(chart_.groups.begin(), chart_.groups.end(),
                       [this](const std::string& name) { return text_width(name) > group_width() - 4; });
  }
  /// Names of groups that would run into each other are written at 30 degrees, half as high as they are long.
  double slant_height() const {
    double longest = 0;
    if (!chart_.groups.empty() && is_slanted()) {
      for (const std::string& name : chart_.groups) {
        longest = std::max(longest, text_width(name));
      }
    }
    return longest / 2;
  }

  void text(double x, double y, const std::string& anchor, const std::string& words, const std::string& more = {}) {
    out_ += "<text x=\"" + pixels(x) + "\" y=\"" + pixels(y) + "\" text-anchor=\"" + anchor + "\"" + more + ">" +
            escaped(words) + "</text>\n";
  }

  void stroke(double x1, double y1, double x2, double y2, const std::string& look) {
    out_ += "<line x1=\"" + pixels(x1) + "\" y1=\"" + pixels(y1) + "\" x2=\"" + pixels(x2) + "\" y2=\"" + pixels(y2) +
            "\" " + look + "/>\n";
  }

  static std::string ink(const std::string& color, double width) {
    return "stroke=\"" + color + "\" stroke-width=\"" + pixels(width) + "\"";
  }

  void title() {
    if (!chart_.title.empty()) {
      text(left_, 22, "start", chart_.title, " font-size=\"14\" font-weight=\"bold\"");
    }
  }

  void y_axis() {
    for (const double tick : y_.ticks()) {
      stroke(left_, y_at(tick), right_, y_at(tick), ink("#DDDDDD", 1));
      text(left_ - 6, y_at(tick) + 4, "end", tick_label(tick));
    }
    stroke(left_, kTop, left_, bottom_, ink("#333333", 1));
    const double middle = (kTop + bottom_) / 2;
    text(14, middle, "middle", chart_.y.label, " transform=\"rotate(-90 14 " + pixels(middle) + ")\"");
  }

  void x_axis() {
    for (const double tick : x_.ticks()) {
      stroke(x_at(tick), bottom_, x_at(tick), bottom_ + 4, ink("#333333", 1));
      text(x_at(tick), bottom_ + 18, "middle", tick_label(tick));
    }
    x_line();
  }

  void group_axis() {
    const bool slanted = is_slanted();
    for (std::size_t n = 0; n < chart_.groups.size(); ++n) {
      const double x = left_ + (static_cast<double>(n) + 0.5) * group_width();
      const std::string turn = " transform=\"rotate(-30 " + pixels(x) + " " + pixels(bottom_ + 18) + ")\"";
      text(x, bottom_ + 18, slanted ? "end" : "middle", chart_.groups[n], slanted ? turn : "");
    }
    x_line();
  }

  void x_line() {
    stroke(left_, bottom_, right_, bottom_, ink("#333333", 1));
    text((left_ + right_) / 2, bottom_ + 40 + slant_height(), "middle", chart_.x.label);
  }

  void references() {
    for (const ChartReference& reference : chart_.references) {
      if (y_.shows(reference.y)) {
        stroke(left_, y_at(reference.y), right_, y_at(reference.y),
               ink("#000000", 1) + " stroke-dasharray=\"" + reference_dash(reference) + "\"");
      }
    }
  }
  std::string reference_dash(const ChartReference& reference) const {
    const auto n = static_cast<std::size_t>(&reference - chart_.references.data());
    return kDashes[1 + n % (kDashes.size() - 1)];
  }

  bool shows(const ChartPoint& point) const { return x_.shows(point.x) && y_.shows(point.y); }

  void line(std::size_t n) {
    const ChartSeries& series = chart_.series[n];
    // Error bars of several series at one x stand beside each other.
    const double beside = 3 * (static_cast<double>(n) - static_cast<double>(chart_.series.size() - 1) / 2);
    std::string points;
    std::size_t count = 0;
    const auto end_piece = [&] {
      if (count > 1) {
        out_ += "<polyline points=\"" + points + "\" fill=\"none\" " + ink(color_of(n), 1.8) + dash_of(n) + "/>\n";
      }
      points.clear();
      count = 0;
    };
    for (const ChartPoint& point : series.points) {
      if (!shows(point)) {
        end_piece();
        continue;
      }
      points += (count++ > 0 ? " " : "") + pixels(x_at(point.x)) + "," + pixels(y_at(point.y));
    }
    end_piece();
    for (const ChartPoint& point : series.points) {
      if (shows(point)) {
        error_bar(point, x_at(point.x) + beside, color_of(n));
        if (series.has_markers) {
          out_ += "<circle cx=\"" + pixels(x_at(point.x)) + "\" cy=\"" + pixels(y_at(point.y)) + "\" r=\"3\" fill=\"" +
                  color_of(n) + "\"/>\n";
        }
      }
    }
  }

  void bars(std::size_t n) {
    const double bar = group_width() * 0.8 / static_cast<double>(chart_.series.size());
    for (const ChartPoint& point : chart_.series[n].points) {
      const bool has_group = point.x >= 0 && point.x < static_cast<double>(chart_.groups.size());
      if (!has_group || !y_.shows(point.y)) {
        continue;
      }
      const double x = left_ + (point.x + 0.1) * group_width() + static_cast<double>(n) * bar;
      const double from = y_at(0);  // the axis's beginning where it is logarithmic
      const double to = y_at(point.y);
      out_ += "<rect x=\"" + pixels(x) + "\" y=\"" + pixels(std::min(from, to)) + "\" width=\"" + pixels(bar * 0.92) +
              "\" height=\"" + pixels(std::abs(from - to)) + "\" fill=\"" + color_of(n) + "\" fill-opacity=\"" +
              (n < kColors.size() ? "0.85" : "0.5") + "\"/>\n";
      error_bar(point, x + bar * 0.46, "#222222");
    }
  }

  void error_bar(const ChartPoint& point, double x, const std::string& color) {
    const double low = point.low.value_or(point.y);
    const double high = point.high.value_or(point.y);
    if (!(high > low) || !std::isfinite(low) || !y_.shows(high)) {
      return;
    }
    stroke(x, y_at(low), x, y_at(high), ink(color, 1.2));
    for (const double end : {low, high}) {
      stroke(x - 3, y_at(end), x + 3, y_at(end), ink(color, 1.2));
    }
  }

  void legend() {
    const double x = right_ + 16;
    double y = kTop + 10;
    for (std::size_t n = 0; n < chart_.series.size(); ++n) {
      if (chart_.series[n].name.empty()) {
        continue;
      }
      stroke(x, y, x + 18, y, ink(color_of(n), chart_.groups.empty() ? 2.5 : 9) + dash_of(n));
      text(x + 24, y + 4, "start", chart_.series[n].name);
      y += kLegendRow;
    }
    for (const ChartReference& reference : chart_.references) {
      stroke(x, y, x + 18, y, ink("#000000", 1) + " stroke-dasharray=\"" + reference_dash(reference) + "\"");
      text(x + 24, y + 4, "start", reference.name);
      y += kLegendRow;
    }
  }

  const SvgChart& chart_;
  AxisScale x_;
  AxisScale y_;
  double left_ = 0;
  double right_ = 0;
  double bottom_ = 0;
  std::string out_;
};

/// The least of 1, 2, 5 and 10 times a power of ten that is `step` or more.
double round_up_to_nice(double step) {
  const double power = std::pow(10, std::floor(std::log10(step)));
  for (const double times : {1.0, 2.0, 5.0}) {
    if (step <= times * power * (1 + 1e-9)) {
      return times * power;
    }
  }
  return 10 * power;
}

std::vector<double> logarithmic_ticks(double least, double most, std::size_t count) {
  const int first = static_cast<int>(std::floor(std::log10(least) + 1e-9));
  const int last = static_cast<int>(std::ceil(std::log10(most) - 1e-9));
  const bool is_short = last - first <= 2;
  const int stride = std::max(1, (last - first) / static_cast<int>(std::max<std::size_t>(count, 1)));
  std::vector<double> ticks;
  for (int power = first; power <= last; power += stride) {
    for (const double times : {1.0, 2.0, 5.0}) {
      if (times == 1 || is_short) {
        ticks.push_back(times * std::pow(10, power));
      }
    }
  }
  // Only one tick below the data and one above it.
  const auto begin = std::upper_bound(ticks.begin(), ticks.end(), least * (1 + 1e-9));
  const auto end = std::lower_bound(ticks.begin(), ticks.end(), most * (1 - 1e-9));
  return {begin == ticks.begin() ? begin : begin - 1, end == ticks.end() ? end : end + 1};
}

}  // namespace

std::vector<double> nice_ticks(double least, double most, std::size_t count, bool is_logarithmic) {
  if (is_logarithmic) {
    return logarithmic_ticks(least, most, count);
  }
  if (!(most > least) || !std::isfinite(most - least)) {
    return {least, most};
  }
  const double step = round_up_to_nice((most - least) / static_cast<double>(std::max<std::size_t>(count, 1)));
  std::vector<double> ticks;
  const double first = std::floor(least / step + 1e-9);
  const double last = std::ceil(most / step - 1e-9);
  for (double n = first; n <= last; ++n) {
    ticks.push_back(n == 0 ? 0 : n * step);
  }
  return ticks;
}

std::string tick_label(double value) {
  static constexpr std::array<std::pair<double, const char*>, 3> kUnits = {{{1e9, "G"}, {1e6, "M"}, {1e4, "k"}}};
  const char* unit = "";
  for (const auto& [least, name] : kUnits) {
    if (std::abs(value) >= least * (1 - 1e-9) && std::abs(value) < 1e13) {
      value /= least == 1e4 ? 1e3 : least;
      unit = name;
      break;
    }
  }
  std::array<char, 32> text{};
  const auto end = std::to_chars(text.data(), text.data() + text.size(), value, std::chars_format::general, 6);
  return std::string(text.data(), end.ptr) + unit;
}

std::string to_svg(const SvgChart& chart) { return to_svg(std::vector<SvgChart>{chart}); }

std::string to_svg(const std::vector<SvgChart>& charts) {
  std::string body;
  double width = 0;
  double height = 0;
  for (const SvgChart& chart : charts) {
    Drawing drawing(chart);
    body += "<g transform=\"translate(0 " + pixels(height) + ")\">\n" + drawing.draw() + "</g>\n";
    width = std::max(width, drawing.width());
    height += drawing.height();
  }
  const std::string size = pixels(width) + "\" height=\"" + pixels(height);
  return "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"" + size + "\" viewBox=\"0 0 " + pixels(width) + " " +
         pixels(height) + "\" font-family=\"sans-serif\" font-size=\"" + pixels(kFontSize) +
         "\" fill=\"#222222\">\n<rect width=\"100%\" height=\"100%\" fill=\"#FFFFFF\"/>\n" + body + "</svg>\n";
}

}  // namespace refrag
