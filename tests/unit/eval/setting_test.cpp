#include "eval/setting.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "engine/model_runner.h"

namespace refrag {
namespace {

using ::testing::ElementsAre;

TEST(EvalSettingTest, RulesMultiplyOnlyWhereThereIsAChoice) {
  std::vector<std::string> labels;
  for (const EvalSetting& setting : make_settings({EvalMode::kNone, EvalMode::kRefrag, EvalMode::kLast}, {0, 0.05, 1},
                                                  {EvalRule::kPolicy, EvalRule::kHighPerplexity})) {
    labels.push_back(label_of(setting));
  }
  EXPECT_THAT(labels, ElementsAre("none", "refrag, 0 % expanded", "refrag, 5 % expanded by policy",
                                  "refrag, 5 % expanded by high-perplexity", "refrag, 100 % expanded", "last tokens"));
}

TEST(EvalSettingTest, WhatAModelLacksIsNamed) {
  ModelInfo model;
  const EvalSetting by_policy{EvalMode::kRefrag, 0.5, EvalRule::kPolicy};
  EXPECT_EQ(what_lacks(by_policy, model), "chunk encoder");
  EXPECT_EQ(what_lacks({EvalMode::kLast}, model), "chunk encoder");
  EXPECT_EQ(what_lacks({EvalMode::kFull}, model), "");
  model.chunk_size = 8;
  EXPECT_EQ(what_lacks(by_policy, model), "expansion policy");
  EXPECT_EQ(what_lacks({EvalMode::kRefrag, 0, EvalRule::kPolicy}, model), "");
  EXPECT_EQ(what_lacks({EvalMode::kRefrag, 0.5, EvalRule::kRandom}, model), "");
}

}  // namespace
}  // namespace refrag
