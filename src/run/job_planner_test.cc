#include "run/job_planner.h"

#include <array>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "base/text.h"

namespace bulkhaul {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

Dataset Table(const std::string& schema, const std::string& name,
              const std::string& output_name = "") {
  Dataset dataset;
  dataset.id = {schema, name};
  if (!output_name.empty()) {
    EXPECT_TRUE(dataset.options.SetFromText("output_name", output_name).ok());
  }
  return dataset;
}

TEST(OutputNames, FollowTheLayout) {
  const std::vector<Dataset> tables = {Table("public", "orders"), Table("", "lines")};
  JobSpec spec;
  EXPECT_THAT(*OutputNames(spec, tables), ElementsAre("public_orders", "lines"));
  ASSERT_TRUE(spec.options.SetFromText("layout", "by-schema").ok());
  EXPECT_THAT(*OutputNames(spec, tables), ElementsAre("orders", "lines"));
}

TEST(OutputNames, BySchemaMayRepeatANameInAnotherSchema) {
  JobSpec spec;
  ASSERT_TRUE(spec.options.SetFromText("layout", "by-schema").ok());
  EXPECT_THAT(*OutputNames(spec, std::vector{Table("a", "t"), Table("b", "t")}),
              ElementsAre("t", "t"));
}

TEST(OutputNames, GivenOnesWinAndMustDiffer) {
  const std::vector<Dataset> tables = {Table("s", "t"), Table("x", "y", "s_t")};
  const auto names = OutputNames(JobSpec(), tables).ValueOrDie();
  EXPECT_EQ(names[1], "s_t");
  EXPECT_THAT(names[0], testing::StartsWith("s_t_"));
  const auto same =
      OutputNames(JobSpec(), std::vector{Table("a", "b", "Out"), Table("c", "d", "out")});
  ASSERT_FALSE(same.ok());
  EXPECT_THAT(MessageOf(same.status()), HasSubstr("taken by another table"));
}

TEST(OutputNames, AreUniqueAndStayInTheirFolder) {
  EXPECT_TRUE(rc::check("names are unique", [] {
    // Few letters, so that names collide after sanitising and case folding.
    const auto name = rc::gen::nonEmpty(
        rc::gen::container<std::string>(rc::gen::element('a', 'A', '_', '/', '.', '\n')));
    std::set<std::pair<std::string, std::string>> ids;
    for (const auto& id : *rc::gen::container<std::vector<std::pair<std::string, std::string>>>(
             rc::gen::pair(name, name))) {
      ids.insert(id);
    }
    std::vector<Dataset> tables;
    for (const auto& [schema, table] : ids) tables.push_back(Table(schema, table));
    const auto names = OutputNames(JobSpec(), tables).ValueOrDie();
    std::set<std::string> folded;
    for (const std::string& text : names) {
      RC_ASSERT(text.find('/') == std::string::npos);
      RC_ASSERT(text[0] != '.');
      RC_ASSERT(folded.insert(AsciiLower(text)).second);
    }
  }));
}

TEST(CheckWishes, NamesTheOptionThatWouldAllowTheJob) {
  SourceTraits source;
  source.consistent_snapshot = true;
  SinkTraits sink;
  JobSpec spec;
  EXPECT_TRUE(CheckWishes(spec, source, sink).ok());
  ASSERT_TRUE(spec.options.SetFromText("commit", "job").ok());
  EXPECT_THAT(MessageOf(CheckWishes(spec, source, sink)), HasSubstr("commit: table"));
  sink.job_commit = true;
  EXPECT_TRUE(CheckWishes(spec, source, sink).ok());
  spec.queries.push_back({"q", "select 1", Options()});
  EXPECT_FALSE(CheckWishes(spec, source, sink).ok());
  source.queries = true;
  EXPECT_TRUE(CheckWishes(spec, source, sink).ok());
  ASSERT_TRUE(spec.options.SetFromText("strict", "true").ok());
  ASSERT_TRUE(spec.options.SetFromText("consistency", "none").ok());
  EXPECT_THAT(MessageOf(CheckWishes(spec, source, sink)), HasSubstr("strict"));
}

TEST(CheckWishes, NamesWhatNoTableLooksAt) {
  SinkTraits sink;
  sink.options = {"Load"};
  const auto check = [&](const JobSpec& spec) { return CheckWishes(spec, SourceTraits(), sink); };
  for (const auto& [name, value, needed] :
       std::vector<std::array<const char*, 3>>{{"key", "id", "if_exists: upsert"},
                                               {"duplicates", "last", "if_exists: upsert"},
                                               {"reject", "quarantine", "a contract"},
                                               {"max_rejects", "5", "a contract"},
                                               {"quarantine", "bad", "a contract"},
                                               {"sample", "0.1", "a contract"}}) {
    JobSpec spec;
    ASSERT_TRUE(spec.options.SetFromText(name, value).ok());
    const Status refused = check(spec);
    ASSERT_EQ(KindOf(refused), ErrorKind::kUser) << name;
    EXPECT_THAT(MessageOf(refused), HasSubstr(std::string(name) + " does nothing without "));
    EXPECT_THAT(MessageOf(refused), HasSubstr(needed));
    EXPECT_THAT(MessageOf(refused), HasSubstr(std::string("leave out ") + name));
    // One table of the job looks at it, and all others may have it from the job.
    TableSpec table{.pattern = "one", .options = Options()};
    ASSERT_TRUE(table.options.SetFromText("if_exists", "upsert").ok());
    ASSERT_TRUE(table.options.SetFromText("contract", "one.yaml").ok());
    spec.tables = {{.pattern = "other", .options = Options()}, table};
    EXPECT_TRUE(check(spec).ok()) << name;
    // Of a table alone.
    spec = JobSpec();
    spec.tables = {{.pattern = "one", .options = Options()}};
    ASSERT_TRUE(spec.tables[0].options.SetFromText(name, value).ok());
    EXPECT_FALSE(check(spec).ok()) << name;
  }
  JobSpec spec;
  ASSERT_TRUE(spec.options.SetFromText("reject", "fail").ok());
  EXPECT_TRUE(check(spec).ok());
}

TEST(CheckWishes, NamesWhatIsAboutAnotherKindOfSourceOrSink) {
  SourceTraits source;
  source.name = "files";
  source.options = {"Files"};
  SinkTraits sink;
  sink.name = "csv";
  sink.options = {"CSV", "if_exists"};
  for (const auto& [name, value, told] :
       std::vector<std::tuple<const char*, const char*, const char*>>{
           {"gte", "2024-03-01",
            "gte does nothing from source files to sink csv: it is about search "
            "clusters as a source; leave out gte"},
           {"row_group_rows", "5", "Parquet files"},
           {"conflict", "fail", "if_exists"},
           {"target_table", "t", "conflict"},
           {"source_quote", "none", ""},
           {"csv_null", "NULL", ""},
           {"if_exists", "replace", ""},
           {"compression", "none", "files"},
           {"compression", "", ""},  // as by default
           {"page_documents", "5000", ""},
           {"workers", "3", ""}}) {
    JobSpec job;
    ASSERT_TRUE(job.options.SetFromText(name, value).ok());
    JobSpec of_a_table;
    of_a_table.tables = {{.pattern = "one", .options = job.options}};
    for (const auto& spec : {job, of_a_table}) {
      const Status status = CheckWishes(spec, source, sink);
      EXPECT_EQ(status.ok(), told == std::string_view()) << name << status.ToString();
      if (!status.ok()) EXPECT_THAT(MessageOf(status), HasSubstr(told));
    }
  }
}

TEST(CheckWishes, OnlyWhatShowsItsContentIsKept) {
  SourceTraits source;
  source.name = "generator";
  JobSpec spec;
  ASSERT_TRUE(spec.options.SetFromText("cache", "true").ok());
  EXPECT_THAT(MessageOf(CheckWishes(spec, source, SinkTraits())), HasSubstr("leave out cache"));
  source.describes_content = true;
  EXPECT_TRUE(CheckWishes(spec, source, SinkTraits()).ok());
}

TEST(CheckWishes, OnlyWhoWritesItInsistsOnASnapshot) {
  SourceTraits source;
  source.name = "search";
  SinkTraits sink;
  JobSpec spec;
  EXPECT_TRUE(CheckWishes(spec, source, sink).ok());
  ASSERT_TRUE(spec.options.SetFromText("consistency", "snapshot").ok());
  EXPECT_THAT(MessageOf(CheckWishes(spec, source, sink)), HasSubstr("consistency: none"));
  ASSERT_TRUE(spec.options.SetFromText("consistency", "none").ok());
  EXPECT_TRUE(CheckWishes(spec, source, sink).ok());
  spec = JobSpec();
  ASSERT_TRUE(spec.options.SetFromText("strict", "true").ok());
  EXPECT_THAT(MessageOf(CheckWishes(spec, source, sink)), HasSubstr("source search has none"));
}

}  // namespace
}  // namespace bulkhaul
