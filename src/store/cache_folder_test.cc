#include "store/cache_folder.h"

#include <chrono>
#include <filesystem>
#include <fstream>

#include <arrow/buffer.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "base/text.h"

namespace bulkhaul {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::UnorderedElementsAre;

class CacheFolderTest : public testing::Test {
 protected:
  CacheFolderTest() : root_(fs::temp_directory_path().string() + "/bulkhaul-cache-" + NewId()) {}
  ~CacheFolderTest() override { fs::remove_all(root_); }

  std::unique_ptr<CacheFolder> Open(CacheLimits limits = {}) {
    return CacheFolder::Open(root_, limits).ValueOrDie();
  }
  static bool Keep(CacheFolder& folder, const std::string& name, const std::string& content,
                   const std::string& label = "label") {
    auto writer = folder.Begin(name).ValueOrDie();
    EXPECT_TRUE(writer->stream()->Write(content.data(), content.size()).ok());
    return folder.Publish(*writer, label).ValueOrDie();
  }
  // The content, or "-" for a miss.
  static std::string Content(CacheFolder& folder, const std::string& name) {
    auto found = folder.Find(name, [](const CacheEntry&) { return true; }).ValueOrDie();
    if (!found) return "-";
    return found->stream->Read(found->bytes).ValueOrDie()->ToString();
  }
  static std::vector<std::string> Names(const CacheFolder& folder) {
    std::vector<std::string> names;
    for (const auto& entry : folder.List().ValueOrDie()) names.push_back(entry.name);
    return names;
  }
  std::string Path(const std::string& name) const { return root_ + "/" + name + ".rows"; }
  static void Age(const std::string& path, std::chrono::hours by) {
    fs::last_write_time(path, fs::file_time_type::clock::now() - by);
  }

  const std::string root_;
};

TEST_F(CacheFolderTest, GivesBackWhatItKept) {
  auto folder = Open();
  EXPECT_EQ(Content(*folder, "a"), "-");
  const std::string large(1'000'000, 'x');
  EXPECT_TRUE(Keep(*folder, "a", large, "what it is"));
  EXPECT_EQ(Content(*folder, "a"), large);
  EXPECT_EQ(Content(*Open(), "a"), large);
  EXPECT_TRUE(Keep(*folder, "empty", ""));
  EXPECT_EQ(Content(*folder, "empty"), "");
  const auto entries = folder->List().ValueOrDie();
  ASSERT_EQ(entries.size(), 2u);
  EXPECT_EQ(entries[0].label, "what it is");
  EXPECT_EQ(entries[0].uses, 2);
  struct stat status = {};
  ASSERT_EQ(stat(root_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0700u);
}

TEST_F(CacheFolderTest, WhatIsRefusedByItsLabelIsNoUse) {
  auto folder = Open();
  Keep(*folder, "a", "rows", "old");
  const auto found =
      folder->Find("a", [](const CacheEntry& entry) { return entry.label == "new"; }).ValueOrDie();
  EXPECT_FALSE(found.has_value());
  EXPECT_EQ(folder->List().ValueOrDie()[0].uses, 0);
  Keep(*folder, "a", "other rows", "new");
  EXPECT_EQ(Content(*folder, "a"), "other rows");
  EXPECT_THAT(Names(*folder), ElementsAre("a"));
}

// Every byte counts: changed, or cut off there.
TEST_F(CacheFolderTest, DamageIsFoundAtEveryByte) {
  const std::string content = "some rows of a unit";
  Keep(*Open(), "a", content);
  const auto whole = ReadSmallFile(Path("a")).ValueOrDie();
  for (size_t at = 0; at < whole.size(); ++at) {
    if (at >= 8 && at < 16) continue;  // the number of uses
    for (const bool cut : {false, true}) {
      std::string damaged = cut ? whole.substr(0, at) : whole;
      if (!cut) damaged[at] = static_cast<char>(damaged[at] ^ 0x10);
      std::ofstream(Path("a"), std::ios::binary | std::ios::trunc) << damaged;
      auto folder = Open();
      const auto found = folder->Find("a", [](const CacheEntry&) { return true; });
      ASSERT_FALSE(found.ok()) << "byte " << at << (cut ? " cut" : " changed");
      EXPECT_EQ(CodeOf(found.status()), "cache_damaged");
      EXPECT_EQ(Content(*folder, "a"), "-") << "deleted";
    }
  }
}

TEST_F(CacheFolderTest, TheLeastRecentlyUsedGoFirst) {
  const std::string content(10'000, 'x');
  {
    auto folder = Open();
    for (const char* name : {"a", "b", "c"}) Keep(*folder, name, content);
    Age(Path("a"), std::chrono::hours(3));
    Age(Path("b"), std::chrono::hours(2));
    Age(Path("c"), std::chrono::hours(1));
    EXPECT_EQ(Content(*folder, "a"), content);
  }
  auto folder = Open({32'000, 0});
  EXPECT_THAT(Names(*folder), ElementsAre("a", "b", "c"));
  Keep(*folder, "d", content);
  EXPECT_THAT(Names(*folder), UnorderedElementsAre("a", "c", "d"));
  EXPECT_FALSE(Keep(*folder, "e", std::string(40'000, 'x'))) << "more than all may be";
  EXPECT_THAT(Names(*folder), UnorderedElementsAre("a", "c", "d"));
  EXPECT_THAT(Names(*Open({12'000, 0})), ElementsAre("d"));
}

TEST_F(CacheFolderTest, OldEntriesAreNotGivenOut) {
  auto folder = Open();
  Keep(*folder, "a", "rows");
  const int64_t stored_ms = folder->List().ValueOrDie()[0].stored_ms;
  while (std::chrono::system_clock::now() < std::chrono::sys_time<std::chrono::milliseconds>(
                                                std::chrono::milliseconds(stored_ms + 2))) {
  }
  auto brief = CacheFolder::Open(root_, {INT64_MAX, 1}).ValueOrDie();
  EXPECT_EQ(Content(*brief, "a"), "-");
  Keep(*folder, "b", "rows");
  Age(Path("b"), std::chrono::hours(25));
  Open({INT64_MAX, 24 * 3'600'000});
  EXPECT_THAT(Names(*folder), ElementsAre()) << "not used for so long either";
}

TEST_F(CacheFolderTest, AnUnfinishedEntryIsNone) {
  auto folder = Open();
  auto writer = folder->Begin("a").ValueOrDie();
  ASSERT_TRUE(writer->stream()->Write("half", 4).ok());
  EXPECT_EQ(Content(*folder, "a"), "-");
  EXPECT_THAT(Names(*folder), ElementsAre());
  writer.reset();
  EXPECT_TRUE(fs::is_empty(root_));
  // As kill -9 leaves it; the file of a writer that lives is younger.
  std::ofstream(root_ + "/a-1.tmp") << "half";
  Open();
  EXPECT_FALSE(fs::is_empty(root_));
  Age(root_ + "/a-1.tmp", std::chrono::hours(2));
  Open();
  EXPECT_TRUE(fs::is_empty(root_));
}

TEST_F(CacheFolderTest, TwoAtOnceDoNotDisturbEachOther) {
  auto one = Open(), other = Open();
  auto first = one->Begin("a").ValueOrDie(), second = other->Begin("a").ValueOrDie();
  ASSERT_TRUE(first->stream()->Write("first", 5).ok());
  ASSERT_TRUE(second->stream()->Write("second", 6).ok());
  ASSERT_TRUE(one->Publish(*first, "").ValueOrDie());
  auto found = one->Find("a", [](const CacheEntry&) { return true; }).ValueOrDie();
  ASSERT_TRUE(other->Publish(*second, "").ValueOrDie());
  EXPECT_EQ(other->Clear(0).ValueOrDie().entries, 1);
  EXPECT_EQ(found->stream->Read(5).ValueOrDie()->ToString(), "first");
  EXPECT_EQ(Content(*one, "a"), "-");
}

TEST_F(CacheFolderTest, ClearByAge) {
  auto folder = Open();
  Keep(*folder, "a", "rows");
  EXPECT_EQ(folder->Clear(3'600'000).ValueOrDie().entries, 0);
  const auto cleared = folder->Clear(0).ValueOrDie();
  EXPECT_EQ(cleared.entries, 1);
  EXPECT_GT(cleared.bytes, 4);
  EXPECT_TRUE(fs::is_empty(root_));
}

TEST(CacheFolderPath, FollowsTheXdgSpecification) {
  setenv("XDG_CACHE_HOME", "/x/cache", 1);
  EXPECT_EQ(CacheFolder::DefaultPath().ValueOrDie(), "/x/cache/bulkhaul");
  setenv("XDG_CACHE_HOME", "relative", 1);
  setenv("HOME", "/home/x", 1);
  EXPECT_EQ(CacheFolder::DefaultPath().ValueOrDie(), "/home/x/.cache/bulkhaul");
  unsetenv("XDG_CACHE_HOME");
  unsetenv("HOME");
  EXPECT_FALSE(CacheFolder::DefaultPath().ok());
}

}  // namespace
}  // namespace bulkhaul
