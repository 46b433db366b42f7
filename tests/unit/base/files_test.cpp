#include "base/files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <functional>
#include <memory>
#include <utility>

#include "refrag/error.h"

namespace refrag {
namespace {

using ::testing::HasSubstr;

class FilesTest : public ::testing::Test {
 protected:
  std::filesystem::path at(const std::string& name) const { return directory_.path() / name; }

  TemporaryDirectory directory_;
};

ErrorCode code_of(const std::function<void()>& action, std::string* text = nullptr) {
  try {
    action();
  } catch (const Error& error) {
    if (text != nullptr) {
      *text = error.what();
    }
    return error.code();
  }
  ADD_FAILURE() << "expected an error";
  return ErrorCode::kInternal;
}

TEST_F(FilesTest, WhatIsWrittenIsReadBack) {
  const std::string content("a\0b\n\xff", 5);
  write_file_atomic(at("file"), content);
  EXPECT_EQ(read_file(at("file")), content);

  write_file_atomic(at("file"), "");
  EXPECT_EQ(read_file(at("file")), "");
  EXPECT_FALSE(std::filesystem::exists(at("file.tmp")));
}

TEST_F(FilesTest, AMissingFileIsNamedWithTheReason) {
  std::string text;
  EXPECT_EQ(code_of([&] { read_file(at("absent")); }, &text), ErrorCode::kNotFound);
  EXPECT_THAT(text, HasSubstr(at("absent").string()));
  EXPECT_THAT(text, HasSubstr("No such file"));
}

TEST_F(FilesTest, ADirectoryIsNotReadAsAFile) {
  EXPECT_EQ(code_of([&] { read_file(directory_.path()); }), ErrorCode::kIo);
  EXPECT_EQ(code_of([&] { MappedFile{directory_.path()}; }), ErrorCode::kIo);
}

TEST_F(FilesTest, AFileLargerThanTheLimitIsRefused) {
  write_file_atomic(at("file"), "12345");
  EXPECT_EQ(read_file(at("file"), 5), "12345");
  EXPECT_EQ(code_of([&] { read_file(at("file"), 4); }), ErrorCode::kInvalidArgument);
}

TEST_F(FilesTest, FilesWhoseSizeTheSystemDoesNotTellAreReadWhole) {
  const std::string status = read_file("/proc/self/status");
  EXPECT_THAT(status, HasSubstr("VmRSS"));
  EXPECT_EQ(code_of([] { read_file("/proc/self/status", 10); }), ErrorCode::kInvalidArgument);
}

TEST_F(FilesTest, AFailedWriteLeavesTheOldFile) {
  std::filesystem::create_directory(at("taken"));
  EXPECT_EQ(code_of([&] { write_file_atomic(at("taken"), "x"); }), ErrorCode::kIo);

  EXPECT_TRUE(std::filesystem::is_directory(at("taken")));
  EXPECT_FALSE(std::filesystem::exists(at("taken.tmp")));
  EXPECT_EQ(code_of([&] { write_file_atomic(at("absent/file"), "x"); }), ErrorCode::kNotFound);
}

TEST_F(FilesTest, SyncNamesWhatIsNotThere) {
  write_file_atomic(at("file"), "x");
  EXPECT_NO_THROW(sync_file(at("file")));
  EXPECT_NO_THROW(sync_directory(directory_.path()));
  EXPECT_EQ(code_of([&] { sync_file(at("absent")); }), ErrorCode::kNotFound);
  EXPECT_EQ(code_of([&] { sync_directory(at("file")); }), ErrorCode::kNotFound);
}

TEST_F(FilesTest, AMappingOutlivesItsFirstHandle) {
  write_file_atomic(at("file"), "mapped");
  auto first = std::make_unique<MappedFile>(at("file"));
  const MappedFile second = *first;
  first.reset();

  EXPECT_EQ(second.text(), "mapped");
  EXPECT_EQ(second.bytes().size(), 6U);
  EXPECT_EQ(second.path(), at("file"));
}

TEST_F(FilesTest, AnEmptyFileMapsToNothing) {
  write_file_atomic(at("empty"), "");
  EXPECT_TRUE(MappedFile(at("empty")).bytes().empty());
}

TEST_F(FilesTest, ANamedPipeIsRefusedRatherThanWaitedFor) {
  ASSERT_EQ(::mkfifo(at("pipe").c_str(), 0600), 0);
  EXPECT_EQ(code_of([&] { MappedFile{at("pipe")}; }), ErrorCode::kIo);
}

TEST_F(FilesTest, OneHandleHoldsALockAtATime) {
  auto first = FileLock::try_acquire(at("lock"));
  ASSERT_TRUE(first.has_value());
  EXPECT_FALSE(FileLock::try_acquire(at("lock")).has_value());

  FileLock moved = *std::move(first);
  first.reset();
  EXPECT_FALSE(FileLock::try_acquire(at("lock")).has_value());

  { const FileLock gone = std::move(moved); }
  EXPECT_TRUE(FileLock::try_acquire(at("lock")).has_value());
}

TEST_F(FilesTest, ATemporaryDirectoryGoesWithWhatItHolds) {
  std::filesystem::path path;
  {
    const TemporaryDirectory temporary;
    path = temporary.path();
    write_file_atomic(path / "file", "x");
  }
  EXPECT_FALSE(std::filesystem::exists(path));
}

}  // namespace
}  // namespace refrag
