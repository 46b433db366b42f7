// The values of torch.optim.AdamW and clip_grad_norm_ are tests/golden/training/adamw.safetensors, made by
// scripts/fixtures/make_training.py; tolerance 1e-6.
#include "train/adamw.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "base/message.h"
#include "model/checkpoint.h"
#include "support/golden.h"
#include "train/checkpoint_file.h"

namespace refrag::train {
namespace {

at::Tensor weight_of(const at::Tensor& start) {
  at::Tensor weight = start.clone();
  weight.requires_grad_(true);
  return weight;
}

TEST(AdamWTest, StepsAreThoseOfPyTorch) {
  const Checkpoint golden = Checkpoint::open(testing::golden_directory() / "training" / "adamw.safetensors");
  const at::Tensor matrix = weight_of(golden.tensor("matrix.0"));
  const at::Tensor bias = weight_of(golden.tensor("bias.0"));
  OptimizerConfig config;
  config.weight_decay = 0.1;  // of the matrix alone
  config.clip = 2.5;
  AdamW optimizer({{"matrix", matrix}, {"bias", bias}}, config);
  for (int step = 1; step <= 4; ++step) {
    matrix.mutable_grad() = golden.tensor(message("matrix.gradient.", step)).clone();
    bias.mutable_grad() = golden.tensor(message("bias.gradient.", step)).clone();
    EXPECT_NEAR(optimizer.clip_gradients(), golden.tensor(message("norm.", step)).item<double>(), 1e-5);
    optimizer.step(1e-2 / step);
    EXPECT_TRUE(at::allclose(matrix, golden.tensor(message("matrix.", step)), 0, 1e-6)) << step;
    EXPECT_TRUE(at::allclose(bias, golden.tensor(message("bias.", step)), 0, 1e-6)) << step;
    EXPECT_FALSE(matrix.grad().defined());
  }
}

TEST(AdamWTest, AWeightWithoutAGradientStaysAsItIs) {
  const at::Tensor used = weight_of(at::ones({2, 2}));
  const at::Tensor unused = weight_of(at::ones({2, 2}));
  AdamW optimizer({{"used", used}, {"unused", unused}}, {});
  used.mutable_grad() = at::ones({2, 2});
  optimizer.step(0.1);
  EXPECT_TRUE(unused.equal(at::ones({2, 2})));
  EXPECT_FALSE(used.equal(at::ones({2, 2})));
}

TEST(CheckpointFileTest, AllOfTheOptimizerComesBack) {
  const TemporaryDirectory directory;
  const at::Tensor weight = weight_of(at::arange(4).to(at::kFloat));
  AdamW optimizer({{"weight", weight}}, {});
  weight.mutable_grad() = at::ones({4});
  optimizer.step(0.1);
  write_checkpoint(directory.path() / "c.safetensors", optimizer, {{"step", 1}});

  const at::Tensor other = weight_of(at::zeros({4}));
  AdamW restored({{"weight", other}}, {});
  EXPECT_EQ(read_checkpoint(directory.path() / "c.safetensors", restored), Json({{"step", 1}}));
  EXPECT_TRUE(other.equal(weight));
  for (const at::Tensor& tensor : {weight, other}) tensor.mutable_grad() = at::full({4}, 0.5);
  optimizer.step(0.1);
  restored.step(0.1);
  EXPECT_TRUE(other.equal(weight));
}

TEST(CheckpointFileTest, AnotherModelsCheckpointIsRefused) {
  const TemporaryDirectory directory;
  const AdamW optimizer({{"weight", weight_of(at::zeros({4}))}}, {});
  write_checkpoint(directory.path() / "c.safetensors", optimizer, Json::object());
  AdamW wider({{"weight", weight_of(at::zeros({5}))}}, {});
  EXPECT_THROW(read_checkpoint(directory.path() / "c.safetensors", wider), Error);
  AdamW more({{"weight", weight_of(at::zeros({4}))}, {"bias", weight_of(at::zeros({1}))}}, {});
  EXPECT_THROW(read_checkpoint(directory.path() / "c.safetensors", more), Error);
}

}  // namespace
}  // namespace refrag::train
