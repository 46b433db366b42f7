#include "server/multipart.h"

#include <gtest/gtest.h>

#include "refrag/error.h"

namespace refrag::server {
namespace {

constexpr const char* kBoundaryXyz = "multipart/form-data; boundary=XyZ";

TEST(MultipartTest, PartsKeepTheirNamesTypesAndBytes) {
  const std::string body =
      "--XyZ\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a \\\"b\\\".md\"\r\nContent-Type: "
      "text/markdown; charset=utf-8\r\n\r\n"
      "# Title\r\n--Xy\r\n\r\n--XyZ\r\ncontent-disposition: form-data; name=id\r\n\r\nseven\r\n--XyZ--\r\n";
  const auto parts = parse_multipart(kBoundaryXyz, body);
  ASSERT_EQ(parts.size(), 2u);
  EXPECT_EQ(parts[0].name, "file");
  EXPECT_EQ(parts[0].filename, "a \"b\".md");
  EXPECT_EQ(parts[0].content_type, "text/markdown");
  EXPECT_EQ(parts[0].content, "# Title\r\n--Xy\r\n");
  EXPECT_EQ(parts[1].name, "id");
  EXPECT_EQ(parts[1].filename, "");
  EXPECT_EQ(parts[1].content, "seven");
}

TEST(MultipartTest, APartMayBeEmptyOrHoldNulBytes) {
  const std::string head = "--XyZ\r\nContent-Disposition: form-data; name=\"f\"; filename=\"x\"\r\n\r\n";
  EXPECT_EQ(parse_multipart(kBoundaryXyz, head + "\r\n--XyZ--")[0].content, "");
  const std::string bytes("\0\r\n\0", 4);
  EXPECT_EQ(parse_multipart(kBoundaryXyz, head + bytes + "\r\n--XyZ--")[0].content, bytes);
}

TEST(MultipartTest, TheBoundaryMayBeQuotedAndFollowAPreamble) {
  const std::string body = "ignored\r\n--a b\r\nContent-Disposition: form-data; name=\"n\"\r\n\r\nv\r\n--a b--epilogue";
  EXPECT_EQ(parse_multipart("multipart/form-data; charset=x; boundary=\"a b\"", body).at(0).content, "v");
}

TEST(MultipartTest, ABrokenBodyIsRefused) {
  const std::string part = "Content-Disposition: form-data; name=\"n\"\r\n\r\nv";
  const std::string bodies[] = {
      "",
      "--XyZ",
      "--XyZ\r\n",
      "--XyZ\r\n" + part,
      "--XyZ\r\n" + part + "\r\n--XyZ",
      "--XyZ\r\nContent-Type: text/plain\r\n\r\nv\r\n--XyZ--",
      "--XyZx\r\n" + part + "\r\n--XyZ--",
      "--XyZ\r\nContent-Disposition: form-data; name=\"" + std::string(100'000, 'n') + "\"\r\n\r\nv\r\n--XyZ--"};
  for (const std::string& body : bodies) EXPECT_THROW(parse_multipart(kBoundaryXyz, body), Error) << body.substr(0, 80);
  for (const char* type :
       {"multipart/form-data", "multipart/form-data; boundary=", "multipart/form-data; boundary=\""}) {
    EXPECT_THROW(parse_multipart(type, "--XyZ--"), Error) << type;
  }
}

}  // namespace
}  // namespace refrag::server
