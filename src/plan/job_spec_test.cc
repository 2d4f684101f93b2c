#include "plan/job_spec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace bulkhaul {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(Pattern, MatchesNamesAndSchemas) {
  EXPECT_TRUE(PatternMatches("lineitem", {"public", "lineitem"}));
  EXPECT_TRUE(PatternMatches("public.lineitem", {"public", "lineitem"}));
  EXPECT_TRUE(PatternMatches("public.line*", {"public", "lineitem"}));
  EXPECT_TRUE(PatternMatches("pub*.l?neitem", {"public", "lineitem"}));
  EXPECT_TRUE(PatternMatches("line*", {"tpch", "lineitem"}));
  EXPECT_TRUE(PatternMatches("*", {"tpch", "lineitem"}));
  EXPECT_FALSE(PatternMatches("public.line*", {"tpch", "lineitem"}));
  EXPECT_FALSE(PatternMatches("Lineitem", {"tpch", "lineitem"}));
  EXPECT_FALSE(PatternMatches("", {"tpch", "lineitem"}));
}

TEST(Pattern, NamesMayHoldAnything) {
  EXPECT_TRUE(PatternMatches("public.a.b", {"public", "a.b"}));
  EXPECT_TRUE(PatternMatches("a.b", {"", "a.b"}));
  EXPECT_TRUE(PatternMatches(R"("a.b")", {"public", "a.b"}));
  EXPECT_TRUE(PatternMatches(R"("x.y"."a[1]*")", {"x.y", "a[1]*"}));
  EXPECT_FALSE(PatternMatches(R"("a*")", {"public", "ab"}));
  EXPECT_TRUE(PatternMatches(R"("say ""hi""")", {"public", "say \"hi\""}));
  EXPECT_TRUE(PatternMatches(R"(say "hi")", {"public", "say \"hi\""}));
  for (const DatasetId& id :
       {DatasetId{"", "a.b"}, DatasetId{"s.t", "u\"v"}, DatasetId{"", "*"}, DatasetId{"p", "\"q\""},
        DatasetId{"", "plain"}, DatasetId{"p", "[x]"}}) {
    EXPECT_TRUE(PatternMatches(ExactPattern(id), id)) << ExactPattern(id);
  }
}

Options With(const char* name, int64_t value) {
  Options options;
  EXPECT_TRUE(options.Set(name, value).ok());
  return options;
}

TEST(Selector, AddsUpAndTakesAway) {
  JobSpec job;
  job.tables = {{"public.a*", {}}};
  job.schemas = {"sales*"};
  job.exclude = {"*.tmp_*", "ab"};
  const auto selector = Selector::FromJob(job);
  EXPECT_TRUE(selector.Selects({"public", "aa"}));
  EXPECT_FALSE(selector.Selects({"public", "ab"}));
  EXPECT_FALSE(selector.Selects({"public", "b"}));
  EXPECT_TRUE(selector.Selects({"sales_eu", "b"}));
  EXPECT_FALSE(selector.Selects({"sales_eu", "tmp_1"}));
}

TEST(Selector, NothingNamedMeansEverything) {
  JobSpec job;
  job.exclude = {"secret"};
  EXPECT_TRUE(Selector::FromJob(job).Selects({"x", "y"}));
  EXPECT_FALSE(Selector::FromJob(job).Selects({"x", "secret"}));
  job.queries = {{"q", "select 1", {}}};
  EXPECT_FALSE(Selector::FromJob(job).Selects({"x", "y"}));
  job.all = true;
  EXPECT_TRUE(Selector::FromJob(job).Selects({"x", "y"}));
}

TEST(Selector, AnEntryMayOnlyOverride) {
  JobSpec job;
  job.tables = {{"a", With("limit", 5), /*selects=*/false}, {"b", {}}};
  const auto selector = Selector::FromJob(*JobSpec::FromJson(job.ToJson(false)));
  EXPECT_FALSE(selector.Selects({"p", "a"}));
  EXPECT_TRUE(selector.Selects({"p", "b"}));
  EXPECT_EQ(selector.OptionsFor({"p", "a"}).GetInt("limit"), 5);
  EXPECT_EQ(selector.ExactNames(), std::vector<std::string>{"b"});
  job.tables.pop_back();
  EXPECT_TRUE(Selector::FromJob(job).Selects({"p", "z"}));
}

TEST(Selector, LaterOverridesWin) {
  JobSpec job;
  job.options = With("workers_per_table", 1);
  job.tables = {{"*", With("workers_per_table", 2)},
                {"b", With("workers_per_table", 3)},
                {"b", With("unit_rows", 10)}};
  const auto selector = Selector::FromJob(job);
  EXPECT_EQ(selector.OptionsFor({"p", "a"}).GetInt("workers_per_table"), 2);
  EXPECT_EQ(selector.OptionsFor({"p", "b"}).GetInt("workers_per_table"), 3);
  EXPECT_EQ(selector.OptionsFor({"p", "b"}).GetInt("unit_rows"), 10);
}

TEST(Selector, NamedTablesMustExist) {
  JobSpec job;
  job.tables = {{"orders", {}}, {"nothing*", {}}};
  const std::vector<DatasetId> available = {{"public", "orders"}, {"public", "lineitem"}};
  EXPECT_EQ(Selector::FromJob(job).ExactNames(), std::vector<std::string>{"orders"});
  EXPECT_TRUE(Selector::FromJob(job).CheckNamed(available).ok());
  job.tables = {{"public.linetiem", {}}};
  Status status = Selector::FromJob(job).CheckNamed(available);
  EXPECT_EQ(KindOf(status), ErrorKind::kUser);
  EXPECT_THAT(status.message(), HasSubstr("did you mean 'public.lineitem'?"));
  job.tables = {{"order", {}}};
  EXPECT_THAT(Selector::FromJob(job).CheckNamed(available).message(),
              HasSubstr("did you mean 'orders'?"));
  job.tables = {{"warehouse_schema.orders", {}}};
  EXPECT_THAT(Selector::FromJob(job).CheckNamed(available).message(),
              HasSubstr("did you mean 'public.orders'?"));
}

TEST(WithoutSecrets, LeavesNothingInTheirPlace) {
  EXPECT_EQ(WithoutSecrets("postgres://u:pa:ss@h:5432/db?x=1"), "postgres://u@h:5432/db?x=1");
  EXPECT_EQ(WithoutSecrets("postgres://h/db?password=x&sslmode=require"),
            "postgres://h/db?sslmode=require");
  EXPECT_EQ(WithoutSecrets("postgres://h/db?sslmode=require&password=x"),
            "postgres://h/db?sslmode=require");
  EXPECT_EQ(WithoutSecrets("postgres://h/db?password=x"), "postgres://h/db");
  EXPECT_EQ(WithoutSecrets("host=h password='a b' user=u"), "host=h user=u");
  EXPECT_EQ(WithoutSecrets("sqlite:///data/shop.db"), "sqlite:///data/shop.db");
}

TEST(JobSpec, SurvivesJson) {
  JobSpec job;
  job.source_uri = "postgres://u:secret@h/db";
  job.destination_uri = "./exports";
  job.tables = {{"public.*", With("unit_rows", 5)}};
  job.schemas = {"s"};
  job.exclude = {"x"};
  job.all = true;
  job.queries = {{"q", "select 1", With("limit", 3)}};
  job.options = With("workers", 8);
  const auto read = JobSpec::FromJson(job.ToJson(/*redacted=*/false));
  ASSERT_TRUE(read.ok()) << read.status().ToString();
  EXPECT_EQ(read->ToJson(false), job.ToJson(false));
  EXPECT_EQ(read->source_uri, job.source_uri);
  EXPECT_EQ(read->tables[0].options.GetInt("unit_rows"), 5);
  EXPECT_EQ(read->queries[0].options.GetInt("limit"), 3);

  const auto redacted = job.ToJson(/*redacted=*/true);
  EXPECT_THAT(redacted, Not(HasSubstr("secret")));
  EXPECT_EQ(JobSpec::FromJson(redacted)->source_uri, "postgres://u@h/db");
}

TEST(JobSpec, KeepsOnlyReferencesThatHoldNoSecret) {
  JobSpec job;
  job.source_uri = "postgres://u:secret@h/db";
  const auto kept = [&](const char* reference) {
    job.source_reference = reference;
    return JobSpec::FromJson(job.ToJson(/*redacted=*/true))->source_reference;
  };
  EXPECT_EQ(kept("${DATABASE_URL}"), "${DATABASE_URL}");
  EXPECT_EQ(kept("${DATABASE_URL:-postgres://u:secret@h/db}"), "${DATABASE_URL}");
  EXPECT_EQ(kept("file:/run/secrets/url"), "file:/run/secrets/url");
  EXPECT_EQ(kept("postgres://u:${PASSWORD}@h/db"), "postgres://u:${PASSWORD}@h/db");
  EXPECT_EQ(kept("postgres://u:${PASSWORD:-secret}@h/db"), "postgres://u:${PASSWORD}@h/db");
  EXPECT_EQ(kept("postgres://u:secret@${HOST}/db"), "");
  EXPECT_EQ(kept("postgres://u:${PASSWORD}@h/db?sslpassword=secret"), "");
  EXPECT_EQ(kept("postgres://u:${A}secret@h/db"), "");
}

TEST(JobSpec, MalformedJsonIsAnError) {
  for (const char* text : {"", "[]", "{\"source\":1}", "{\"tables\":[1]}", "{\"all\":\"x\"}",
                           "{\"schemas\":\"x\"}", "{\"options\":{\"wrkers\":1}}"}) {
    EXPECT_FALSE(JobSpec::FromJson(text).ok()) << text;
  }
}

}  // namespace
}  // namespace bulkhaul
