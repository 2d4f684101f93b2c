#include "store/publish.h"

#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>

#include "base/text.h"
#include "store/durable_file.h"

namespace bulkhaul {
namespace {

namespace fs = std::filesystem;

class Store : public testing::Test {
 protected:
  Store() : root_(fs::temp_directory_path().string() + "/bulkhaul-store-" + NewId()) {
    fs::create_directories(root_);
  }
  ~Store() override { fs::remove_all(root_); }

  std::string Folder(const std::string& name, const std::string& content) {
    fs::create_directories(root_ + "/" + name);
    std::ofstream(root_ + "/" + name + "/file") << content;
    return root_ + "/" + name;
  }
  std::string Content(const std::string& folder) {
    return ReadSmallFile(folder + "/file").ValueOr("-");
  }

  const std::string root_;
};

TEST_F(Store, DurableFileHashesWhatItWrites) {
  auto file = DurableFile::Create(root_ + "/a").ValueOrDie();
  const std::string small(100, 'x');
  const std::string large(300'000, 'y');
  ASSERT_TRUE(file->Write(small.data(), 100).ok());
  ASSERT_TRUE(file->Write(large.data(), 300'000).ok());
  ASSERT_TRUE(file->Write(small.data(), 100).ok());
  EXPECT_EQ(file->Tell().ValueOrDie(), 300'200);
  ASSERT_TRUE(file->Close().ok());
  ASSERT_TRUE(file->Close().ok());
  EXPECT_EQ(ReadSmallFile(root_ + "/a").ValueOrDie(), small + large + small);
  EXPECT_EQ(Xxh3OfFile(root_ + "/a").ValueOrDie(), file->xxh3());
  EXPECT_FALSE(file->Write("z", 1).ok());
}

TEST_F(Store, DurableFileRefusesWhatIsThere) {
  std::ofstream(root_ + "/a") << "old";
  const auto file = DurableFile::Create(root_ + "/a");
  ASSERT_FALSE(file.ok());
  EXPECT_EQ(CodeOf(file.status()), "EEXIST");
  EXPECT_EQ(ReadSmallFile(root_ + "/a").ValueOrDie(), "old");
}

TEST_F(Store, AbortedFileIsGoneAndStaysUnusable) {
  auto file = DurableFile::Create(root_ + "/a").ValueOrDie();
  const std::string block(1 << 20, 'x');
  ASSERT_TRUE(file->Write(block.data(), 1 << 20).ok());
  ASSERT_TRUE(file->Abort().ok());
  EXPECT_FALSE(fs::exists(root_ + "/a"));
  EXPECT_FALSE(file->Write("z", 1).ok());
  EXPECT_FALSE(file->Close().ok());
}

TEST_F(Store, DurableFileFollowsNoLink) {
  fs::create_symlink(root_ + "/elsewhere", root_ + "/link");
  EXPECT_FALSE(DurableFile::Create(root_ + "/link").ok());
  EXPECT_FALSE(fs::exists(root_ + "/elsewhere"));
}

TEST_F(Store, WriteFileDurablyReplacesWhole) {
  ASSERT_TRUE(WriteFileDurably(root_ + "/a", root_, "one").ok());
  ASSERT_TRUE(WriteFileDurably(root_ + "/a", root_, "two").ok());
  EXPECT_EQ(ReadSmallFile(root_ + "/a").ValueOrDie(), "two");
  EXPECT_EQ(ListFolder(root_).ValueOrDie(), (std::vector<std::string>{"a"}));
}

TEST_F(Store, MakeFoldersMakesTheWholePath) {
  ASSERT_TRUE(MakeFolders(root_ + "/a/b/c").ok());
  ASSERT_TRUE(MakeFolders(root_ + "/a/b/c").ok());
  EXPECT_TRUE(fs::is_directory(root_ + "/a/b/c"));
  std::ofstream(root_ + "/file") << "x";
  EXPECT_EQ(CodeOf(MakeFolders(root_ + "/file")), "ENOTDIR");
}

TEST_F(Store, RenamesNeverTakeAwayWhatIsThere) {
  const auto from = Folder("from", "new");
  const auto to = Folder("to", "old");
  EXPECT_EQ(RenameNoReplace(from, to).ValueOrDie(), RenameOutcome::kDestinationExists);
  EXPECT_EQ(RenameOverEmpty(from, to).ValueOrDie(), RenameOutcome::kDestinationExists);
  // Plain rename would replace an empty folder.
  fs::create_directories(root_ + "/empty");
  EXPECT_EQ(RenameNoReplace(from, root_ + "/empty").ValueOrDie(),
            RenameOutcome::kDestinationExists);
  EXPECT_EQ(RenameExchange(from, root_ + "/none").ValueOrDie(), RenameOutcome::kDestinationMissing);
  EXPECT_EQ(RenameExchange(from, to).ValueOrDie(), RenameOutcome::kDone);
  EXPECT_EQ(Content(to), "new");
  EXPECT_EQ(Content(from), "old");
  EXPECT_TRUE(CanExchange(root_).ValueOrDie());
  EXPECT_EQ(RenameOverEmpty(from, root_ + "/empty").ValueOrDie(), RenameOutcome::kDone);
}

TEST_F(Store, VersionsCountOnFromTheHighest) {
  EXPECT_EQ(NextVersion(root_ + "/t").ValueOrDie(), root_ + "/t");
  for (const char* name : {"t", "t_v2", "t_v9", "t_v10", "t_vx", "t_v11_old", "u_v99"}) {
    fs::create_directories(root_ + "/" + name);
  }
  EXPECT_EQ(NextVersion(root_ + "/t").ValueOrDie(), root_ + "/t_v11");
}

TEST_F(Store, JournalSurvivesJson) {
  PublishJournal journal;
  journal.source = "/a \"b\"";
  journal.destination = "/ü";
  journal.new_folder = {7, UINT64_MAX};
  journal.old_folder = FileId{1, 2};
  journal.archived_to = "/x";
  const auto back = PublishJournal::FromJson(journal.ToJson()).ValueOrDie();
  EXPECT_EQ(back.ToJson(), journal.ToJson());
  EXPECT_EQ(back.new_folder, journal.new_folder);
  for (const char* text : {"", "{}", "[]", R"({"step":"x"})", "{\"step\":1}"}) {
    EXPECT_FALSE(PublishJournal::FromJson(text).ok()) << text;
  }
}

// A second swap would bring the old folder back.
TEST_F(Store, RecoveryNeverSwapsTwice) {
  PublishRequest request;
  request.source = Folder("work/new", "new");
  request.destination = Folder("t", "old");
  request.conflict = ConflictRule::kOverwrite;
  PublishJournal before;
  const RecordJournal record = [&](const PublishJournal& journal) {
    if (journal.step == PublishJournal::Step::kPublishing) before = journal;
    return Status::OK();
  };
  // The crash: renamed, but neither recorded as published nor the old one removed.
  before.source = request.source;
  before.destination = request.destination;
  before.new_folder = FindFileId(request.source).ValueOrDie().value();
  before.old_folder = FindFileId(request.destination).ValueOrDie();
  ASSERT_EQ(RenameExchange(request.source, request.destination).ValueOrDie(), RenameOutcome::kDone);
  for (int i = 0; i < 3; ++i) {
    const auto recovered = RecoverPublish(before, request, record).ValueOrDie();
    ASSERT_TRUE(recovered.has_value());
    EXPECT_EQ(Content(request.destination), "new");
    EXPECT_FALSE(fs::exists(request.source));
  }
}

TEST_F(Store, RecoverySaysWhenTheFolderIsGone) {
  PublishRequest request;
  request.source = Folder("work/new", "new");
  request.destination = root_ + "/t";
  PublishJournal journal;
  const RecordJournal record = [&](const PublishJournal& state) {
    journal = state;
    return PermanentError("the ledger's disk is full");
  };
  EXPECT_FALSE(Publish(request, record).ok());
  EXPECT_FALSE(fs::exists(request.destination)) << "published without a journal";
  fs::remove_all(root_ + "/work");
  EXPECT_FALSE(RecoverPublish(journal, request, record).ValueOrDie().has_value());
}

class PublishedFile : public Store {
 protected:
  std::string File(const std::string& name, const std::string& content) {
    std::ofstream(root_ + "/" + name) << content;
    return root_ + "/" + name;
  }
  Result<PublishJournal> PublishTo(const std::string& destination, ConflictRule rule) {
    PublishRequest request;
    request.source = File("new.part", "new");
    request.destination = destination;
    request.conflict = rule;
    request.file = true;
    return Publish(request, [this](const PublishJournal& journal) {
      journal_ = journal;
      return Status::OK();
    });
  }

  PublishJournal journal_;
};

TEST_F(PublishedFile, AppearsUnderItsName) {
  const auto published = PublishTo(root_ + "/one.csv", ConflictRule::kFail);
  ASSERT_TRUE(published.ok()) << published.status();
  EXPECT_EQ(ListFolder(root_).ValueOrDie(), (std::vector<std::string>{"one.csv"}));
  EXPECT_EQ(ReadSmallFile(root_ + "/one.csv").ValueOrDie(), "new");
}

TEST_F(PublishedFile, TakesTheNameOfNothingUnlessItMay) {
  const auto there = File("one.csv", "old");
  const auto refused = PublishTo(there, ConflictRule::kFail);
  EXPECT_EQ(CodeOf(refused.status()), "EEXIST");
  EXPECT_NE(MessageOf(refused.status()).find("if_exists: replace"), std::string::npos);
  EXPECT_EQ(ReadSmallFile(there).ValueOrDie(), "old");
  ASSERT_TRUE(PublishTo(there, ConflictRule::kOverwrite).ok());
  EXPECT_EQ(ReadSmallFile(there).ValueOrDie(), "new");
  EXPECT_EQ(ListFolder(root_).ValueOrDie(), (std::vector<std::string>{"one.csv"}));
}

TEST_F(PublishedFile, IsRecoveredByItsInode) {
  const auto there = File("one.csv", "old");
  ASSERT_TRUE(PublishTo(there, ConflictRule::kOverwrite).ok());
  journal_.step = PublishJournal::Step::kPublishing;
  const auto record = [](const PublishJournal&) { return Status::OK(); };
  PublishRequest request;
  request.destination = there;
  request.conflict = ConflictRule::kOverwrite;
  request.file = true;
  const auto recovered = RecoverPublish(journal_, request, record);
  ASSERT_TRUE(recovered.ok() && recovered->has_value());
  EXPECT_EQ((*recovered)->step, PublishJournal::Step::kPublished);
  EXPECT_EQ(ReadSmallFile(there).ValueOrDie(), "new");
}

}  // namespace
}  // namespace bulkhaul
