#include "duckdb/attachments.h"

#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

namespace bulkhaul::duckdb {
namespace {

namespace fs = std::filesystem;
using Kind = Attachment::Kind;
using testing::ElementsAre;
using testing::HasSubstr;

void ExpectAttachment(const std::string& text, Kind kind, const std::string& name,
                      const std::string& target) {
  const auto parsed = ParseAttachment(text);
  ASSERT_TRUE(parsed.ok()) << parsed.status().ToString();
  EXPECT_EQ(static_cast<int>(parsed->kind), static_cast<int>(kind)) << text;
  EXPECT_EQ(parsed->name, name) << text;
  EXPECT_EQ(parsed->target, target) << text;
}

TEST(Attachments, TargetDecidesKindAndName) {
  ExpectAttachment("postgres://u@h/db", Kind::kPostgres, "pg_main", "postgres://u@h/db");
  ExpectAttachment("shop=postgresql://h/db?sslmode=require", Kind::kPostgres, "shop",
                   "postgresql://h/db?sslmode=require");
  ExpectAttachment("host=h dbname=d", Kind::kPostgres, "pg_main", "host=h dbname=d");
  ExpectAttachment("dbname=d", Kind::kPostgres, "pg_main", "dbname=d");
  ExpectAttachment("/data/shop.db", Kind::kSqlite, "sqlite_main", "/data/shop.db");
  ExpectAttachment("old=sqlite:///data/x", Kind::kSqlite, "old", "sqlite:///data/x");
  ExpectAttachment("a.duckdb", Kind::kDuckdb, "duckdb_main", "a.duckdb");
  ExpectAttachment("./exports", Kind::kExports, "exports", "./exports");
  ExpectAttachment("may=./a=b", Kind::kExports, "may", "./a=b");
}

TEST(Attachments, NamesAreUniqueAndTargetsGiven) {
  EXPECT_EQ(ParseAttachments("a=./x;;b=./y")->size(), 2u);
  EXPECT_THAT(ParseAttachments("./x;./y").status().message(), HasSubstr("called 'exports'"));
  EXPECT_THAT(ParseAttachment("a=").status().message(), HasSubstr("NAME=TARGET"));
}

class ExportViewsTest : public testing::Test {
 protected:
  ExportViewsTest() : root_(fs::temp_directory_path() / ("views-" + std::to_string(getpid()))) {
    fs::create_directories(root_);
    root_ = fs::canonical(root_);
  }
  ~ExportViewsTest() override { fs::remove_all(root_); }

  void Export(const std::string& folder, const std::string& metadata) {
    fs::create_directories(root_ / folder);
    std::ofstream(root_ / folder / "_export_metadata.json") << metadata;
  }

  fs::path root_;
  std::vector<std::string> notes_;
};

TEST_F(ExportViewsTest, OneForEachFolderWithMetadata) {
  Export("public/it's",
         R"({"format":"parquet","format_options":{},"columns":[],
             "parts":[{"name":"p1"},{"name":"p2"}]})");
  Export("csv_t", R"j({"format":"csv","format_options":{"delimiter":";","header":true,"null":"\\N"},
                       "columns":[{"name":"it's","type":"decimal128(24, 4)"},
                                  {"name":"b\"","type":"binary"}],
                       "parts":[{"name":"part.csv"}]})j");
  Export(".archive/old",
         R"({"format":"parquet","format_options":{},"columns":[],"parts":[{"name":"p"}]})");
  Export("ipc", R"({"format":"arrow","format_options":{},"columns":[],"parts":[{"name":"p"}]})");
  Export("nothing", R"({"format":"parquet","format_options":{},"columns":[],"parts":[]})");
  const auto statements = ExportViews("e", root_, &notes_);
  ASSERT_TRUE(statements.ok()) << statements.status().ToString();
  const std::string root = root_.string();
  EXPECT_THAT(*statements,
              ElementsAre("CREATE SCHEMA \"e\"",
                          "CREATE VIEW \"e\".\"csv_t\" AS SELECT * REPLACE (unhex(\"b\"\"\"[3:]) AS"
                          " \"b\"\"\") FROM read_csv(['" +
                              root +
                              "/csv_t/part.csv'], auto_detect = false, columns = {'it''s': "
                              "'DECIMAL(24, 4)', 'b\"': 'VARCHAR'}, quote = '\"', escape = '\"', "
                              "allow_quoted_nulls = false, delim = ';', header = true, nullstr = "
                              "'\\N')",
                          "CREATE VIEW \"e\".\"public_it's\" AS SELECT * FROM read_parquet(['" +
                              root + "/public/it''s/p1', '" + root + "/public/it''s/p2'])"));
  EXPECT_THAT(notes_, ElementsAre(HasSubstr("ipc: DuckDB does not read the format arrow"),
                                  HasSubstr("nothing: has no files")));
}

TEST_F(ExportViewsTest, TheFolderItself) {
  Export("", R"({"format":"parquet","format_options":{},"columns":[],"parts":[{"name":"p"}]})");
  const auto statements = ExportViews("e", root_.string() + "/", &notes_);
  ASSERT_TRUE(statements.ok()) << statements.status().ToString();
  EXPECT_THAT(statements->at(1), HasSubstr("\"" + root_.filename().string() + "\""));
}

TEST_F(ExportViewsTest, NoExportIsAnError) {
  EXPECT_THAT(ExportViews("e", root_, &notes_).status().message(), HasSubstr("holds no export"));
  EXPECT_THAT(ExportViews("e", root_ / "x", &notes_).status().message(), HasSubstr("No such file"));
}

TEST(Quoting, DoublesQuotes) {
  EXPECT_EQ(QuotedName("a\"b"), "\"a\"\"b\"");
  EXPECT_EQ(QuotedText("it's"), "'it''s'");
}

}  // namespace
}  // namespace bulkhaul::duckdb
