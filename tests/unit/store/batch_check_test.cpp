#include "store/batch_check.h"

#include <gmock/gmock.h>

#include <cmath>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "unit/store/store_fixture.h"

namespace refrag::testing {
namespace {

using ::testing::HasSubstr;

constexpr float kInfinity = std::numeric_limits<float>::infinity();

/// One document changed by `change`: what the message says.
std::string refusal(const std::function<void(DocumentRecord&)>& change, VectorFormat format = VectorFormat::kFp16) {
  Batch batch = batch_of({"moon"});
  check_batch(batch, small_schema(format));
  change(batch.documents[0]);
  const Error error = error_of([&] { check_batch(batch, small_schema(format)); });
  EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
  EXPECT_THAT(error.what(), ::testing::StartsWith(error.param()));
  EXPECT_THAT(error.param(), HasSubstr("documents[0]"));
  return error.what();
}

TEST(BatchCheckTest, RefusesVectorsThatAreNotFinite) {
  for (const float wrong : {std::nanf(""), kInfinity, -kInfinity}) {
    EXPECT_THAT(refusal([&](DocumentRecord& record) { record.passages[0].vector[3] = wrong; }),
                HasSubstr("passages[0].vector[3]"));
    EXPECT_THAT(refusal([&](DocumentRecord& record) { record.passages[0].chunk_vectors[9] = wrong; }),
                HasSubstr("passages[0].chunk_vectors[9]"));
    EXPECT_THAT(
        refusal([&](DocumentRecord& record) { record.passages[0].chunk_vectors[9] = wrong; }, VectorFormat::kInt8),
        HasSubstr("passages[0].chunk_vectors[9]"));
  }
}

TEST(BatchCheckTest, RefusesWhatFp16WouldMakeInfinite) {
  EXPECT_THAT(refusal([](DocumentRecord& record) { record.passages[0].chunk_vectors[0] = 65505; }), HasSubstr("65504"));
  Batch batch = batch_of({"moon"});
  batch.documents[0].passages[0].chunk_vectors[0] = 65505;
  EXPECT_NO_THROW(check_batch(batch, small_schema(VectorFormat::kInt8)));
}

TEST(BatchCheckTest, RefusesVectorsOfAnotherWidth) {
  EXPECT_THAT(refusal([](DocumentRecord& record) { record.passages[0].vector.pop_back(); }),
              HasSubstr("has 5 floats; expected 6"));
  EXPECT_THAT(refusal([](DocumentRecord& record) { record.passages[0].chunk_vectors.clear(); }),
              HasSubstr("has 0 floats; expected 32"));
}

TEST(BatchCheckTest, RefusesIdsThatAreEmptyTooLongOrTwiceThere) {
  EXPECT_THAT(refusal([](DocumentRecord& record) { record.document.id.clear(); }), HasSubstr("expected 1 to 512"));
  EXPECT_THAT(refusal([](DocumentRecord& record) { record.document.id.assign(513, 'x'); }), HasSubstr("has 513 bytes"));
  const Error twice = error_of([] { check_batch(batch_of({"moon", "sun", "moon"}), small_schema()); });
  EXPECT_THAT(twice.what(), HasSubstr("documents[2].id is \"moon\""));
}

TEST(BatchCheckTest, RefusesTextThatIsNotUtf8) {
  const std::string wrong = "a\xff";
  EXPECT_THAT(refusal([&](DocumentRecord& record) { record.document.id = wrong; }), HasSubstr(".id"));
  EXPECT_THAT(refusal([&](DocumentRecord& record) { record.document.title = wrong; }), HasSubstr(".title"));
  EXPECT_THAT(refusal([&](DocumentRecord& record) { record.document.text = wrong; }), HasSubstr(".text"));
  EXPECT_THAT(refusal([&](DocumentRecord& record) { record.document.metadata["k"] = wrong; }),
              HasSubstr(".metadata.k"));
  EXPECT_THAT(refusal([&](DocumentRecord& record) { record.document.metadata[wrong] = true; }),
              HasSubstr(".metadata name"));
}

TEST(BatchCheckTest, RefusesMetadataThatIsNotFinite) {
  EXPECT_THAT(refusal([](DocumentRecord& record) { record.document.metadata["k"] = std::nan(""); }),
              HasSubstr("expected a finite number"));
}

TEST(BatchCheckTest, RefusesRangesOutsideTheText) {
  EXPECT_THAT(refusal([](DocumentRecord& record) { record.passages[0].end = 16; }), HasSubstr("0 to 16"));
  EXPECT_THAT(refusal([](DocumentRecord& record) { record.passages[0].start = 16; }), HasSubstr("16 to 15"));
  EXPECT_THAT(refusal([](DocumentRecord& record) { record.passages[0].chunks[3].end = 16; }), HasSubstr("chunks[3]"));
}

TEST(BatchCheckTest, RefusesChunksWithoutTokensOrWithTooMany) {
  EXPECT_THAT(refusal([](DocumentRecord& record) { record.passages[0].chunks[1].ids.clear(); }),
              HasSubstr("has 0 tokens; expected 1 to 4"));
  EXPECT_THAT(refusal([](DocumentRecord& record) { record.passages[0].chunks[1].ids.resize(5); }),
              HasSubstr("has 5 tokens; expected 1 to 4"));
  EXPECT_THAT(refusal([](DocumentRecord& record) { record.passages[0].chunks[1].ids[0] = -1; }),
              HasSubstr("token id -1"));
}

}  // namespace
}  // namespace refrag::testing
