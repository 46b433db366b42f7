#include "nn/rotary.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

namespace refrag::nn {
namespace {

RotaryConfig config_with(RotaryKind kind) {
  RotaryConfig config;
  config.kind = kind;
  config.head_dim = 8;
  config.theta = 10000.0;
  config.factor = 8.0;
  config.original_positions = 64.0;
  return config;
}

double frequency(const RotaryConfig& config, std::int64_t pair) {
  return Rotary(config, at::kCPU).frequencies()[pair].item<double>();
}

TEST(RotaryTest, DefaultFrequenciesFallFromOneByPowersOfTheta) {
  const RotaryConfig config = config_with(RotaryKind::kDefault);

  EXPECT_FLOAT_EQ(frequency(config, 0), 1.0F);
  EXPECT_FLOAT_EQ(frequency(config, 1), 0.1F);
  EXPECT_FLOAT_EQ(frequency(config, 3), 0.001F);
}

TEST(RotaryTest, LinearDividesEveryFrequency) {
  EXPECT_FLOAT_EQ(frequency(config_with(RotaryKind::kLinear), 1), 0.1F / 8);
}

TEST(RotaryTest, Llama3KeepsShortWavesAndStretchesLongOnes) {
  const RotaryConfig config = config_with(RotaryKind::kLlama3);  // waves under 16 stay, over 64 are stretched

  EXPECT_FLOAT_EQ(frequency(config, 0), 1.0F);                       // a wave of 6.3 positions
  EXPECT_FLOAT_EQ(frequency(config, 2), 0.01F / 8);                  // a wave of 628 positions
  const double share = (64 * 0.1 / (2 * std::numbers::pi) - 1) / 3;  // a wave of 62.8 positions lies between
  EXPECT_FLOAT_EQ(frequency(config, 1), (1 - share) * 0.1 / 8 + share * 0.1);
}

TEST(RotaryTest, TurnsEachPairByItsPosition) {
  const Rotary rotary(config_with(RotaryKind::kDefault), at::kCPU);
  const at::Tensor x = at::zeros({2, 1, 8});
  x.select(2, 1).fill_(1.0);  // pair 1 is (1, 5)

  const at::Tensor turned = rotary.at(at::tensor({0, 30}, at::kLong))(x);

  EXPECT_TRUE(at::equal(turned[0], x[0]));
  EXPECT_NEAR(turned[1][0][1].item<double>(), std::cos(3.0), 1e-6);
  EXPECT_NEAR(turned[1][0][5].item<double>(), std::sin(3.0), 1e-6);
}

TEST(RotaryTest, AnglesOfFarPositionsAreNotRoundedWhereTheInputIsBf16) {
  const Rotary rotary(config_with(RotaryKind::kDefault), at::kCPU);
  const Rotation rotation = rotary.at(at::tensor({4001}, at::kLong));
  const at::Tensor x = at::ones({1, 1, 8}, at::kBFloat16);

  EXPECT_EQ(rotation.cosines.scalar_type(), at::kFloat);
  EXPECT_TRUE(at::equal(rotation(x), rotation(x.to(at::kFloat)).to(at::kBFloat16)));
}

}  // namespace
}  // namespace refrag::nn
