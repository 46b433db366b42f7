#include "base/svg_chart.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <regex>
#include <string>
#include <vector>

namespace refrag {
namespace {

using ::testing::DoubleEq;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

std::size_t count(const std::string& text, const std::string& part) {
  std::size_t found = 0;
  for (std::size_t at = 0; (at = text.find(part, at)) != std::string::npos; at += part.size()) {
    ++found;
  }
  return found;
}

/// The vertical places of the dots, in the order of the series' points.
std::vector<double> dot_places(const std::string& svg, const std::string& attribute) {
  std::vector<double> places;
  const std::regex pattern("<circle[^>]*" + attribute + "=\"([0-9.]+)\"");
  for (std::sregex_iterator at(svg.begin(), svg.end(), pattern), end; at != end; ++at) {
    places.push_back(std::stod((*at)[1]));
  }
  return places;
}

SvgChart line_of(std::vector<ChartPoint> points) {
  return {.title = "t", .x = {.label = "x"}, .y = {.label = "y"}, .series = {{"s", std::move(points)}}};
}

TEST(NiceTicksTest, AreRoundAndCoverTheData) {
  EXPECT_THAT(nice_ticks(0, 1, 5), ElementsAre(DoubleEq(0), DoubleEq(0.2), DoubleEq(0.4), DoubleEq(0.6000000000000001),
                                               DoubleEq(0.8), DoubleEq(1)));
  EXPECT_THAT(nice_ticks(-3, 12, 4), ElementsAre(-5, 0, 5, 10, 15));
  EXPECT_THAT(nice_ticks(100, 100000, 6, true), ElementsAre(100, 1000, 10000, 100000));
  EXPECT_THAT(nice_ticks(3, 30, 6, true), ElementsAre(2, 5, 10, 20, 50));
}

TEST(TickLabelTest, IsShort) {
  EXPECT_EQ(tick_label(0), "0");
  EXPECT_EQ(tick_label(0.6000000000000001), "0.6");
  EXPECT_EQ(tick_label(2000), "2000");
  EXPECT_EQ(tick_label(20000), "20k");
  EXPECT_EQ(tick_label(-1.5e6), "-1.5M");
}

TEST(SvgChartTest, HigherValuesStandHigher) {
  const std::vector<double> y = dot_places(to_svg(line_of({{0, 1}, {1, 3}, {2, 2}})), "cy");
  ASSERT_EQ(y.size(), 3U);
  EXPECT_LT(y[1], y[2]);
  EXPECT_LT(y[2], y[0]);
  EXPECT_NEAR(y[0] - y[2], y[2] - y[1], 0.02);
}

TEST(SvgChartTest, EqualRatiosAreEqualDistancesOnALogarithmicAxis) {
  SvgChart chart = line_of({{1, 1}, {10, 10}, {100, 100}});
  chart.x.is_logarithmic = true;
  chart.y.is_logarithmic = true;
  const std::string svg = to_svg(chart);
  for (const char* attribute : {"cx", "cy"}) {
    const std::vector<double> places = dot_places(svg, attribute);
    ASSERT_EQ(places.size(), 3U);
    EXPECT_NEAR(places[1] - places[0], places[2] - places[1], 0.02) << attribute;
  }
}

TEST(SvgChartTest, WhatCannotBeShownBreaksTheLine) {
  EXPECT_EQ(count(to_svg(line_of({{0, 1}, {1, 2}, {2, kNan}, {3, 2}, {4, 1}})), "<polyline"), 2U);
  SvgChart chart = line_of({{1, 1}, {2, 0}, {3, 4}, {4, 5}});
  chart.y.is_logarithmic = true;
  const std::string svg = to_svg(chart);
  EXPECT_EQ(count(svg, "<polyline"), 1U);
  EXPECT_EQ(count(svg, "<circle"), 3U);
  EXPECT_THAT(svg, Not(HasSubstr("nan")));
}

TEST(SvgChartTest, AnAxisThatIsSaidIsKept) {
  SvgChart chart = line_of({{0, 0.4}, {1, 0.6}});
  chart.y.least = 0;
  chart.y.most = 1;
  const std::vector<double> y = dot_places(to_svg(chart), "cy");
  SvgChart whole = line_of({{0, 0}, {1, 1}});
  const std::vector<double> ends = dot_places(to_svg(whole), "cy");
  EXPECT_NEAR(y[0] - y[1], 0.2 * (ends[0] - ends[1]), 0.02);
}

TEST(SvgChartTest, TicksThatAreSaidAreTheTicks) {
  SvgChart chart = line_of({{1, 1}, {2, 1}, {16, 2}});
  chart.x.is_logarithmic = true;
  chart.x.ticks = {-1, 1, 2, 16, 99};  // what the axis cannot show is left out
  const std::string svg = to_svg(chart);
  EXPECT_THAT(svg, HasSubstr(">16</text>"));
  EXPECT_THAT(svg, Not(HasSubstr(">5</text>")));
  EXPECT_THAT(svg, Not(HasSubstr(">99</text>")));
}

TEST(SvgChartTest, ErrorBarsReachFromLowToHigh) {
  const std::string svg = to_svg(line_of({{0, 1, 0.5, 1.5}, {1, 2, 1.5, 2.5}, {2, 2}}));
  EXPECT_EQ(count(svg, "stroke-width=\"1.2\""), 6U);  // of each of two points a stroke and two caps
}

TEST(SvgChartTest, BarsStandInTheirGroupsOnZero) {
  SvgChart chart{.title = "bars",
                 .x = {},
                 .y = {.label = "exact match"},
                 .series = {{"a", {{0, 0.5}, {1, 0.25}}}, {"b", {{0, 0.75}, {1, 1}}}},
                 .groups = {"none", "full"}};
  const std::string svg = to_svg(chart);
  const std::regex pattern("<rect x=\"([0-9.]+)\" y=\"([0-9.]+)\" width=\"([0-9.]+)\" height=\"([0-9.]+)\"");
  std::vector<std::vector<double>> bars;
  for (std::sregex_iterator at(svg.begin(), svg.end(), pattern), end; at != end; ++at) {
    bars.push_back({std::stod((*at)[1]), std::stod((*at)[2]), std::stod((*at)[3]), std::stod((*at)[4])});
  }
  ASSERT_EQ(bars.size(), 4U);
  EXPECT_NEAR(bars[0][3], 2 * bars[1][3], 0.05);  // 0.5 and 0.25
  EXPECT_NEAR(bars[0][1] + bars[0][3], bars[3][1] + bars[3][3], 0.02);
  EXPECT_LT(bars[0][0], bars[2][0]);               // series beside each other
  EXPECT_LT(bars[2][0] + bars[2][2], bars[1][0]);  // groups apart
  EXPECT_THAT(svg, HasSubstr(">none</text>"));
}

TEST(SvgChartTest, TextsAreEscaped) {
  SvgChart chart = line_of({{0, 1}});
  chart.title = "a < b & \"c\"\x01\xff";
  chart.series[0].name = "<script>";
  const std::string svg = to_svg(chart);
  EXPECT_THAT(svg, HasSubstr("a &lt; b &amp; &quot;c&quot;\uFFFD\uFFFD"));
  EXPECT_THAT(svg, Not(HasSubstr("<script>")));
}

TEST(SvgChartTest, EmptyAndDegenerateChartsAreDrawn) {
  for (const SvgChart& chart : {SvgChart{}, line_of({}), line_of({{5, 5}}), line_of({{kNan, kNan}}),
                                line_of({{0, 1e300}, {1, -1e300}}), line_of({{0, 0}, {0, 0}})}) {
    const std::string svg = to_svg(chart);
    EXPECT_THAT(svg, HasSubstr("</svg>"));
    EXPECT_THAT(svg, Not(HasSubstr("nan")));
    EXPECT_THAT(svg, Not(HasSubstr("inf\"")));
  }
}

TEST(SvgChartTest, SeveralChartsMakeOnePicture) {
  const SvgChart chart = line_of({{0, 1}, {1, 2}});
  const std::string svg = to_svg(std::vector<SvgChart>{chart, chart});
  EXPECT_EQ(count(svg, "<svg"), 1U);
  EXPECT_EQ(count(svg, "<polyline"), 2U);
  EXPECT_THAT(svg, HasSubstr("height=\"840\""));
}

TEST(SvgChartTest, ReferencesAreNamedLines) {
  SvgChart chart = line_of({{0, 1}, {1, 2}});
  chart.references = {{"full context", 3}};
  const std::string svg = to_svg(chart);
  EXPECT_THAT(svg, HasSubstr(">full context</text>"));
  EXPECT_THAT(svg, HasSubstr("stroke-dasharray"));
}

}  // namespace
}  // namespace refrag
