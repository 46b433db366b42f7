// Gradients of decoder, encoder and projector through a mixed input, against plain PyTorch in double precision:
// tests/golden/training, made by scripts/fixtures/make_training.py. Ours are fp32: within 2e-5 of the largest of a
// tensor.
#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include "base/message.h"
#include "model/chunk_encoder.h"
#include "model/llama_decoder.h"
#include "model/projector.h"
#include "support/golden.h"
#include "train/mixed_batch.h"

namespace refrag::train {
namespace {

class GradientTest : public ::testing::TestWithParam<bool> {  // whether layers are recomputed
 protected:
  static std::filesystem::path golden() { return testing::golden_directory() / "training"; }

  GradientTest()
      : inputs_(testing::read_golden_json(golden() / "inputs.json")),
        expected_(Checkpoint::open(golden() / "gradients.safetensors")),
        decoder_(LlamaDecoder::load(golden() / "decoder", at::kFloat)),
        projector_(Projector::load(golden() / "projector.safetensors", at::kCPU)),
        encoder_(RobertaEncoder::load(golden() / "encoder", at::kFloat), nullptr, chunk_input()) {
    decoder_->read_weights();
    for (const auto& parameters : {decoder_->parameters(), projector_->parameters(), encoder_.parameters()}) {
      for (const Parameter& parameter : parameters) at::Tensor(parameter.value).requires_grad_(true);
    }
  }

  ChunkInput chunk_input() const {
    ChunkInput input;
    input.start = inputs_["start"].get<TokenId>();
    return input;
  }

  MixedBatch batch() const {
    const auto ids = [&](const Json& json) { return json.get<std::vector<TokenId>>(); };
    MixedBatch batch;
    batch.begin_sequence();
    batch.add_tokens(ids(inputs_["before"]));
    batch.add_chunk_vector(ids(inputs_["chunks"][0]));
    batch.add_tokens(ids(inputs_["between"]));
    batch.add_chunk_vector(ids(inputs_["chunks"][1]));
    batch.add_targets(ids(inputs_["targets"]));
    return batch;
  }

  void expect_gradients(const std::string& part, const Parameters& parameters) const {
    for (const Parameter& parameter : parameters) {
      std::int64_t first = 0;
      for (const auto& [name, rows] : parameter.stored) {
        const at::Tensor expected = expected_.tensor(message(part, "/", name));
        const at::Tensor found = parameter.value.grad().narrow(0, first, rows);
        const double largest = std::max(expected.abs().max().item<double>(), 1e-2);
        EXPECT_LT((found - expected).abs().max().item<double>(), 2e-5 * largest) << part << '/' << name;
        first += rows;
      }
    }
  }

  Json inputs_;
  Checkpoint expected_;
  std::shared_ptr<const LlamaDecoder> decoder_;
  std::shared_ptr<const Projector> projector_;
  ChunkEncoder encoder_;
};

TEST_P(GradientTest, ThroughMixedInputAreThoseOfPyTorch) {
  const MixedBatch mixed = batch();
  const at::Tensor vectors = projector_->forward(encoder_.encode(mixed.chunks()));
  const at::Tensor losses = mixed.losses(*decoder_, vectors, /*recompute=*/GetParam());
  EXPECT_LT((losses - expected_.tensor("losses")).abs().max().item<double>(), 1e-5);
  torch::autograd::backward({losses.mean()});
  expect_gradients("decoder", decoder_->parameters());
  expect_gradients("encoder", encoder_.parameters());
  expect_gradients("projector", projector_->parameters());
}

INSTANTIATE_TEST_SUITE_P(Recomputed, GradientTest, ::testing::Bool());

}  // namespace
}  // namespace refrag::train
