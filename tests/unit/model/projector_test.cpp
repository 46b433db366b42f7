#include "model/projector.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/tiny_models.h"

namespace refrag {
namespace {

using ::testing::HasSubstr;
using testing::TinyModel;

class ProjectorTest : public ::testing::Test {
 protected:
  ProjectorTest() {
    testing::add_linear(model_, "fc1", 6, 4);
    testing::add_linear(model_, "fc2", 5, 6);
  }
  std::shared_ptr<const Projector> load() {
    write_safetensors(file_, model_.tensors);
    return Projector::load(file_, at::kCPU);
  }

  TemporaryDirectory directory_;
  std::filesystem::path file_ = directory_.path() / "projector.safetensors";
  TinyModel model_;
};

TEST_F(ProjectorTest, ComputesTwoLayersWithGeluBetween) {
  const auto projector = load();
  const at::Tensor x = at::randn({3, 4});
  const auto& w = model_.tensors;
  const at::Tensor inner = at::matmul(x, w.at("fc1.weight").t()) + w.at("fc1.bias");
  const at::Tensor gelu = inner * 0.5 * (1 + at::erf(inner / std::sqrt(2.0)));
  const at::Tensor expected = at::matmul(gelu, w.at("fc2.weight").t()) + w.at("fc2.bias");

  EXPECT_TRUE(at::allclose(projector->forward(x), expected, 1e-5, 1e-5));
}

TEST_F(ProjectorTest, TakesItsWidthsFromTheFile) {
  const auto projector = load();

  EXPECT_EQ(projector->input_width(), 4U);
  EXPECT_EQ(projector->hidden_width(), 6U);
  EXPECT_EQ(projector->output_width(), 5U);
}

TEST_F(ProjectorTest, RefusesLayersThatDoNotFitEachOther) {
  model_.tensors["fc2.weight"] = at::zeros({5, 7});
  try {
    load();
    FAIL() << "took a projector whose layers do not fit";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("fc2.weight\" has shape [5, 7]; expected [5, 6]"));
  }
}

TEST_F(ProjectorTest, ChangesItsIdentityWithItsWeights) {
  const std::string before = load()->identity();
  model_.tensors["fc1.bias"] = model_.tensors["fc1.bias"] + 1;

  EXPECT_NE(load()->identity(), before);
}

}  // namespace
}  // namespace refrag
