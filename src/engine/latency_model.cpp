#include "engine/latency_model.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "refrag/error.h"

namespace refrag {
namespace {

constexpr double kUnit = 1000;  // positions in thousands: keeps the normal equations well conditioned

using Coefficients = std::array<double, 3>;

/// Weighted least squares with the first `terms` of 1, n, n^2 by Gaussian elimination; empty where singular.
std::optional<Coefficients> solve(std::span<const PrefillMeasurement> measurements, std::size_t terms) {
  double matrix[3][4] = {};
  for (const PrefillMeasurement& measured : measurements) {
    const double n = static_cast<double>(measured.positions) / kUnit;
    const double powers[3] = {1, n, n * n};
    const double weight = 1 / (measured.ms * measured.ms);
    for (std::size_t i = 0; i < terms; ++i) {
      for (std::size_t j = 0; j < terms; ++j) matrix[i][j] += weight * powers[i] * powers[j];
      matrix[i][terms] += weight * powers[i] * measured.ms;
    }
  }
  for (std::size_t i = 0; i < terms; ++i) {
    std::size_t pivot = i;
    for (std::size_t row = i + 1; row < terms; ++row) {
      if (std::abs(matrix[row][i]) > std::abs(matrix[pivot][i])) pivot = row;
    }
    std::swap(matrix[i], matrix[pivot]);
    if (std::abs(matrix[i][i]) < 1e-12) return std::nullopt;
    for (std::size_t row = 0; row < terms; ++row) {
      if (row == i) continue;
      const double factor = matrix[row][i] / matrix[i][i];
      for (std::size_t column = i; column <= terms; ++column) matrix[row][column] -= factor * matrix[i][column];
    }
  }
  Coefficients result{};
  for (std::size_t i = 0; i < terms; ++i) result[i] = matrix[i][terms] / matrix[i][i];
  return result;
}

}  // namespace

LatencyModel LatencyModel::fit(std::span<const PrefillMeasurement> measurements) {
  if (measurements.empty()) throw Error(ErrorCode::kInternal, "a latency model needs measurements");
  std::vector<PrefillMeasurement> usable(measurements.begin(), measurements.end());
  std::set<std::size_t> sizes;
  for (PrefillMeasurement& measured : usable) {
    measured.ms = std::max(measured.ms, 1e-6);  // a clock's tick: zero has no relative error
    sizes.insert(measured.positions);
  }
  LatencyModel model;
  for (std::size_t terms = std::min<std::size_t>(3, sizes.size()); terms > 0; --terms) {
    const std::optional<Coefficients> found = solve(usable, terms);
    if (!found || (*found)[1] < 0 || (*found)[2] < 0) continue;
    model.coefficients_ = *found;
    break;
  }
  for (const PrefillMeasurement& measured : usable) {
    model.error_ = std::max(model.error_, std::abs(model.prefill_ms(measured.positions) - measured.ms) / measured.ms);
  }
  return model;
}

double LatencyModel::prefill_ms(std::size_t positions) const {
  const double n = static_cast<double>(positions) / kUnit;
  return std::max(0.0, coefficients_[0] + n * (coefficients_[1] + n * coefficients_[2]));
}

}  // namespace refrag
