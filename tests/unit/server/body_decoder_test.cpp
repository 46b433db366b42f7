#include "server/body_decoder.h"

#include <gtest/gtest.h>

#include <map>

namespace refrag::server {
namespace {

constexpr std::string_view kText = "hello hello hello";

template <std::size_t N>
std::string bytes(const char (&literal)[N]) {
  return std::string(literal, N - 1);
}

const std::map<std::string, std::string>& packed() {
  static const std::map<std::string, std::string> kPacked = {
      {"gzip", bytes("\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\xcb\x48\xcd\xc9\xc9\x57\xc8\x40\x90\x00\x80\x88\xf9\xe5"
                     "\x11\x00\x00\x00")},
      {"deflate", bytes("\x78\x9c\xcb\x48\xcd\xc9\xc9\x57\xc8\x40\x90\x00\x3a\x2e\x06\x7d")},
      {"br", bytes("\x1b\x10\x00\xf8\x8d\x94\x6e\xde\x44\x55\x86\x96\x6c\x20\x6f\x01\x4f\x1c\x60\x1c")}};
  return kPacked;
}

std::string feed(BodyDecoder& decoder, std::string_view input) {
  std::string output;
  decoder.feed(input, [&](std::string_view piece) { output += piece; });
  return output;
}

int status_of(const std::string& encoding, const std::string& input) {
  try {
    feed(*make_body_decoder(encoding), input);
    return 200;
  } catch (const HttpError& error) {
    return error.status();
  }
}

TEST(BodyDecoderTest, ABodyMayComeInPiecesAndIsWholeAtItsLastByteOnly) {
  for (const auto& [encoding, input] : packed()) {
    const auto decoder = make_body_decoder(encoding);
    std::string output;
    for (std::size_t n = 0; n < input.size(); ++n) {
      EXPECT_EQ(decoder->is_whole(), n == 0) << encoding << " after " << n;
      output += feed(*decoder, {&input[n], 1});
    }
    EXPECT_EQ(output, kText) << encoding;
    EXPECT_TRUE(decoder->is_whole()) << encoding;
  }
}

TEST(BodyDecoderTest, JoinedGzipFilesAreOneBody) {
  const auto decoder = make_body_decoder("gzip");
  EXPECT_EQ(feed(*decoder, packed().at("gzip") + packed().at("gzip")), std::string(kText) + std::string(kText));
  EXPECT_TRUE(decoder->is_whole());
}

TEST(BodyDecoderTest, BrokenBytesAndBytesBehindTheEndAre400) {
  for (const auto& [encoding, input] : packed()) {
    std::string broken = input;
    broken[broken.size() / 2] = static_cast<char>(broken[broken.size() / 2] ^ 0x55);
    EXPECT_EQ(status_of(encoding, broken), 400) << encoding;
    EXPECT_EQ(status_of(encoding, input + "tail"), 400) << encoding;
    EXPECT_EQ(status_of(encoding, input), 200) << encoding;
  }
}

TEST(BodyDecoderTest, AnyOtherBodyStaysAsItIs) {
  const auto decoder = make_body_decoder("identity");
  EXPECT_EQ(feed(*decoder, "\x1f\x8b plain"), "\x1f\x8b plain");
  EXPECT_TRUE(decoder->is_whole());
}

}  // namespace
}  // namespace refrag::server
