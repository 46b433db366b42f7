#include "server/documents_upload.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/files.h"
#include "base/message.h"
#include "refrag/error.h"
#include "support/fake_runner.h"

namespace refrag::server {
namespace {

using ::testing::HasSubstr;

class DocumentsUploadTest : public ::testing::Test {
 protected:
  TemporaryDirectory directory_;
  std::shared_ptr<refrag::testing::FakeRunner> runner_ = std::make_shared<refrag::testing::FakeRunner>();
  std::shared_ptr<KnowledgeBase> base_ = KnowledgeBase::create(directory_.path() / "kb", runner_->info().schema);
  Indexer indexer_{runner_, base_};
  DocumentsUpload upload_{indexer_};
};

TEST_F(DocumentsUploadTest, ResultsKeepTheOrderInWhichDocumentsCame) {
  upload_.add({"a", "", "first text", {}});
  upload_.reject("b", "torn");
  upload_.add({"c", "", "third text", {}});
  const auto results = upload_.finish();
  ASSERT_EQ(results.size(), 3u);
  EXPECT_EQ(results[0].id, "a");
  EXPECT_EQ(results[0].status, DocumentStatus::kCreated);
  EXPECT_EQ(results[1].status, DocumentStatus::kError);
  EXPECT_EQ(results[1].error, "torn");
  EXPECT_EQ(results[2].status, DocumentStatus::kCreated);
  EXPECT_EQ(base_->stats().documents, 2u);
}

TEST_F(DocumentsUploadTest, ALongUploadIsCommittedAsItComes) {
  for (int n = 0; n < 130; ++n) upload_.add({message("d", n), "", message("text number ", n), {}});
  EXPECT_EQ(base_->stats().documents, 128u);
  EXPECT_EQ(upload_.finish().size(), 130u);
  EXPECT_EQ(base_->stats().documents, 130u);
}

TEST_F(DocumentsUploadTest, ABusyBaseRefusesAnUploadThatHasNotBegun) {
  const auto other = KnowledgeBase::open(base_->directory());
  const auto lock = other->lock_for_writing();
  upload_.add({"a", "", "text", {}});
  try {
    upload_.finish();
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kBusy);
  }
}

TEST_F(DocumentsUploadTest, ABaseThatBecomesBusyIsToldByTheDocumentsConcerned) {
  for (int n = 0; n < 64; ++n) upload_.add({message("d", n), "", "text", {}});
  const auto other = KnowledgeBase::open(base_->directory());
  const auto lock = other->lock_for_writing();
  upload_.add({"late", "", "text", {}});
  const auto results = upload_.finish();
  EXPECT_EQ(results.front().status, DocumentStatus::kCreated);
  EXPECT_EQ(results.back().id, "late");
  EXPECT_EQ(results.back().status, DocumentStatus::kError);
  EXPECT_FALSE(results.back().error.empty());
}

TEST_F(DocumentsUploadTest, NdjsonMayBeCutAnywhereAndBadLinesAreTold) {
  const std::string lines =
      "{\"id\": \"a\", \"text\": \"one\"}\r\n\n{\"id\": \"b\"}\nnot json\n{\"id\": \"c\", \"text\": \"" +
      std::string(200, 'x') + "\"}\n{\"id\": \"d\", \"text\": \"\xC3\xA9\"}";
  NdjsonUpload ndjson(upload_, 100);
  for (const char c : lines) ndjson.feed({&c, 1});
  ndjson.finish();
  const auto results = upload_.finish();
  ASSERT_EQ(results.size(), 5u);
  EXPECT_EQ(results[0].status, DocumentStatus::kCreated);
  EXPECT_THAT(results[1].error, HasSubstr("line 3"));
  EXPECT_THAT(results[1].error, HasSubstr("text"));
  EXPECT_THAT(results[2].error, HasSubstr("line 4"));
  EXPECT_THAT(results[3].error, HasSubstr("line 5 is longer than 100 bytes"));
  EXPECT_EQ(results[4].id, "d");
  EXPECT_EQ(base_->get("d")->document.text, "\xC3\xA9");
}

TEST_F(DocumentsUploadTest, WhatWasCommittedBeforeAnUploadIsCalledOffStays) {
  std::size_t checks = 0;
  DocumentsUpload upload(indexer_, [&] {
    if (++checks > 70) throw Error(ErrorCode::kCancelled, "the client left");
  });
  const auto add_many = [&] {
    for (int n = 0; n < 100; ++n) upload.add({message("d", n), "", message("text number ", n), {}});
  };
  EXPECT_THROW(add_many(), Error);
  EXPECT_EQ(checks, 71u);
  EXPECT_EQ(base_->stats().documents, 64u);
}

TEST_F(DocumentsUploadTest, AnUploadThatIsCalledOffCommitsNoMore) {
  bool goes_on = true;
  DocumentsUpload upload(indexer_, [&] {
    if (!goes_on) throw Error(ErrorCode::kUnavailable, "the server is shutting down");
  });
  upload.add({"a", "", "text", {}});
  goes_on = false;
  EXPECT_THROW(upload.reject("b", "torn"), Error);
  EXPECT_THROW(upload.finish(), Error);
  EXPECT_EQ(base_->stats().documents, 0u);
}

std::string form(const std::vector<std::string>& parts) {
  std::string body;
  for (const std::string& part : parts) body += "--B\r\nContent-Disposition: form-data; " + part + "\r\n";
  return body + "--B--\r\n";
}
constexpr const char* kType = "multipart/form-data; boundary=B";

TEST_F(DocumentsUploadTest, FilesOfAFormBecomeDocumentsByTheirNames) {
  upload_form(upload_, kType,
              form({"name=\"file\"; filename=\"a.txt\"\r\n\r\nplain words",
                    "name=\"file\"; filename=\"b.md\"\r\n\r\n# Head\n\nwords",
                    "name=\"file\"; filename=\"c\"\r\nContent-Type: text/html\r\n\r\n<p>para</p>",
                    "name=\"file\"; filename=\"d.jsonl\"\r\n\r\n{\"id\": \"d1\", \"text\": \"x\"}\n{\"id\": \"d2\", "
                    "\"text\": \"y\"}",
                    "name=\"file\"; filename=\"e.exe\"\r\n\r\nMZ", "name=\"metadata\"\r\n\r\n{\"year\": 2024}"}));
  const auto results = upload_.finish();
  ASSERT_EQ(results.size(), 6u);
  EXPECT_EQ(results[5].status, DocumentStatus::kError);
  EXPECT_THAT(results[5].error, HasSubstr("e.exe"));
  EXPECT_EQ(base_->stats().documents, 5u);
  EXPECT_EQ(base_->get("a.txt")->document.metadata, (Metadata{{"year", std::int64_t{2024}}}));
  EXPECT_THAT(base_->get("c")->document.text, HasSubstr("para"));
}

TEST_F(DocumentsUploadTest, AFormIsCalledOffBeforeItsNextFileIsRead) {
  std::size_t checks = 0;
  DocumentsUpload upload(indexer_, [&] {
    if (++checks == 3) throw Error(ErrorCode::kCancelled, "the client left");
  });
  const std::string file = "name=\"file\"; filename=\"a.txt\"\r\n\r\nwords";
  EXPECT_THROW(upload_form(upload, kType, form({file, file, file})), Error);
  EXPECT_EQ(checks, 3u);  // before the first file, before its document is added, before the second file
}

TEST_F(DocumentsUploadTest, MetadataOfAFormBelongsToTheLinesOfItsNdjsonTooButTheirOwnWins) {
  upload_form(upload_, kType,
              form({"name=\"file\"; filename=\"d.jsonl\"\r\n\r\n{\"id\": \"d1\", \"text\": \"x\"}\n{\"id\": \"d2\", "
                    "\"text\": \"y\", \"metadata\": {\"year\": 1999}}",
                    "name=\"metadata\"\r\n\r\n{\"year\": 2024, \"kind\": \"k\"}"}));
  upload_.finish();
  EXPECT_EQ(base_->get("d1")->document.metadata, (Metadata{{"kind", "k"}, {"year", std::int64_t{2024}}}));
  EXPECT_EQ(base_->get("d2")->document.metadata, (Metadata{{"kind", "k"}, {"year", std::int64_t{1999}}}));
}

TEST_F(DocumentsUploadTest, AFormWithWrongFieldsIsRefusedByName) {
  const auto param = [&](const std::vector<std::string>& parts) {
    try {
      upload_form(upload_, kType, form(parts));
    } catch (const Error& error) {
      return error.param();
    }
    return std::string("(nothing was refused)");
  };
  const std::string file = "name=\"file\"; filename=\"a.txt\"\r\n\r\nwords";
  EXPECT_EQ(param({}), "file");
  EXPECT_EQ(param({file, "name=\"colour\"\r\n\r\nred"}), "colour");
  EXPECT_EQ(param({file, "name=\"metadata\"\r\n\r\n[1]"}), "metadata");
  EXPECT_EQ(param({file, file, "name=\"id\"\r\n\r\nx"}), "id");
  EXPECT_EQ(param({"name=\"file\"; filename=\"a.ndjson\"\r\n\r\n{}", "name=\"id\"\r\n\r\nx"}), "id");
}

}  // namespace
}  // namespace refrag::server
