#include "plan/values.h"

#include <arrow/util/key_value_metadata.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>

namespace bulkhaul {
namespace {

TEST(Values, DatasetSurvivesJson) {
  Dataset dataset;
  dataset.id = {"sales", "na\"me\n\xff"};
  dataset.kind = "table";
  dataset.schema = arrow::schema(
      {arrow::field("id", arrow::int64(), false,
                    arrow::key_value_metadata({kSourceTypeKey}, {"bigint"})),
       arrow::field("tags", arrow::list(arrow::dictionary(arrow::int32(), arrow::utf8())))});
  dataset.primary_key = {"id"};
  dataset.estimated_rows = 6'001'215;
  dataset.comment = "ü";
  ASSERT_TRUE(dataset.options.Set("workers_per_table", int64_t{4}).ok());
  dataset.source_state = R"({"oid":1})";
  dataset.warnings = {"a", "b"};
  const auto read = Dataset::FromJson(dataset.ToJson());
  ASSERT_TRUE(read.ok()) << read.status().ToString();
  EXPECT_EQ(read->id, dataset.id);
  EXPECT_TRUE(read->schema->Equals(*dataset.schema, /*check_metadata=*/true));
  EXPECT_EQ(read->primary_key, dataset.primary_key);
  EXPECT_EQ(read->estimated_rows, dataset.estimated_rows);
  EXPECT_EQ(read->estimated_bytes, -1);
  EXPECT_EQ(read->options.values(), dataset.options.values());
  EXPECT_EQ(read->source_state, dataset.source_state);
  EXPECT_EQ(read->warnings, dataset.warnings);
  EXPECT_EQ(read->ToJson(), dataset.ToJson());
}

TEST(Values, SnapshotAndReceiptSurviveJson) {
  Snapshot snapshot{"00000003-0000001B-1", true, 2, "2026-11-21T10:15:00Z", "text", "{}"};
  const auto read = Snapshot::FromJson(snapshot.ToJson());
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(read->ToJson(), snapshot.ToJson());
  EXPECT_TRUE(read->consistent);
  EXPECT_EQ(read->epoch, 2);

  CommitReceipt receipt{{"a", "b"}, "/x/y", 10, 4, 20, 3, true, "/x/.archive/y"};
  receipt.metadata = "{\"rows\": 10}";
  const auto receipt_read = CommitReceipt::FromJson(receipt.ToJson());
  ASSERT_TRUE(receipt_read.ok());
  EXPECT_EQ(receipt_read->ToJson(), receipt.ToJson());
  EXPECT_EQ(receipt_read->rows_left_out, 4);
  EXPECT_EQ(receipt_read->archived_to, "/x/.archive/y");
  EXPECT_EQ(receipt_read->metadata, "{\"rows\": 10}");
}

TEST(Values, StagedResultSurvivesJson) {
  StagedResult result;
  result.unit_id = "0.1";
  result.attempt_id = "0.1-abc";
  result.dataset = {"", "t"};
  result.ranges = {{"heap", "", "10"}, {"heap", "10", ""}};
  result.parts = {{"p1", 5, 100, 0xfedcba9876543210u, "1", "9", "{\"x\":1}"}};
  result.rows_read = 5;
  result.counters = {{"infinity_clamped", 3}};
  result.transform_states = {{"shrink", std::string("\x00\xff", 2)}};
  const auto read = StagedResult::FromJson(result.ToJson());
  ASSERT_TRUE(read.ok()) << read.status().ToString();
  EXPECT_EQ(read->ToJson(), result.ToJson());
  EXPECT_EQ(read->parts[0].xxh3, 0xfedcba9876543210u);
  EXPECT_EQ(read->ranges, result.ranges);
  EXPECT_EQ(read->counters, result.counters);
  EXPECT_EQ(read->transform_states, result.transform_states);
}

TEST(Values, AnyUnitSurvivesJson) {
  EXPECT_TRUE(rc::check("bytes of any kind", [](const std::string& schema, const std::string& name,
                                                const std::string& begin, int64_t rows) {
    WorkUnit unit;
    unit.id = "3.7";
    unit.dataset = {schema, name};
    unit.ordinal = 7;
    unit.range = {"heap", begin, ""};
    unit.estimated_rows = rows;
    const auto read = WorkUnit::FromJson(unit.ToJson());
    RC_ASSERT(read.ok());
    RC_ASSERT(read->dataset == unit.dataset);
    RC_ASSERT(read->range == unit.range);
    RC_ASSERT(read->estimated_rows == rows);
  }));
}

TEST(Values, MalformedJsonIsAnError) {
  for (const char* text : {"", "[]", "{", "{\"dataset\":3}", "{\"dataset\":{\"name\":1}}",
                           "{\"dataset\":{\"name\":\"a\"},\"ordinal\":\"x\"}"}) {
    EXPECT_FALSE(WorkUnit::FromJson(text).ok()) << text;
    EXPECT_FALSE(StagedResult::FromJson(text).ok()) << text;
  }
  EXPECT_FALSE(SchemaFromJson("\"AAAA\"").ok());
  EXPECT_FALSE(SchemaFromJson("7").ok());
}

}  // namespace
}  // namespace bulkhaul
