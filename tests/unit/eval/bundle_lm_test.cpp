// The evaluation over a real model against its decoder, run without caches, slices or mixed input.
#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "engine/bundle_runner.h"
#include "eval/lm.h"
#include "model/chunk_encoder.h"
#include "model/parts.h"
#include "refrag/model_bundle.h"
#include "support/golden.h"

namespace refrag {
namespace {

constexpr double kSame = 1e-4;  // nats; sums in another order
constexpr std::int64_t kContext = 40;
constexpr std::int64_t kTarget = 16;

const std::string kText =
    "Package: oomd\nSection: admin\nVersion: 0.5.0-1.2+b1\nInstalled size: 831 kB\nMaintainer: Yangfl\n"
    "Homepage: https://github.com/facebookincubator/oomd\nSummary: userspace Out-Of-Memory (OOM) killer for Linux\n";

class BundleLmTest : public ::testing::Test {
 protected:
  BundleLmTest() {
    ModelOptions options;
    options.dtype = Dtype::kFp32;
    bundle_ = ModelBundle::load(testing::trained_bundle(), options);
    const Tokenizer& tokenizer = *bundle_->parts().tokenizer;
    ids_ = tokenizer.encode(kText);
    bos_ = {*tokenizer.bos()};
  }

  std::vector<TokenId> slice(std::int64_t first, std::int64_t count) const {
    return {ids_.begin() + first, ids_.begin() + first + count};
  }
  std::vector<TokenId> target() const { return slice(kContext, kTarget); }
  at::Tensor embed(const std::vector<TokenId>& ids) const { return bundle_->parts().decoder->embed(ids); }

  /// Mean loss of the target behind BOS and `context` [n, d].
  double plain_loss(const at::Tensor& context) const {
    const c10::InferenceMode no_gradients;
    const LlamaDecoder& decoder = *bundle_->parts().decoder;
    const at::Tensor x = at::cat({embed(bos_), context, embed(target())});
    const at::Tensor hidden = decoder.forward(x).narrow(0, context.size(0), kTarget);
    const at::Tensor wanted =
        at::tensor(std::vector<std::int64_t>(ids_.begin() + kContext, ids_.begin() + kContext + kTarget));
    return -at::log_softmax(decoder.logits(hidden), 1).gather(1, wanted.unsqueeze(1)).mean().item<double>();
  }

  std::vector<double> losses(std::vector<EvalSetting> settings) const {
    LmOptions options{.settings = std::move(settings), .context = kContext, .target = kTarget, .resamples = 0};
    std::vector<double> result;
    for (const LmRow& row : evaluate_lm(std::make_shared<BundleRunner>(bundle_), {kText}, options).rows) {
      result.push_back(row.log_perplexity.value);
    }
    return result;
  }

  std::shared_ptr<const ModelBundle> bundle_;
  std::vector<TokenId> ids_;
  std::vector<TokenId> bos_;
};

TEST_F(BundleLmTest, RowsOfTokensAreThoseOfThePlainDecoder) {
  const std::vector<double> rows =
      losses({{EvalMode::kNone}, {EvalMode::kFull}, {EvalMode::kRefrag, 1}, {EvalMode::kLast}});
  EXPECT_NEAR(rows[0], plain_loss(embed({})), kSame);
  EXPECT_NEAR(rows[1], plain_loss(embed(slice(0, kContext))), kSame);
  EXPECT_NEAR(rows[2], rows[1], kSame);
  EXPECT_NEAR(rows[3], plain_loss(embed(slice(kContext - 5, 5))), kSame);  // 40 tokens are 5 chunks of 8
}

TEST_F(BundleLmTest, CompressedContextIsItsProjectedChunkVectors) {
  const c10::InferenceMode no_gradients;
  std::vector<std::vector<TokenId>> chunks;
  for (std::int64_t n = 0; n < kContext; n += 8) {
    chunks.push_back(slice(n, 8));
  }
  const at::Tensor vectors = bundle_->parts().projector->forward(bundle_->parts().chunk_encoder->encode(chunks));
  EXPECT_NEAR(losses({{EvalMode::kRefrag, 0}})[0], plain_loss(vectors), kSame);
}

}  // namespace
}  // namespace refrag
