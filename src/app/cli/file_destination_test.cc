#include "app/cli/file_destination.h"

#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/text.h"

namespace bulkhaul {
namespace {

using testing::HasSubstr;

class FileDestinationTest : public testing::Test {
 protected:
  FileDestinationTest()
      : folder_(std::filesystem::temp_directory_path() / ("bulkhaul-file-" + NewId())) {
    std::filesystem::create_directories(folder_);
  }
  ~FileDestinationTest() override { std::filesystem::remove_all(folder_); }

  // "" where nothing is wrong with it.
  std::string Said(const std::string& destination) {
    job_ = JobSpec();
    job_.destination_uri = destination;
    for (const auto& [name, text] : settings_) {
      const Status set = job_.options.SetFromText(name, text);
      EXPECT_TRUE(set.ok()) << set;
    }
    const Status status = UnderstandDestination(&job_);
    return status.ok() ? "" : MessageOf(status);
  }
  std::string Option(const char* name) { return job_.options.GetString(name); }

  const std::filesystem::path folder_;
  std::vector<std::pair<std::string, std::string>> settings_;
  JobSpec job_;
};

TEST_F(FileDestinationTest, TheNameSaysWhatIsWritten) {
  struct Case {
    const char* name;
    const char* format;
    const char* compression;
    const char* delimiter;
  };
  for (const auto& one : {Case{"./one.csv", "csv", "none", ","},
                          {"/out/my.data.csv.gz", "csv", "gzip", ","},
                          {"one.CSV.zst", "csv", "zstd", ","},
                          {"one.tsv", "csv", "none", "tab"},
                          {"one.tsv.gz", "csv", "gzip", "tab"},
                          {"file:///out/one.parquet", "parquet", "", ","},
                          {"one.arrow", "arrow", "", ","},
                          {"one.feather", "arrow", "", ","}}) {
    EXPECT_EQ(Said(one.name), "") << one.name;
    EXPECT_EQ(Option("layout"), "file") << one.name;
    EXPECT_TRUE(job_.options.GetBool("single_file")) << one.name;
    EXPECT_EQ(Option("format"), one.format) << one.name;
    EXPECT_EQ(Option("compression"), one.compression) << one.name;
    EXPECT_EQ(Option("csv_delimiter"), one.delimiter) << one.name;
  }
}

TEST_F(FileDestinationTest, WhatIsNotNamedLikeAFileIsNone) {
  std::filesystem::create_directories(folder_ / "there.csv");
  for (const std::string& other :
       {std::string("./one"), std::string("./one.csv/"), std::string("one.2026"),
        std::string("postgres://u@h/db.csv"), std::string("host=h dbname=one.csv"), std::string(),
        (folder_ / "there.csv").string()}) {
    EXPECT_EQ(Said(other), "") << other;
    EXPECT_FALSE(job_.options.Has("layout")) << other;
  }
}

TEST_F(FileDestinationTest, ContradictionsNameBothSides) {
  settings_ = {{"format", "parquet"}};
  EXPECT_THAT(Said("one.csv"), HasSubstr("'one.csv' is csv by its name, and format says parquet"));
  settings_ = {{"compression", "gzip:9"}};
  EXPECT_EQ(Said("one.csv.gz"), "");
  EXPECT_EQ(Option("compression"), "gzip:9");
  EXPECT_EQ(Said("one.parquet"), "");
  EXPECT_THAT(Said("one.csv"), HasSubstr("is not compressed by its name, and compression says gz"));
  EXPECT_THAT(Said("one.csv.zst"), HasSubstr("is zstd by its name, and compression says gzip:9"));
  settings_ = {{"csv_delimiter", ";"}};
  EXPECT_EQ(Said("one.csv"), "");
  EXPECT_THAT(Said("one.tsv"), HasSubstr("separated by tabs by its name, and csv_delimiter says"));
  settings_ = {{"layout", "direct"}};
  EXPECT_THAT(Said("one.csv"), HasSubstr("named like a file, and layout: direct makes folders"));
}

TEST_F(FileDestinationTest, WhatIsAboutFoldersIsRefused) {
  for (const auto& [name, text, word] :
       {std::tuple{"conflict", "overwrite", "if_exists: fail or replace"},
        {"if_exists", "append", "if_exists says append"},
        {"archive", "true", "archive is about folders"},
        {"single_file", "false", "single_file says false"},
        {"max_file_size", "1MiB", "max_file_size is about parts"},
        {"merge_small_parts", "1MiB", "merge_small_parts is about parts"}}) {
    settings_ = {{name, text}};
    EXPECT_THAT(Said("one.csv"), HasSubstr(word)) << name;
    EXPECT_EQ(Said("one"), "") << name;
  }
}

TEST_F(FileDestinationTest, SettingsOfSingleTablesCountToo) {
  job_.destination_uri = "one.csv";
  job_.tables = {{"orders", {}}};
  ASSERT_TRUE(job_.tables[0].options.SetFromText("compression", "zstd").ok());
  EXPECT_THAT(MessageOf(UnderstandDestination(&job_)), HasSubstr("compression says zstd"));
}

TEST_F(FileDestinationTest, FilesThatCannotBeWrittenAreSaid) {
  for (const char* name : {"one.jsonl", "one.csv.bz2", "one.parquet.gz", "one.arrows"}) {
    EXPECT_THAT(Said(name), HasSubstr("cannot be written. Files end in .csv, .csv.gz, ")) << name;
    EXPECT_THAT(Said(name), HasSubstr(std::string("write '") + name + "/'")) << name;
  }
}

TEST_F(FileDestinationTest, AnyNameWillDoWhenTheLayoutAndFormatAreSaid) {
  settings_ = {{"layout", "file"}};
  EXPECT_THAT(Said("one.dat"), HasSubstr("does not say what the file is to hold: set format"));
  settings_.emplace_back("format", "csv");
  EXPECT_EQ(Said("one.dat"), "");
  EXPECT_TRUE(job_.options.GetBool("single_file"));
}

TEST_F(FileDestinationTest, NoJobReadsWhatItWrites) {
  for (const char* name : {"a.csv", "all.csv"}) {
    std::ofstream(folder_ / name) << "x\n1\n";
  }
  ASSERT_EQ(Said((folder_ / "all.csv").string()), "");
  job_.source_uri = (folder_ / "*.csv").string();
  EXPECT_THAT(MessageOf(CheckNotOwnSource(job_)), HasSubstr("one of the files that the job reads"));
  job_.source_uri = (folder_ / "a*.csv").string();
  EXPECT_FALSE(CheckNotOwnSource(job_).ok());
  job_.source_uri = (folder_ / "a.csv").string();
  EXPECT_TRUE(CheckNotOwnSource(job_).ok());
}

}  // namespace
}  // namespace bulkhaul
