#include "plan/job_file.h"

#include <filesystem>
#include <fstream>
#include <map>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <unistd.h>

#include "plan/option_table.h"

namespace bulkhaul {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

EnvironmentLookup Variables(std::map<std::string, std::string> values) {
  return [values = std::move(values)](const std::string& name) -> std::optional<std::string> {
    const auto found = values.find(name);
    if (found == values.end()) return std::nullopt;
    return found->second;
  };
}

Result<JobSpec> Yaml(std::string_view text, std::map<std::string, std::string> variables = {}) {
  return ParseJobFile(text, DocumentFormat::kYaml, {"job.yaml", ".", Variables(variables)});
}
Result<JobSpec> Toml(std::string_view text) {
  return ParseJobFile(text, DocumentFormat::kToml, {"job.toml", ".", Variables({})});
}
Result<JobSpec> Json(std::string_view text) {
  return ParseJobFile(text, DocumentFormat::kJson, {"job.json", ".", Variables({})});
}

std::string Message(const Result<JobSpec>& job) {
  if (job.ok()) return "accepted";
  EXPECT_EQ(KindOf(job.status()), ErrorKind::kUser);
  return job.status().message();
}

constexpr const char* kYaml = R"(
source: postgres://u@h/db
destination: ./exports
format: csv
workers: 8
unit_bytes: 1MiB
retry_delay: 1.5s
infinity: null
dictionary: on
strict: true
columns: [a, "b,c"]
rename: {z: y, a: b}
shrink: {float_tolerance: 1e-3}
session_settings:
  work_mem: 64MB
  jit: off
schemas: [sales]
exclude: ["*.tmp_*"]
tables:
  - public.lineitem
  - pattern: public.order*
    where: id > 5
    workers_per_table: 3
queries:
  - {name: totals, sql: select 1 as x, split_by: x}
)";

constexpr const char* kToml = R"(
source = "postgres://u@h/db"
destination = "./exports"
format = "csv"
workers = 8
unit_bytes = "1MiB"
retry_delay = 1.5
infinity = "null"
dictionary = "on"
strict = true
columns = ["a", "b,c"]
rename = {z = "y", a = "b"}
shrink = {float_tolerance = 1e-3}
schemas = ["sales"]
exclude = ["*.tmp_*"]
session_settings = {work_mem = "64MB", jit = "off"}
[[tables]]
pattern = "public.lineitem"
[[tables]]
pattern = "public.order*"
where = "id > 5"
workers_per_table = 3
[[queries]]
name = "totals"
sql = "select 1 as x"
split_by = "x"
)";

constexpr const char* kJson = R"({
"source": "postgres:\/\/u@h/db", "destination": "./exports", "format": "csv", "workers": 8,
"unit_bytes": 1048576, "retry_delay": "1500ms", "infinity": null, "dictionary": "on",
"strict": true, "columns": ["a", "b,c"], "rename": {"z": "y", "a": "b"},
"shrink": {"float_tolerance": 0.001}, "session_settings": {"work_mem": "64MB", "jit": "off"},
"schemas": ["sales"], "exclude": ["*.tmp_*"],
"tables": ["public.lineitem",
  {"pattern": "public.order*", "where": "id > 5", "workers_per_table": 3}],
"queries": [{"name": "totals", "sql": "select 1 as x", "split_by": "x"}]})";

TEST(JobFile, TheThreeFormatsSayTheSame) {
  const auto yaml = Yaml(kYaml), toml = Toml(kToml), json = Json(kJson);
  ASSERT_TRUE(yaml.ok()) << yaml.status().ToString();
  ASSERT_TRUE(toml.ok()) << toml.status().ToString();
  ASSERT_TRUE(json.ok()) << json.status().ToString();
  EXPECT_EQ(yaml->ToJson(false), toml->ToJson(false));
  EXPECT_EQ(yaml->ToJson(false), json->ToJson(false));
  EXPECT_EQ(yaml->options.GetBytes("unit_bytes"), 1 << 20);
  EXPECT_EQ(yaml->options.GetDurationMs("retry_delay"), 1500);
  EXPECT_EQ(yaml->options.GetString("infinity"), "null");
  EXPECT_EQ(yaml->options.GetString("dictionary"), "on");
  EXPECT_TRUE(yaml->options.GetBool("shrink"));
  EXPECT_EQ(yaml->options.GetDouble("shrink_float_tolerance"), 1e-3);
  EXPECT_THAT(yaml->options.GetPairs("rename"),
              ElementsAre(std::pair("z", "y"), std::pair("a", "b")));
  ASSERT_EQ(yaml->tables.size(), 2u);
  EXPECT_EQ(yaml->tables[1].options.GetInt("workers_per_table"), 3);
  EXPECT_EQ(yaml->queries[0].options.GetString("split_by"), "x");
}

TEST(JobFile, TablesMayBeAMap) {
  const auto job = Yaml("tables:\n  public.a:\n  public.b: {limit: 3}\n  \"c*\": {}\n");
  ASSERT_TRUE(job.ok()) << job.status().ToString();
  ASSERT_EQ(job->tables.size(), 3u);
  EXPECT_EQ(job->tables[0].pattern, "public.a");
  EXPECT_EQ(job->tables[1].options.GetInt("limit"), 3);
}

TEST(JobFile, ErrorsNameThePlaceAndTheRightKey) {
  EXPECT_EQ(Message(Yaml("source: x\nunit_byte: 1\n")),
            "job.yaml:2:1: unknown key 'unit_byte'; did you mean 'unit_bytes'?");
  EXPECT_EQ(Message(Yaml("unit-bytes: 1\n")),
            "job.yaml:1:1: unknown key 'unit-bytes'; did you mean 'unit_bytes'?");
  EXPECT_EQ(Message(Toml("source = 'x'\ndestinaton = 'y'\n")),
            "job.toml:2:1: unknown key 'destinaton'; did you mean 'destination'?");
  EXPECT_EQ(Message(Json("{\n  \"workers\": 1,\n  \"tables\": [{\"patern\": \"x\"}]}")),
            "job.json:3:14: an entry of tables needs the key pattern");
  EXPECT_EQ(Message(Json("{\n  \"queries\": [{\"name\": \"x\", \"sql\": \"y\", \"wher\": \"\"}]}")),
            "job.json:2:41: unknown key 'wher'; did you mean 'where'?");
  EXPECT_EQ(Message(Yaml("shrink: {float_tolerence: 1}\n")),
            "job.yaml:1:10: unknown key 'float_tolerence' of shrink; did you mean "
            "'float_tolerance'?");
  EXPECT_EQ(Message(Yaml("tables:\n  - pattern: a\n    workers: 3\n")),
            "job.yaml:3:5: workers is a setting of the whole job: write it at the top level");
  EXPECT_EQ(
      Message(Yaml("output_name: x\n")),
      "job.yaml:1:1: output_name is a setting of one table: write it under tables or queries");
}

TEST(JobFile, ValuesOfTheWrongTypeAreErrors) {
  EXPECT_THAT(Message(Yaml("workers: many\n")),
              StartsWith("job.yaml:1:10: workers must be a whole"));
  EXPECT_THAT(Message(Yaml("workers: [1]\n")), HasSubstr("one value, not a list"));
  EXPECT_THAT(Message(Yaml("workers: 5000\n")), HasSubstr("at most 1024"));
  EXPECT_THAT(Message(Yaml("strict: 'true'\n")), HasSubstr("without quotes"));
  EXPECT_THAT(Message(Json("{\"strict\": \"true\"}")), HasSubstr("without quotes"));
  EXPECT_THAT(Message(Json("{\"where\": 5}")), HasSubstr("where must be text"));
  EXPECT_THAT(Message(Json("{\"source\": 5}")), HasSubstr("source must be text"));
  EXPECT_THAT(Message(Json("{\"dictionary\": true}")), HasSubstr("dictionary must be text"));
  EXPECT_THAT(Message(Toml("[\u0187]\n")), StartsWith("job.toml:1:"));
  EXPECT_THAT(Message(Toml("[=]\n")), StartsWith("job.toml:1:1: not valid TOML"));
  EXPECT_THAT(Message(Toml("workers = 1 \u00fc\n")), StartsWith("job.toml:1:13: "));
  EXPECT_THAT(Message(Toml("\u032b")), StartsWith("job.toml:1:1: "));
  EXPECT_THAT(Message(Yaml(",~\n")), HasSubstr("one document"));
  EXPECT_THAT(Message(Yaml("infinity: nul\n")), HasSubstr("did you mean 'null'?"));
  EXPECT_THAT(Message(Yaml("where:\n")), HasSubstr("where has no value"));
  EXPECT_THAT(Message(Yaml("csv_null: NULL\n")), HasSubstr("in quotes"));
  EXPECT_THAT(Message(Yaml("rename: a\n")), HasSubstr("map of name: value"));
  EXPECT_THAT(Message(Yaml("rename: {a: [b]}\n")), StartsWith("job.yaml:1:13: rename.a"));
  EXPECT_THAT(Message(Yaml("columns: {a: b}\n")), HasSubstr("must be a list, not a map"));
  EXPECT_THAT(Message(Yaml("archive: {a: b}\n")), HasSubstr("true or false"));
  EXPECT_THAT(Message(Yaml("tables: []\n")), HasSubstr("all: true"));
  EXPECT_THAT(Message(Yaml("tables:\n")), HasSubstr("all: true"));
  EXPECT_THAT(Message(Yaml("queries: [{name: x}]\n")), HasSubstr("needs the key sql"));
  EXPECT_THAT(Message(Yaml("unit_bytes: 1 parsec\n")), StartsWith("job.yaml:1:13: unit_bytes"));
  EXPECT_THAT(Message(Yaml("- a\n")), HasSubstr("must be a map"));
  EXPECT_THAT(Message(Yaml("")), HasSubstr("must be a map"));
}

TEST(JobFile, NothingIsGivenTwiceOrLeftOver) {
  EXPECT_EQ(Message(Yaml("workers: 1\nworkers: 2\n")), "job.yaml:2:1: 'workers' is given twice");
  EXPECT_EQ(Message(Json("{\"workers\": 1,\n \"workers\": 2}")),
            "job.json:2:2: 'workers' is given twice");
  EXPECT_THAT(Message(Toml("workers = 1\nworkers = 2\n")), StartsWith("job.toml:2:"));
  EXPECT_THAT(Message(Yaml("workers: 1\n---\nworkers: 2\n")), HasSubstr("one document"));
  EXPECT_THAT(Message(Yaml(",")), HasSubstr("one document"));
  EXPECT_THAT(Message(Yaml("workers: 1\n,")), StartsWith("job.yaml:2:1: "));
  EXPECT_TRUE(Yaml("---\nworkers: 1\n...\n").ok());
  EXPECT_THAT(Message(Json("{} {}")), StartsWith("job.json:1:4: not valid JSON"));
  EXPECT_THAT(Message(Json("{\"a\": }")), StartsWith("job.json:1:7: not valid JSON"));
  EXPECT_THAT(Message(Yaml("a: [\n")), StartsWith("job.yaml:"));
  EXPECT_THAT(Message(Yaml("workers: \xff\n")), HasSubstr("UTF-8"));
  EXPECT_EQ(Message(Toml("a = 1\n[\x19x]\n")), "job.toml:2:2: control character 0x19");
}

TEST(JobFile, LimitsWhatItReads) {
  std::string bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 9; ++i) {
    bomb += fmt::format("a{0}: &a{0} [", i);
    for (int j = 0; j < 10; ++j) bomb += fmt::format("{}*a{}", j ? ", " : "", i - 1);
    bomb += "]\n";
  }
  EXPECT_THAT(Message(Yaml(bomb)), HasSubstr("values, aliases included"));
  EXPECT_THAT(Message(Yaml(std::string(2 << 20, ' '))), HasSubstr("bytes"));
  EXPECT_THAT(Message(Yaml("a: " + std::string(200, '[') + std::string(200, ']'))),
              HasSubstr("deeply"));
  EXPECT_THAT(Message(Json("{\"a\":" + std::string(200, '[') + std::string(200, ']') + "}")),
              HasSubstr("deeply"));
}

TEST(JobFile, ReplacesReferences) {
  const auto job = Yaml(
      "source: postgres://u:${PASSWORD}@h/db\n"
      "destination: ${OUT:-./exports}/x\n"
      "workers: ${WORKERS:-3}\nstrict: \"${STRICT}\"\nwhere: a = '$${x}'\n",
      {{"PASSWORD", "s3cret"}, {"STRICT", "true"}});
  ASSERT_TRUE(job.ok()) << job.status().ToString();
  EXPECT_EQ(job->source_uri, "postgres://u:s3cret@h/db");
  EXPECT_EQ(job->source_reference, "postgres://u:${PASSWORD}@h/db");
  EXPECT_EQ(job->destination_uri, "./exports/x");
  EXPECT_EQ(job->options.GetInt("workers"), 3);
  EXPECT_TRUE(job->options.GetBool("strict"));
  EXPECT_EQ(job->options.GetString("where"), "a = '${x}'");
  EXPECT_EQ(job->ToJson(/*redacted=*/true).find("s3cret"), std::string::npos);

  EXPECT_THAT(
      Message(Yaml("source: x\ndestination: ${NOT_SET}\n")),
      StartsWith("job.yaml:2:14: destination: the environment variable NOT_SET is not set"));
  EXPECT_THAT(Message(Yaml("source: ${A\n")), HasSubstr("not closed"));
  EXPECT_THAT(Message(Yaml("source: ${A B}\n")), HasSubstr("${NAME}"));
}

TEST(JobFile, ReadsFilesForSecretsAndResolvesThemAgain) {
  const auto folder =
      std::filesystem::temp_directory_path() / fmt::format("bulkhaul_job_file_test_{}", getpid());
  std::filesystem::create_directories(folder);
  std::ofstream(folder / "url") << "postgres://u:s3cret@h/db\n";
  std::ofstream(folder / "q.sql") << "select 1\n";
  std::ofstream(folder / "job.yml")
      << "source: file:url\ndestination: file:///out\nqueries: [{name: q, sql: 'file:q.sql'}]\n";
  const auto job = LoadJobFile((folder / "job.yml").string(), Variables({}));
  ASSERT_TRUE(job.ok()) << job.status().ToString();
  EXPECT_EQ(job->source_uri, "postgres://u:s3cret@h/db");
  EXPECT_EQ(job->destination_uri, "file:///out");
  EXPECT_EQ(job->queries[0].sql, "select 1");

  auto stored = JobSpec::FromJson(job->ToJson(/*redacted=*/true));
  ASSERT_TRUE(stored.ok());
  EXPECT_EQ(stored->source_uri, "postgres://u@h/db");
  ASSERT_TRUE(ResolveJobReferences(&*stored, Variables({})).ok());
  EXPECT_EQ(stored->source_uri, "postgres://u:s3cret@h/db");

  std::filesystem::remove(folder / "url");
  EXPECT_THAT(Message(LoadJobFile((folder / "job.yml").string(), Variables({}))),
              HasSubstr("job.yml:1:9: source: cannot read the referenced file"));
  std::filesystem::remove_all(folder);
  EXPECT_EQ(KindOf(LoadJobFile((folder / "job.yml").string()).status()), ErrorKind::kUser);
  EXPECT_THAT(Message(LoadJobFile("job.txt")), HasSubstr("must end in"));
}

TEST(Environment, EveryOptionHasAVariableThatWinsOverTheFile) {
  for (const auto& option : OptionTable()) {
    if (option.type == OptionType::kList || option.type == OptionType::kPairs) continue;
    JobSpec job;
    const auto variable = EnvironmentNameOf(option.name);
    std::string text = option.default_text;
    if (option.type == OptionType::kString) text = "x";
    ASSERT_TRUE(ApplyEnvironment(Variables({{variable, text}}), &job).ok()) << variable;
    EXPECT_TRUE(job.options.Has(option.name)) << variable;
  }
  auto job = Yaml("workers: 2\nsource: a\ndestination: b\n");
  const auto variables = Variables(
      {{"BULKHAUL_WORKERS", "5"}, {"BULKHAUL_SOURCE", "c"}, {"BULKHAUL_DESTINATION", "d"}});
  ASSERT_TRUE(ApplyEnvironment(variables, &*job).ok());
  EXPECT_EQ(job->options.GetInt("workers"), 5);
  EXPECT_EQ(job->source_uri, "c");
  EXPECT_EQ(job->destination_uri, "d");
  const Status status = ApplyEnvironment(Variables({{"BULKHAUL_WORKERS", "x"}}), &*job);
  EXPECT_THAT(status.message(), StartsWith("environment variable BULKHAUL_WORKERS: workers must"));
}

TEST(CheckJob, NeedsBothEndsAndDistinctQueries) {
  JobSpec job;
  EXPECT_THAT(CheckJob(job).message(), HasSubstr("no source"));
  job.source_uri = "a";
  EXPECT_THAT(CheckJob(job).message(), HasSubstr("no destination"));
  job.destination_uri = "b";
  EXPECT_TRUE(CheckJob(job).ok());
  job.queries = {{"q", "select 1", {}}, {"q", "select 2", {}}};
  EXPECT_THAT(CheckJob(job).message(), HasSubstr("two queries"));
}

TEST(JobFile, AnyTextIsAJobOrAnErrorWithAPlace) {
  EXPECT_TRUE(rc::check("damaged files never crash", [] {
    const char* texts[] = {kYaml, kToml, kJson};
    const int format = *rc::gen::inRange(0, 3);
    std::string text = texts[format];
    const int edits = *rc::gen::inRange(1, 6);
    for (int i = 0; i < edits; ++i) {
      const auto at = *rc::gen::inRange<size_t>(0, text.size());
      text[at] = *rc::gen::elementOf(std::string("{}[]:,\"'\n\t -#&*!|>%@`\\=a0~"));
    }
    const auto job =
        ParseJobFile(text, static_cast<DocumentFormat>(format), {"f", ".", Variables({})});
    if (!job.ok()) RC_ASSERT(job.status().message().starts_with("f:"));
  }));
}

TEST(JobFile, AQueryMayBeAMap) {
  const auto job = Yaml(
                       "source: opensearch://h/logs\ndestination: /out\n"
                       "query: {bool: {must_not: [], filter: [{term: {level: '${LEVEL}'}},\n"
                       "  {range: {n: {gte: 5, lt: 1.5e3}}}, {term: {code: '007'}},\n"
                       "  {term: {ok: true}}, {term: {gone: null}}]}}\n",
                       {{"LEVEL", "ERROR"}})
                       .ValueOrDie();
  EXPECT_EQ(job.options.GetString("query"),
            R"({"bool":{"must_not":[],"filter":[{"term":{"level":"ERROR"}},)"
            R"({"range":{"n":{"gte":5,"lt":1500.0}}},{"term":{"code":"007"}},)"
            R"({"term":{"ok":true}},{"term":{"gone":null}}]}})");
}

}  // namespace
}  // namespace bulkhaul
