#include "train/mixed_batch.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include "base/files.h"
#include "support/tiny_llama.h"

namespace refrag::train {
namespace {

class MixedBatchTest : public ::testing::Test {
 protected:
  MixedBatchTest() {
    const TemporaryDirectory directory;
    testing::TinyLlama().write(directory.path());
    decoder_ = LlamaDecoder::load(directory.path(), at::kFloat);
    decoder_->read_weights();
  }

  at::Tensor losses_of(const MixedBatch& batch, const at::Tensor& vectors = {}) const {
    const at::NoGradGuard no_gradients;
    return batch.losses(*decoder_, vectors, false);
  }

  static MixedBatch sequence_of(const std::vector<TokenId>& seen, const std::vector<TokenId>& targets) {
    MixedBatch batch;
    batch.begin_sequence();
    batch.add_tokens(seen);
    batch.add_targets(targets);
    return batch;
  }

  std::shared_ptr<const LlamaDecoder> decoder_;
};

TEST_F(MixedBatchTest, PackedSequencesDoNotSeeOneAnother) {
  const MixedBatch first = sequence_of({1}, {5, 6, 7, 8});
  const MixedBatch second = sequence_of({1, 30}, {31, 32});
  MixedBatch both = first;
  both.append(second);
  EXPECT_EQ(both.positions(), 9U);
  EXPECT_TRUE(at::allclose(losses_of(both), at::cat({losses_of(first), losses_of(second)}), 0, 1e-5));
  EXPECT_EQ(both.target_sequences(), (std::vector<std::size_t>{0, 0, 0, 0, 1, 1}));
}

TEST_F(MixedBatchTest, QuestionsThatShareAContextAreAsIfEachStoodBehindItAlone) {
  MixedBatch shared;
  const std::size_t context = shared.begin_sequence();
  shared.add_tokens(std::vector<TokenId>{1, 9, 10, 11});
  for (const TokenId question : {20, 21}) {
    shared.begin_sequence(static_cast<std::int64_t>(context));
    shared.add_token(question);
    shared.add_targets(std::vector<TokenId>{3, 2});
  }
  MixedBatch packed = sequence_of({1, 2}, {3});  // in front: numbers of sequences and rows move
  packed.append(shared);

  const at::Tensor first = losses_of(sequence_of({1, 9, 10, 11, 20}, {3, 2}));
  const at::Tensor second = losses_of(sequence_of({1, 9, 10, 11, 21}, {3, 2}));
  EXPECT_TRUE(at::allclose(losses_of(packed).narrow(0, 1, 4), at::cat({first, second}), 0, 1e-5));
}

TEST_F(MixedBatchTest, VectorsStandInTheirPlaces) {
  // The embedding of a token as a vector is that token.
  const at::Tensor vectors = decoder_->embed(std::vector<TokenId>{8, 7}).detach();
  MixedBatch mixed;
  mixed.begin_sequence();
  mixed.add_token(1);
  mixed.add_vector(1);
  mixed.add_token(12);
  mixed.add_vector(0);
  mixed.add_target(4);
  EXPECT_TRUE(at::allclose(losses_of(mixed, vectors), losses_of(sequence_of({1, 7, 12, 8}, {4})), 0, 1e-5));
}

TEST_F(MixedBatchTest, ChunksOfAppendedBatchesAreNumberedOn) {
  MixedBatch one;
  one.begin_sequence();
  one.add_token(1);
  one.add_chunk_vector({5, 6});
  one.add_target(4);
  MixedBatch both = one;
  both.append(one);
  const at::Tensor vectors = decoder_->embed(std::vector<TokenId>{8, 9}).detach();
  const at::Tensor losses = losses_of(both, vectors);
  EXPECT_EQ(both.chunks().size(), 2U);
  EXPECT_NEAR(losses[0].item<double>(), losses_of(sequence_of({1, 8}, {4})).item<double>(), 1e-5);
  EXPECT_NEAR(losses[1].item<double>(), losses_of(sequence_of({1, 9}, {4})).item<double>(), 1e-5);
}

}  // namespace
}  // namespace refrag::train
