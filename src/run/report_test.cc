#include "run/report.h"

#include <algorithm>
#include <cstdlib>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "run/progress.h"

namespace bulkhaul {
namespace {

using testing::HasSubstr;

JobReport Example() {
  JobReport report;
  report.job_id = "j";
  report.state = JobState::kPartial;
  report.error = "1 of 2 tables failed";
  report.error_kind = "permanent";
  report.source = "postgres://u:***@h/db";
  report.destination = "exports";
  report.format = "parquet";
  report.started_at = "2026-11-21T10:00:00Z";
  report.finished_at = "2026-11-21T10:00:10Z";
  report.rows = 1000;
  report.rows_read = 1012;
  report.rows_rejected = 7;
  report.source_bytes = 50'000'000;
  report.stored_bytes = 9000;
  report.files = 3;
  report.units = 4;
  report.tables_published = 1;
  report.tables_failed = 1;
  report.wall_ms = 10'000;
  report.unit_ms = 15'000;
  report.cpu_ms = 5000;
  report.workers = 2;
  report.peak_rss_by_stage = {{"read", 77}};
  report.slowest_units = {{"0.1", {"s", "a"}, 9000, 500}};
  report.configuration = R"({"compression":"zstd:3"})";
  TableReport good;
  good.dataset = {"s", "a"};
  good.state = "published";
  good.location = "exports/s_a";
  good.rows = 1000;
  good.rows_read = 1012;
  good.rows_filtered = 5;
  good.rows_rejected = 7;
  good.rejected_to = "exports/_quarantine/s_a.parquet";
  good.counters = {{"infinity_clamped", 3}};
  good.explanations = {"v: int64 → int16"};
  TableReport bad;
  bad.dataset = {"s", "b"};
  bad.state = "failed";
  bad.error = "cannot decode";
  bad.error_kind = "permanent";
  report.tables = {good, bad};
  return report;
}

TEST(JobReport, RatesAreOfTheWholeRun) {
  const auto report = Example();
  EXPECT_DOUBLE_EQ(report.RowsPerSecond(), 100);
  EXPECT_DOUBLE_EQ(report.MegabytesPerSecond(), 5);
  EXPECT_DOUBLE_EQ(report.TablesPerMinute(), 6);
  EXPECT_DOUBLE_EQ(report.UnitsPerMinute(), 24);
  EXPECT_DOUBLE_EQ(report.SpeedUp(), 1.5);
  EXPECT_DOUBLE_EQ(report.CpuUse(), 0.5);
  EXPECT_DOUBLE_EQ(JobReport().RowsPerSecond(), 0) << "no time, no rate";
}

TEST(JobReport, TablesThatWaitForOthersHaveNoRemedyOfTheirOwn) {
  auto report = Example();
  TableReport waits = report.tables.at(1);
  waits.error_code = kPredecessorFailed;
  report.tables.push_back(waits);
  EXPECT_EQ(report.TablesFor(Remedy::kResume), 1);
  report.tables.at(1).error_code = "schema_changed";
  EXPECT_EQ(report.TablesFor(Remedy::kResume), 0);
  EXPECT_EQ(report.TablesFor(Remedy::kNewJob), 1);
}

TEST(JobReport, JsonGoesThereAndBack) {
  const std::string text = Example().ToJson();
  const auto back = JobReport::FromJson(text).ValueOrDie();
  EXPECT_EQ(back.ToJson(), text);
  EXPECT_EQ(back.tables.at(1).error, "cannot decode");
  EXPECT_FALSE(JobReport::FromJson("{").ok());
  EXPECT_FALSE(JobReport::FromJson("{\"job_id\":1}").ok());
  EXPECT_FALSE(JobReport::FromJson(R"({"job_id":"a","state":"odd"})").ok());
}

// Every key that is written is in the published schema, and every one it requires is written.
void ExpectDescribed(const nlohmann::json& schema, const nlohmann::json& value,
                     const std::string& where) {
  if (schema.contains("enum")) {
    EXPECT_THAT(schema["enum"], testing::Contains(value)) << where;
  }
  if (schema.contains("items")) {
    for (const auto& item : value) ExpectDescribed(schema["items"], item, where + "[]");
  }
  if (!schema.contains("properties")) return;
  for (const auto& [key, inner] : value.items()) {
    ASSERT_TRUE(schema["properties"].contains(key)) << where << "." << key;
    ExpectDescribed(schema["properties"][key], inner, where + "." + key);
  }
  for (const auto& key : schema["required"]) {
    EXPECT_TRUE(value.contains(key)) << where << "." << key;
  }
}

TEST(JobReport, IsWhatThePublishedSchemaSays) {
  std::ifstream file(std::string(BULKHAUL_SOURCE_DIR) + "/docs/schemas/report.schema.json");
  ASSERT_TRUE(file) << "docs/schemas/report.schema.json";
  const auto schema = nlohmann::json::parse(file);
  ExpectDescribed(schema, nlohmann::json::parse(Example().ToJson()), "report");
}

TEST(JobReport, TextNamesWhatMatters) {
  const std::string text = Example().ToText();
  for (const char* part : {"s.a", "1,000 rows", "failed: cannot decode", "infinity_clamped: 3",
                           "v: int64 → int16", "speed-up 1.5", "0.1 (s.a"}) {
    EXPECT_THAT(text, HasSubstr(part));
  }
}

TEST(JobReport, RowsReadAreToldWhereTheyAreNotThoseWritten) {
  auto report = Example();
  EXPECT_THAT(report.ToText(), HasSubstr("tables, 1,000 rows of 1,012 read, 7 rejected, 47.7 MiB"));
  EXPECT_THAT(report.ToText(), HasSubstr("    read: 1,012 rows, of them 5 filtered out\n"));
  EXPECT_THAT(report.ToJson(), HasSubstr("\"rows_read\": 1012"));
  report.rows_read = report.rows;
  report.rows_rejected = 0;
  report.tables[0].rows_filtered = 0;
  EXPECT_THAT(report.ToText(), HasSubstr("tables, 1,000 rows, 47.7 MiB"));
  EXPECT_THAT(report.ToText(), testing::Not(HasSubstr("filtered")));
}

TEST(JobReport, TextCountsFilesWhereThereAreSome) {
  JobReport report = Example();
  report.stored_bytes = 2048;
  report.files = 3;
  EXPECT_THAT(report.ToText(), HasSubstr("2 KiB in 3 files"));
  report.files = 0;
  EXPECT_THAT(report.ToText(),
              testing::AllOf(HasSubstr("2 KiB written"), testing::Not(HasSubstr("files"))));
}

TEST(JobReport, ExitCodes) {
  EXPECT_EQ(ExitCodeOf(JobState::kDone), 0);
  EXPECT_EQ(ExitCodeOf(JobState::kFailed), 1);
  EXPECT_EQ(ExitCodeOf(JobState::kPartial), 3);
  EXPECT_EQ(ExitCodeOf(JobState::kCancelled), 130);
}

TEST(JobRecords, ManifestNamesOnlyWhatIsPublished) {
  const auto manifest = nlohmann::json::parse(JobManifestJson(Example()));
  ASSERT_EQ(manifest["tables"].size(), 1u);
  EXPECT_EQ(manifest["tables"][0]["path"], "exports/s_a");
  EXPECT_EQ(manifest["compression"], "zstd:3");
  const auto record = nlohmann::json::parse(JobRecordJson(Example()));
  EXPECT_EQ(record["tables"].size(), 2u);
  EXPECT_EQ(record["error"], "1 of 2 tables failed");
}

TEST(JobRecords, AreAddedUpSinceAMoment) {
  auto old = Example();
  old.finished_at = "2026-01-01T00:00:00Z";
  auto quick = Example();
  quick.state = JobState::kDone;
  quick.unit_ms = 35'000;
  quick.workers = 4;
  const std::vector<std::string> records = {JobRecordJson(Example()), JobRecordJson(old),
                                            JobRecordJson(quick), "not json", "{}"};
  const auto sums = AddUpJobRecords(records, "2026-11-01T00:00:00Z");
  EXPECT_EQ(sums.jobs, 2);
  EXPECT_EQ(sums.done, 1);
  EXPECT_EQ(sums.partial, 1);
  EXPECT_EQ(sums.rows, 2000);
  EXPECT_EQ(sums.tables, 4);
  EXPECT_EQ(sums.tables_failed, 2);
  EXPECT_DOUBLE_EQ(sums.speed_up_mean, 2.5);
  EXPECT_DOUBLE_EQ(sums.speed_up_max, 3.5);
  EXPECT_DOUBLE_EQ(sums.workers_mean, 3);
  EXPECT_EQ(sums.workers_max, 4);
  EXPECT_EQ(sums.unreadable, 2);
  EXPECT_EQ(AddUpJobRecords(records, "").jobs, 3);
  EXPECT_THAT(sums.ToText(), HasSubstr("2 runs: 1 done, 1 partial"));
}

TEST(Progress, EventsAreOneJsonLine) {
  ProgressEvent event;
  event.kind = ProgressKind::kRetry;
  event.job_id = "j";
  event.dataset = {"s", "a\nb"};
  event.unit_id = "0.1";
  event.message = "bad \xff byte";
  event.delay_ms = 12;
  const std::string line = event.ToJson();
  EXPECT_EQ(line.find('\n'), std::string::npos);
  const auto value = nlohmann::json::parse(line);
  EXPECT_EQ(value["event"], "retry");
  EXPECT_EQ(value["table"], "a\nb");
  EXPECT_EQ(value["delay_ms"], 12);
}

std::string Lines(bool detailed, const std::vector<ProgressEvent>& events) {
  char* text = nullptr;
  size_t bytes = 0;
  std::FILE* out = open_memstream(&text, &bytes);
  LineProgress progress(out, detailed, 5000);
  for (const auto& event : events) progress.OnEvent(event);
  std::fclose(out);
  std::string lines(text, bytes);
  std::free(text);
  return lines;
}

TEST(Progress, ALineEveryFewSecondsAndForWhatHappened) {
  std::vector<ProgressEvent> events;
  for (int64_t second = 1; second <= 11; ++second) {
    ProgressEvent tick;
    tick.totals.elapsed_ms = second * 1000;
    tick.totals.rows = second;
    tick.totals.tables = second < 7 ? 0 : 1;
    tick.totals.memory_limit_bytes = 1 << 20;
    events.push_back(tick);
  }
  ProgressEvent warning;
  warning.kind = ProgressKind::kWarning;
  warning.message = "memory";
  events.push_back(warning);
  const std::string lines = Lines(false, events);
  EXPECT_EQ(std::count(lines.begin(), lines.end(), '\n'), 3) << lines;
  EXPECT_THAT(lines, testing::StartsWith("planning\n"));
  EXPECT_THAT(lines, HasSubstr("10 rows"));
  EXPECT_THAT(lines, HasSubstr("warning: memory"));
  EXPECT_EQ(lines.find("units/min"), std::string::npos);
  EXPECT_THAT(Lines(true, events), HasSubstr("units/min"));
}

}  // namespace
}  // namespace bulkhaul
