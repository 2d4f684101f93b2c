// kill -9 between each two steps of writing and publishing, then the same job again.
#include <csignal>
#include <cstdlib>
#include <fstream>

#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <spawn.h>
#include <sys/wait.h>

#include <arrow/array/array_primitive.h>
#include <arrow/io/file.h>
#include <arrow/table.h>
#include <parquet/arrow/reader.h>

#include "sink/export_metadata.h"
#include "sink_fixture.h"
#include "store/durable_file.h"
#include "store/publish.h"

namespace bulkhaul::contract {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kRows = 30;

struct CrashCase {
  std::string point;
  std::string conflict;
  bool archive = false;
  std::string commit = "table";
};

std::vector<CrashCase> AllCases() {
  std::vector<CrashCase> cases;
  for (const char* point : kPartCrashPoints) {
    cases.push_back({point, "version"});
    cases.push_back({fmt::format("{}#3", point), "version"});
  }
  for (const char* point : kPublishCrashPoints) {
    cases.push_back({point, "version"});
    cases.push_back({point, "overwrite"});
    cases.push_back({point, "overwrite", true});
    cases.push_back({point, "version", false, "job"});
    // From "publish.journaled" on, the second passage is that of the job's folder.
    if (std::string(point) >= "publish.journaled" &&
        std::string(point) != "publish.metadata_written" &&
        std::string(point) != "publish.parts_linked") {
      cases.push_back({fmt::format("{}#2", point), "version", false, "job"});
      cases.push_back({fmt::format("{}#2", point), "overwrite", true, "job"});
    }
  }
  return cases;
}

// Ids of all parts of a folder, in order.
std::vector<int64_t> Ids(const std::string& folder) {
  std::vector<int64_t> ids;
  for (const auto& name : Visible(folder)) {
    if (!name.ends_with(".parquet")) continue;
    auto file = arrow::io::ReadableFile::Open(folder + "/" + name).ValueOrDie();
    auto reader = parquet::arrow::OpenFile(file, arrow::default_memory_pool()).ValueOrDie();
    auto table = reader->ReadTable().ValueOrDie();
    table = table->CombineChunks().ValueOrDie();
    const auto& column = static_cast<const arrow::Int64Array&>(*table->column(0)->chunk(0));
    for (int64_t i = 0; i < column.length(); ++i) ids.push_back(column.Value(i));
  }
  return ids;
}

std::vector<int64_t> From(int64_t first) {
  std::vector<int64_t> ids;
  for (int64_t i = first; i < first + kRows; ++i) ids.push_back(i);
  return ids;
}

class SinkCrash : public testing::TestWithParam<CrashCase> {
 protected:
  // Exit status as waitpid() gives it.
  int Run(const std::string& job, int64_t first_id, const std::string& crash_at) {
    const std::string program =
        (fs::read_symlink("/proc/self/exe").parent_path() / "sink_crash_program").string();
    const std::string state = folder_.path() + "/state_" + job;
    fs::create_directories(state);
    std::vector<std::string> arguments = {program,
                                          state,
                                          destination(),
                                          job,
                                          std::to_string(first_id),
                                          "conflict",
                                          GetParam().conflict,
                                          "archive",
                                          GetParam().archive ? "true" : "false",
                                          "commit",
                                          GetParam().commit};
    std::vector<char*> argv;
    for (auto& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    std::string crash = "BULKHAUL_CRASH_AT=" + crash_at;
    std::vector<char*> environment = {crash.data()};
    for (char** entry = environ; *entry != nullptr; ++entry) environment.push_back(*entry);
    environment.push_back(nullptr);
    const std::string output = folder_.path() + "/output_" + job;
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 1, output.c_str(), O_WRONLY | O_CREAT | O_TRUNC,
                                     0600);
    pid_t child = 0;
    EXPECT_EQ(
        posix_spawn(&child, program.c_str(), &actions, nullptr, argv.data(), environment.data()),
        0);
    posix_spawn_file_actions_destroy(&actions);
    int status = 0;
    EXPECT_EQ(waitpid(child, &status, 0), child);
    return status;
  }

  CommitReceipt Receipt(const std::string& job) {
    const auto text = ReadSmallFile(folder_.path() + "/output_" + job);
    EXPECT_TRUE(text.ok());
    auto receipt = CommitReceipt::FromJson(text.ValueOr("{}"));
    EXPECT_TRUE(receipt.ok()) << receipt.status();
    return receipt.ValueOr(CommitReceipt{});
  }

  std::string destination() const { return folder_.path() + "/exports"; }

  // Every visible export is whole, and is the old or the new one.
  void CheckVisible() {
    for (const auto& entry : fs::recursive_directory_iterator(folder_.path())) {
      const std::string path = entry.path().string();
      if (!entry.is_directory() || path.find("/.") != std::string::npos) continue;
      if (path.find("public_t") == std::string::npos) continue;
      const auto ids = Ids(path);
      EXPECT_TRUE(ids == From(0) || ids == From(1000)) << path;
      EXPECT_TRUE(ReadExportMetadata(path).ok()) << path;
    }
  }

  TemporaryFolder folder_;
};

TEST_P(SinkCrash, LeavesOldOrNewAndFinishesWhenStartedAgain) {
  ASSERT_EQ(Run("old", 0, ""), 0);
  const std::string old_place = Receipt("old").location;
  ASSERT_EQ(Ids(old_place), From(0));

  const int killed = Run("new", 1000, GetParam().point);
  ASSERT_TRUE(WIFSIGNALED(killed) && WTERMSIG(killed) == SIGKILL) << killed;
  CheckVisible();

  ASSERT_EQ(Run("new", 1000, ""), 0);
  CheckVisible();
  const CommitReceipt receipt = Receipt("new");
  EXPECT_EQ(Ids(receipt.location), From(1000));
  EXPECT_EQ(receipt.rows, kRows);
  if (GetParam().conflict == "version") {
    EXPECT_EQ(Ids(old_place), From(0));
    EXPECT_NE(receipt.location, old_place);
  } else {
    EXPECT_EQ(receipt.location, old_place);
  }
  // What was replaced is archived once, or gone; nothing else stays behind.
  int archived = 0;
  for (const auto& name : AllFiles(folder_.path())) {
    EXPECT_EQ(name.find(".bulkhaul"), std::string::npos) << name;
    if (name.find(".archive/") != std::string::npos && name.ends_with("part_0001.parquet")) {
      ++archived;
    }
  }
  EXPECT_EQ(archived, GetParam().archive ? 1 : 0);
}

INSTANTIATE_TEST_SUITE_P(Points, SinkCrash, testing::ValuesIn(AllCases()), [](const auto& info) {
  std::string name = info.param.point + "_" + info.param.conflict + "_" + info.param.commit;
  if (info.param.archive) name += "_archive";
  for (char& character : name) {
    if (!std::isalnum(static_cast<unsigned char>(character))) character = '_';
  }
  return name;
});

}  // namespace
}  // namespace bulkhaul::contract
