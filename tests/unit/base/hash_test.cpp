#include "base/hash.h"

#include <gtest/gtest.h>

namespace refrag {
namespace {

TEST(HashTest, MatchesThePublishedVectors) {  // FIPS 180-4 examples
  EXPECT_EQ(sha256_hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sha256_hex(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

TEST(HashTest, PiecesAreTheWhole) { EXPECT_EQ(Sha256().add("a").add("bc").hex(), sha256_hex("abc")); }

TEST(HashTest, FieldsKeepTheirBorders) {
  EXPECT_NE(Sha256().add_field("ab").add_field("c").hex(), Sha256().add_field("a").add_field("bc").hex());
  EXPECT_EQ(Sha256().add_field("ab").hex(), sha256_hex(std::string("\2\0\0\0\0\0\0\0ab", 10)));
}

TEST(HashTest, BytesAndTextAreTheSame) {
  const std::string text = "abc";
  EXPECT_EQ(Sha256().add(std::as_bytes(std::span(text))).hex(), sha256_hex(text));
}

}  // namespace
}  // namespace refrag
