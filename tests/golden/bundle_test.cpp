// Whole bundles against what an independent reading with transformers gives (golden.json: exact layouts, chosen chunks,
// greedy ids, log-perplexity of the answer), made from tests/golden/bundles/refrag-tiny and
// data/packages-heldout.jsonl.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <memory>
#include <numeric>
#include <span>
#include <string>
#include <vector>

#include "base/files.h"
#include "model/parts.h"
#include "support/golden.h"

namespace refrag {
namespace {

namespace fs = std::filesystem;
using Ids = std::vector<TokenId>;

constexpr double kTolerance = 1e-3;
constexpr std::size_t kMaxNewTokens = 40;  // as golden.json was made

// Chunks as golden.json has them, without the padding of the last one.
std::vector<Ids> chunks_of(const Json& padded, TokenId pad) {
  std::vector<Ids> chunks;
  for (const Json& chunk : padded) {
    Ids ids = chunk.get<Ids>();
    std::erase(ids, pad);
    chunks.push_back(ids);
  }
  return chunks;
}

std::vector<Ids> cut(const Ids& ids, std::size_t chunk_size) {
  std::vector<Ids> chunks;
  for (std::size_t begin = 0; begin < ids.size(); begin += chunk_size) {
    const auto first = ids.begin() + static_cast<std::ptrdiff_t>(begin);
    chunks.emplace_back(first, first + static_cast<std::ptrdiff_t>(std::min(chunk_size, ids.size() - begin)));
  }
  return chunks;
}

// The paper's selection: picked one after another, which is the order of their logits.
std::vector<std::size_t> top_chunks(std::span<const float> logits, std::size_t count) {
  std::vector<std::size_t> order(logits.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return logits[a] > logits[b]; });
  order.resize(count);
  return order;
}

std::map<std::string, std::string> texts_by_id(const fs::path& file) {
  std::map<std::string, std::string> texts;
  std::istringstream lines(read_file(file));
  for (std::string line; std::getline(lines, line);) {
    const Json document = parse_json(line, file.string());
    texts[document["id"]] = document["text"];
  }
  return texts;
}

constexpr const char* kCases = "bundles/refrag-tiny/golden.json";

class GoldenBundle : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    if (!testing::has_golden(kCases)) {
      return;
    }
    ModelOptions options;
    options.dtype = Dtype::kFp32;
    bundle_ = ModelBundle::load(testing::trained_bundle(), options);
    golden_ = testing::read_golden_json(testing::golden_directory() / kCases);
  }
  static void TearDownTestSuite() { bundle_.reset(); }
  void SetUp() override {
    if (bundle_ == nullptr) {
      GTEST_SKIP() << "no " << kCases << " in " << testing::golden_directory();
    }
  }

  const ModelBundle::Parts& parts() const { return bundle_->parts(); }
  TokenId pad() const { return parts().chunk_encoder->config().pad_id; }
  at::Tensor project(const std::vector<Ids>& chunks) const {
    return parts().projector->forward(parts().chunk_encoder->encode(chunks));
  }
  at::Tensor score(const Json& test) const {
    return parts().policy->forward(project(chunks_of(test["question_chunks"], pad())),
                                   project(chunks_of(test["context_chunks"], pad())));
  }

  // A mode's "input": token ids; -i-1 is the vector of its chunk i.
  at::Tensor embed(const Json& mode) const {
    const std::vector<Ids> chunks = chunks_of(mode["chunks"], pad());
    const at::Tensor vectors = chunks.empty() ? at::Tensor() : project(chunks);
    std::vector<at::Tensor> rows;
    for (const TokenId entry : mode["input"].get<Ids>()) {
      rows.push_back(entry < 0 ? vectors[-entry - 1] : parts().decoder->embed(Ids{entry})[0]);
    }
    return at::stack(rows);  // [T, d]
  }

  Ids generate(const at::Tensor& prompt) const {
    const LlamaDecoder& decoder = *parts().decoder;
    KvCache cache = decoder.make_cache();
    at::Tensor hidden = decoder.forward(prompt, &cache);
    Ids ids;
    while (ids.size() < kMaxNewTokens) {
      const at::Tensor logits = decoder.logits(hidden.narrow(0, hidden.size(0) - 1, 1));
      ids.push_back(static_cast<TokenId>(logits.argmax().item<std::int64_t>()));
      if (std::count(decoder.config().eos_ids.begin(), decoder.config().eos_ids.end(), ids.back()) > 0) {
        break;
      }
      hidden = decoder.forward(decoder.embed(Ids{ids.back()}), &cache);
    }
    return ids;
  }

  double log_perplexity(const at::Tensor& prompt, const Ids& answer) const {
    const LlamaDecoder& decoder = *parts().decoder;
    const Ids seen(answer.begin(), answer.end() - 1);
    const at::Tensor hidden = decoder.forward(at::cat({prompt, decoder.embed(seen)}));
    const auto count = static_cast<std::int64_t>(answer.size());
    const at::Tensor logits = decoder.logits(hidden.narrow(0, hidden.size(0) - count, count));
    const at::Tensor targets = at::tensor(std::vector<std::int64_t>(answer.begin(), answer.end()), at::kLong);
    return -at::log_softmax(logits, 1).gather(1, targets.unsqueeze(1)).mean().item<double>();
  }

  static inline std::shared_ptr<const ModelBundle> bundle_;
  static inline Json golden_;
};

TEST_F(GoldenBundle, CutsPassagesAndQuestionsIntoTheChunksItWasTrainedOn) {
  const auto texts = texts_by_id(fs::path(REFRAG_SOURCE_DIR) / "data" / "packages-heldout.jsonl");
  ASSERT_EQ(parts().prompt.query, "Question: {question}\nAnswer:");
  for (const Json& test : golden_["cases"]) {
    std::vector<Ids> context;
    for (const std::string id : test["documents"]) {
      const std::vector<Ids> chunks = cut(parts().tokenizer->encode(texts.at(id)), parts().chunk_size);
      context.insert(context.end(), chunks.begin(), chunks.end());
    }
    const std::string question = "Question: " + test["question"].get<std::string>() + "\nAnswer:";

    EXPECT_EQ(context, chunks_of(test["context_chunks"], pad()));
    EXPECT_EQ(parts().tokenizer->encode(question), test["question_ids"].get<Ids>());
  }
}

TEST_F(GoldenBundle, EncodesAndProjectsChunks) {
  for (const Json& test : golden_["cases"]) {
    const auto expected = test["chunk_embedding_0"].get<std::vector<float>>();
    const at::Tensor found = project(chunks_of(test["context_chunks"], pad()))[0];

    EXPECT_LE((found - at::tensor(expected)).abs().max().item<double>(), kTolerance) << test["question"];
  }
}

TEST_F(GoldenBundle, ScoresChunksAndPicksTheOnesToExpand) {
  for (const Json& test : golden_["cases"]) {
    const auto expected = test["policy_logits"].get<std::vector<float>>();
    const at::Tensor logits = score(test);
    const std::span<const float> values(logits.const_data_ptr<float>(), expected.size());
    std::vector<std::size_t> picks = top_chunks(values, test["policy_expanded"].size());
    std::sort(picks.begin(), picks.end());

    EXPECT_LE((logits - at::tensor(expected)).abs().max().item<double>(), kTolerance) << test["question"];
    EXPECT_EQ(picks, test["policy_expanded"].get<std::vector<std::size_t>>()) << test["question"];
  }
}

TEST_F(GoldenBundle, AnswersInAllModes) {
  for (const Json& test : golden_["cases"]) {
    for (const char* mode : {"full", "compressed", "policy_p0_1"}) {
      SCOPED_TRACE(test["question"].get<std::string>() + " " + mode);
      const at::Tensor prompt = embed(test[mode]);

      EXPECT_EQ(generate(prompt), test[mode]["greedy_ids"].get<Ids>());
      EXPECT_NEAR(log_perplexity(prompt, test["answer_ids"].get<Ids>()),
                  test[mode]["answer_log_perplexity"].get<double>(), kTolerance);
    }
  }
}

}  // namespace
}  // namespace refrag
