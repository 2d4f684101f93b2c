#include "app/cli/job_arguments.h"

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "app/cli/terminal.h"

namespace bulkhaul {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

EnvironmentLookup Variables(std::map<std::string, std::string> values) {
  return [values = std::move(values)](const std::string& name) -> std::optional<std::string> {
    const auto found = values.find(name);
    if (found == values.end()) return std::nullopt;
    return found->second;
  };
}

class JobArgumentsTest : public testing::Test {
 protected:
  JobArgumentsTest()
      : folder_(std::filesystem::temp_directory_path() /
                fmt::format("bulkhaul_job_arguments_test_{}", getpid())) {
    std::filesystem::create_directories(folder_);
    arguments_.job_file = (folder_ / "job.yaml").string();
    std::ofstream(arguments_.job_file)
        << "source: sqlite:///a.db\ndestination: /out\nworkers: 2\nlimit: 7\nretries: 1\n"
           "tables:\n  - public.a\n  - {pattern: public.b, limit: 5}\nschemas: [s]\n";
  }
  ~JobArgumentsTest() override { std::filesystem::remove_all(folder_); }

  std::filesystem::path folder_;
  JobArguments arguments_;
};

TEST_F(JobArgumentsTest, FlagsWinOverEnvironmentWinsOverFile) {
  arguments_.settings = {{"workers", "9"}};
  const auto job =
      AssembleJob(arguments_, Variables({{"BULKHAUL_WORKERS", "5"}, {"BULKHAUL_RETRIES", "4"}}));
  ASSERT_TRUE(job.ok()) << job.status().ToString();
  EXPECT_EQ(job->options.GetInt("workers"), 9);
  EXPECT_EQ(job->options.GetInt("retries"), 4);
  EXPECT_EQ(job->options.GetInt("limit"), 7);
  EXPECT_EQ(job->source_uri, "sqlite:///a.db");
}

TEST_F(JobArgumentsTest, TableNamesTheTargetOfOneFileIntoADatabase) {
  JobArguments given;
  given.source = "./data/*.parquet";
  given.destination = "postgres://u@h/db";
  given.tables = {"public.events"};
  const auto named = AssembleJob(given, Variables({}));
  ASSERT_TRUE(named.ok()) << named.status().ToString();
  EXPECT_EQ(named->options.GetString("target_table"), "public.events");
  EXPECT_THAT(named->tables, IsEmpty());
  given.destination = "./out";
  EXPECT_EQ(AssembleJob(given, Variables({}))->tables.size(), 1u);
  given.source = "shop.db";
  given.destination = "host=h dbname=db";
  EXPECT_EQ(AssembleJob(given, Variables({}))->tables.size(), 1u);
}

TEST_F(JobArgumentsTest, AFlagWinsOverTheSettingsOfSingleTables) {
  arguments_.settings = {{"limit", "1"}};
  const auto job = AssembleJob(arguments_, Variables({}));
  ASSERT_TRUE(job.ok());
  const auto selector = Selector::FromJob(*job);
  EXPECT_EQ(selector.OptionsFor({"public", "a"}).GetInt("limit"), 1);
  EXPECT_EQ(selector.OptionsFor({"public", "b"}).GetInt("limit"), 1);
}

TEST_F(JobArgumentsTest, TablesOfTheCommandLineSelectInsteadOfTheFiles) {
  arguments_.tables = {"public.b", "public.c"};
  const auto job = AssembleJob(arguments_, Variables({}));
  ASSERT_TRUE(job.ok());
  const auto selector = Selector::FromJob(*job);
  EXPECT_FALSE(selector.Selects({"public", "a"}));
  EXPECT_TRUE(selector.Selects({"public", "b"}));
  EXPECT_TRUE(selector.Selects({"public", "c"}));
  EXPECT_FALSE(selector.Selects({"s", "x"}));
  EXPECT_EQ(selector.OptionsFor({"public", "b"}).GetInt("limit"), 5);
}

TEST_F(JobArgumentsTest, ExcludeTakesAwayFromTheFilesTables) {
  arguments_.exclude = {"public.b"};
  const auto selector = Selector::FromJob(*AssembleJob(arguments_, Variables({})));
  EXPECT_TRUE(selector.Selects({"public", "a"}));
  EXPECT_FALSE(selector.Selects({"public", "b"}));
}

TEST(JobArguments, QueriesAloneSelectNoTable) {
  JobArguments arguments;
  arguments.source = "x.db";
  arguments.destination = "/out";
  arguments.queries = {"select 1", "select 2", "select 3"};
  arguments.query_names = {"first"};
  const auto job = AssembleJob(arguments, Variables({}));
  ASSERT_TRUE(job.ok());
  ASSERT_EQ(job->queries.size(), 3u);
  EXPECT_EQ(job->queries[0].name, "first");
  EXPECT_EQ(job->queries[1].name, "query_2");
  EXPECT_FALSE(Selector::FromJob(*job).Selects({"a", "b"}));
  arguments.query_names = {"a", "b", "c", "d"};
  EXPECT_EQ(ExitCodeOfError(AssembleJob(arguments, Variables({})).status()), kExitUsage);
}

TEST(JobArguments, ListsAndMapsMayComeSeveralTimes) {
  JobArguments arguments;
  arguments.settings = {{"columns", "a,b"}, {"columns", "c"}, {"rename", "a=x"}, {"rename", "b=y"}};
  const auto job = AssembleJob(arguments, Variables({}));
  ASSERT_TRUE(job.ok());
  EXPECT_THAT(job->options.GetList("columns"), ElementsAre("a", "b", "c"));
  EXPECT_THAT(job->options.GetPairs("rename"),
              ElementsAre(std::pair("a", "x"), std::pair("b", "y")));
}

TEST(JobArguments, LocalPathsBecomeAbsolute) {
  JobArguments arguments;
  arguments.source = ".";  // exists
  arguments.destination = "./not/there/../exports";
  auto job = AssembleJob(arguments, Variables({}));
  ASSERT_TRUE(job.ok());
  const auto here = std::filesystem::current_path();
  EXPECT_EQ(std::filesystem::path(job->source_uri), here / "");
  EXPECT_EQ(job->destination_uri, (here / "not/exports").string());
  arguments.source = "host=h dbname=d";
  arguments.destination = "memory:x";
  job = AssembleJob(arguments, Variables({}));
  EXPECT_EQ(job->source_uri, "host=h dbname=d");
  EXPECT_EQ(job->destination_uri, "memory:x");
}

TEST(JobArguments, ABadFlagIsNamed) {
  JobArguments arguments;
  arguments.settings = {{"unit_bytes", "much"}};
  const Status status = AssembleJob(arguments, Variables({})).status();
  EXPECT_THAT(status.message(), testing::StartsWith("--unit-bytes: "));
  EXPECT_EQ(ExitCodeOfError(status), kExitUsage);
}

TEST(JobArguments, ResumeKeepsWhatTheJobMakes) {
  for (const char* name : {"compression", "where", "conflict", "job_id", "split", "infinity",
                           "shrink", "batch_rows", "layout"}) {
    EXPECT_FALSE(IsRuntimeOption(*FindOption(name))) << name;
  }
  for (const char* name :
       {"workers", "retries", "report", "progress", "memory_limit", "on_error"}) {
    EXPECT_TRUE(IsRuntimeOption(*FindOption(name))) << name;
  }
}

TEST(JobArguments, FindsMisspeltVariables) {
  const char* const environment[] = {"PATH=/bin",           "BULKHAUL_WORKERS=1",
                                     "BULKHAUL_WORKRES=2",  "BULKHAUL_SOURCE=x",
                                     "BULKHAUL_CRASH_AT=y", nullptr};
  EXPECT_THAT(
      UnknownVariables(environment),
      ElementsAre("the environment variable BULKHAUL_WORKRES is not a setting; did you mean "
                  "BULKHAUL_WORKERS?"));
  const char* const none[] = {nullptr};
  EXPECT_THAT(UnknownVariables(none), IsEmpty());
}

}  // namespace
}  // namespace bulkhaul
