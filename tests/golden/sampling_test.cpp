// Sampling probabilities against transformers' logits processors (fixtures: scripts/fixtures/make_fixtures.py).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>

#include "engine/sampler.h"
#include "support/golden.h"

namespace refrag {
namespace {

constexpr double kTolerance = 1e-5;

std::string read(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file.good()) << path;
  std::ostringstream content;
  content << file.rdbuf();
  return content.str();
}

/// F32 tensors of a safetensors file: 8 bytes with the header's length, the header in JSON, the data.
class Tensors {
 public:
  explicit Tensors(const std::filesystem::path& path) : content_(read(path)) {
    std::uint64_t length = 0;
    std::memcpy(&length, content_.data(), sizeof length);
    header_ = nlohmann::json::parse(content_.substr(sizeof length, length));
    data_ = sizeof length + length;
  }
  std::vector<float> operator[](const std::string& name) const {
    const nlohmann::json& entry = header_.at(name);
    EXPECT_EQ(entry.at("dtype"), "F32");
    const std::size_t begin = entry.at("data_offsets").at(0);
    const std::size_t end = entry.at("data_offsets").at(1);
    std::vector<float> values((end - begin) / sizeof(float));
    std::memcpy(values.data(), content_.data() + data_ + begin, end - begin);
    return values;
  }

 private:
  std::string content_;
  nlohmann::json header_;
  std::size_t data_ = 0;
};

/// Tokens that have the same logit and the same place in the history are alike, and which of them top-p takes first is
/// left to torch's unstable sort: the probabilities of a group are compared without regard to order.
std::map<std::pair<float, bool>, std::vector<float>> by_group(const std::vector<float>& logits,
                                                              const std::vector<TokenId>& history,
                                                              const std::vector<float>& probabilities) {
  std::map<std::pair<float, bool>, std::vector<float>> groups;
  for (std::size_t n = 0; n < logits.size(); ++n) {
    const bool seen = std::find(history.begin(), history.end(), static_cast<TokenId>(n)) != history.end();
    groups[{logits[n], seen}].push_back(probabilities[n]);
  }
  for (auto& [key, group] : groups) std::sort(group.begin(), group.end());
  return groups;
}

TEST(SamplingGoldenTest, ProbabilitiesEqualThoseOfTransformers) {
  if (!testing::has_golden("sampling")) {
    GTEST_SKIP() << "no sampling in " << testing::golden_directory();
  }
  const std::filesystem::path directory = testing::golden_directory() / "sampling";
  const nlohmann::json cases = nlohmann::json::parse(read(directory / "cases.json"));
  const Tensors tensors(directory / "sampling.safetensors");
  ASSERT_FALSE(cases.at("cases").empty());
  for (const nlohmann::json& one : cases.at("cases")) {
    const std::string name = one.at("name");
    SCOPED_TRACE(one.dump());
    SamplingOptions options;
    options.temperature = one.value("temperature", 1.0);
    options.top_k = one.value("top_k", std::size_t{0});
    options.top_p = one.value("top_p", 1.0);
    options.min_p = one.value("min_p", 0.0);
    options.repetition_penalty = one.value("repetition_penalty", 1.0);
    const std::vector<float> logits = tensors[name + ".logits"];
    const std::vector<float> expected = tensors[name + ".probabilities"];

    const std::vector<TokenId> history = one.at("history");

    const std::vector<float> found = next_token_probabilities(logits, history, options);

    ASSERT_EQ(found.size(), expected.size());
    const auto expected_groups = by_group(logits, history, expected);
    for (const auto& [key, group] : by_group(logits, history, found)) {
      EXPECT_THAT(group, ::testing::Pointwise(::testing::FloatNear(kTolerance), expected_groups.at(key))) << key.first;
    }
  }
}

}  // namespace
}  // namespace refrag
