#include "sink/parquet/parquet_sink.h"

#include <arrow/array/builder_binary.h>
#include <arrow/array/builder_primitive.h>
#include <arrow/array/util.h>
#include <arrow/compute/cast.h>
#include <arrow/compute/initialize.h>
#include <arrow/extension/json.h>
#include <arrow/extension/uuid.h>
#include <arrow/io/memory.h>
#include <arrow/json/from_string.h>
#include <arrow/table.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <parquet/arrow/reader.h>
#include <parquet/bloom_filter.h>
#include <parquet/bloom_filter_reader.h>
#include <parquet/file_reader.h>
#include <parquet/page_index.h>
#include <parquet/statistics.h>

#include "sink/parquet/parquet_encoder.h"

namespace bulkhaul {
namespace {

using arrow::field;

struct Column {
  std::shared_ptr<arrow::DataType> type;
  std::string json;
};

std::shared_ptr<arrow::RecordBatch> Batch(const std::vector<Column>& columns) {
  arrow::FieldVector fields;
  arrow::ArrayVector arrays;
  for (const auto& column : columns) {
    fields.push_back(field("c" + std::to_string(fields.size()), column.type));
    arrays.push_back(arrow::json::ArrayFromJSONString(column.type, column.json).ValueOrDie());
  }
  const int64_t rows = arrays[0]->length();
  return arrow::RecordBatch::Make(arrow::schema(fields), rows, arrays);
}

Options With(std::initializer_list<std::pair<const char*, const char*>> texts) {
  Options options;
  for (const auto& [name, text] : texts) {
    const Status set = options.SetFromText(name, text);
    EXPECT_TRUE(set.ok()) << set;
  }
  return options;
}

DatasetPlan PlanFor(const std::shared_ptr<arrow::Schema>& schema, const Options& options = {}) {
  DatasetPlan plan;
  plan.dataset.id = {"public", "t"};
  plan.dataset.options = options;
  plan.schema = schema;
  plan.output_name = "public_t";
  return plan;
}

Result<std::shared_ptr<arrow::Buffer>> Write(
    const std::vector<std::shared_ptr<arrow::RecordBatch>>& batches, const Options& options = {}) {
  const auto format = MakeParquetFormat();
  const auto plan = PlanFor(batches[0]->schema(), options);
  ARROW_RETURN_NOT_OK(format->Check(plan, *plan.schema));
  ARROW_ASSIGN_OR_RAISE(auto stream, arrow::io::BufferOutputStream::Create());
  ARROW_ASSIGN_OR_RAISE(auto encoder,
                        format->Begin(plan, plan.schema, stream, arrow::default_memory_pool()));
  for (const auto& batch : batches) ARROW_RETURN_NOT_OK(encoder->Write(*batch));
  ARROW_RETURN_NOT_OK(encoder->Finish());
  return stream->Finish();
}

std::shared_ptr<arrow::Buffer> Written(
    const std::vector<std::shared_ptr<arrow::RecordBatch>>& batches, const Options& options = {}) {
  auto buffer = Write(batches, options);
  EXPECT_TRUE(buffer.ok()) << buffer.status();
  return buffer.ValueOrDie();
}

std::unique_ptr<parquet::ParquetFileReader> Open(const std::shared_ptr<arrow::Buffer>& buffer) {
  return parquet::ParquetFileReader::Open(std::make_shared<arrow::io::BufferReader>(buffer));
}

std::shared_ptr<arrow::Table> Read(const std::shared_ptr<arrow::Buffer>& buffer) {
  parquet::arrow::FileReaderBuilder builder;
  const Status opened = builder.Open(std::make_shared<arrow::io::BufferReader>(buffer));
  EXPECT_TRUE(opened.ok()) << opened;
  parquet::ArrowReaderProperties properties;
  properties.set_arrow_extensions_enabled(true);
  auto reader = builder.properties(properties)->Build().ValueOrDie();
  auto table = reader->ReadTable();
  EXPECT_TRUE(table.ok()) << table.status();
  return table.ValueOrDie();
}

TEST(ParquetSink, EveryTypeComesBack) {
  const auto batch = Batch({
      {arrow::boolean(), "[true, false, null]"},
      {arrow::int8(), "[-128, 127, null]"},
      {arrow::int16(), "[-32768, 32767, null]"},
      {arrow::int32(), "[-2147483648, 2147483647, null]"},
      {arrow::int64(), "[-9223372036854775808, 9223372036854775807, null]"},
      {arrow::uint8(), "[0, 255, null]"},
      {arrow::uint16(), "[0, 65535, null]"},
      {arrow::uint32(), "[0, 4294967295, null]"},
      {arrow::uint64(), "[0, 18446744073709551615, null]"},
      {arrow::float32(), "[0.1, -Inf, null]"},
      {arrow::float64(), "[5e-324, Inf, null]"},
      {arrow::decimal128(9, 2), R"(["9999999.99", "-9999999.99", null])"},
      {arrow::decimal128(18, 0), R"(["999999999999999999", "-999999999999999999", null])"},
      {arrow::decimal128(38, 10),
       R"(["9999999999999999999999999999.9999999999", "-0.0000000001", null])"},
      {arrow::decimal256(76, 0), R"(["1", "-1", null])"},
      {arrow::utf8(), R"(["", "tëxt\n\"", null])"},
      {arrow::large_utf8(), R"(["", "x", null])"},
      {arrow::binary(), R"(["", "x", null])"},
      {arrow::fixed_size_binary(3), R"(["abc", "xyz", null])"},
      {arrow::date32(), "[-719162, 2932896, null]"},
      {arrow::time64(arrow::TimeUnit::MICRO), "[0, 86399999999, null]"},
      {arrow::timestamp(arrow::TimeUnit::MICRO), "[-9223372036854775808, 1, null]"},
      {arrow::timestamp(arrow::TimeUnit::MICRO, "UTC"), "[9223372036854775807, 1, null]"},
      {arrow::timestamp(arrow::TimeUnit::NANO), "[1, 2, null]"},
      {arrow::list(arrow::int32()), "[[1, null], [], null]"},
      {arrow::list(arrow::list(arrow::utf8())), R"([[["a"], null], [], null])"},
      {arrow::struct_({field("x", arrow::int32()), field("y", arrow::decimal128(10, 2))}),
       R"([{"x": 1, "y": "1.50"}, {"x": null, "y": null}, null])"},
      {arrow::map(arrow::utf8(), arrow::utf8()), R"([[["k", "v"]], [], null])"},
      {arrow::dictionary(arrow::int32(), arrow::utf8()), R"(["red", "green", null])"},
      {arrow::list(arrow::decimal128(20, 4)), R"([["1.5000"], [], null])"},
  });
  for (const char* dictionary : {"auto", "on", "off"}) {
    const auto table = Read(Written({batch}, With({{"dictionary", dictionary}})));
    ASSERT_TRUE(table->ValidateFull().ok());
    const auto expected = arrow::Table::FromRecordBatches({batch}).ValueOrDie();
    for (int i = 0; i < table->num_columns(); ++i) {
      EXPECT_TRUE(table->column(i)->Equals(*expected->column(i)))
          << dictionary << " " << batch->schema()->field(i)->ToString() << "\n"
          << table->column(i)->ToString();
    }
  }
}

TEST(ParquetSink, UuidAndJsonAreLogicalTypes) {
  const auto uuid = arrow::extension::uuid();
  const auto json = arrow::extension::json(arrow::utf8());
  const auto storage = Batch({{arrow::fixed_size_binary(16), R"(["0123456789abcdef", null])"},
                              {arrow::utf8(), R"(["{}", null])"}});
  const auto batch =
      arrow::RecordBatch::Make(arrow::schema({field("u", uuid), field("j", json)}), 2,
                               {arrow::ExtensionType::WrapArray(uuid, storage->column(0)),
                                arrow::ExtensionType::WrapArray(json, storage->column(1))});
  const auto buffer = Written({batch});
  const auto file = Open(buffer);
  EXPECT_TRUE(file->metadata()->schema()->Column(0)->logical_type()->is_UUID());
  EXPECT_TRUE(file->metadata()->schema()->Column(1)->logical_type()->is_JSON());
  EXPECT_TRUE(Read(buffer)->column(0)->chunk(0)->Equals(batch->column(0)));
}

// Small decimals are integers in the file, and no reader is told of decimal32 or decimal64.
TEST(ParquetSink, DecimalsOfEveryWidthGiveOneFile) {
  const std::vector<std::pair<std::shared_ptr<arrow::DataType>, parquet::Type::type>> cases = {
      {arrow::decimal32(9, 2), parquet::Type::INT32},
      {arrow::decimal64(9, 2), parquet::Type::INT32},
      {arrow::decimal128(9, 2), parquet::Type::INT32},
      {arrow::decimal64(18, 2), parquet::Type::INT64},
      {arrow::decimal128(18, 2), parquet::Type::INT64},
      {arrow::decimal128(19, 2), parquet::Type::FIXED_LEN_BYTE_ARRAY},
  };
  for (const auto& [type, physical] : cases) {
    const auto& decimal = static_cast<const arrow::DecimalType&>(*type);
    const auto buffer = Written({Batch({{type, R"(["1234567.89", "-0.01", null])"}})});
    EXPECT_EQ(Open(buffer)->metadata()->schema()->Column(0)->physical_type(), physical)
        << type->ToString();
    const auto table = Read(buffer);
    const auto expected =
        Batch({{arrow::decimal128(decimal.precision(), 2), R"(["1234567.89", "-0.01", null])"}});
    EXPECT_TRUE(table->column(0)->chunk(0)->Equals(expected->column(0))) << type->ToString();
  }
}

TEST(ParquetSink, TimestampsSayWhetherTheyAreUtc) {
  const auto buffer = Written({Batch({{arrow::timestamp(arrow::TimeUnit::MICRO), "[1]"},
                                      {arrow::timestamp(arrow::TimeUnit::MICRO, "UTC"), "[1]"}})});
  const auto file = Open(buffer);
  const auto utc = [&](int column) {
    return static_cast<const parquet::TimestampLogicalType&>(
               *file->metadata()->schema()->Column(column)->logical_type())
        .is_adjusted_to_utc();
  };
  EXPECT_FALSE(utc(0));
  EXPECT_TRUE(utc(1));
}

TEST(ParquetSink, WhatHasNoFormIsRefusedByName) {
  const auto format = MakeParquetFormat();
  const std::vector<std::shared_ptr<arrow::DataType>> types = {
      arrow::month_day_nano_interval(),
      arrow::decimal128(5, -2),
      arrow::list(arrow::month_day_nano_interval()),
      arrow::struct_(arrow::FieldVector{}),
      arrow::dense_union({field("a", arrow::int8())}),
  };
  for (const auto& type : types) {
    const auto schema = arrow::schema({field("odd", type)});
    const Status status = format->Check(PlanFor(schema), *schema);
    ASSERT_FALSE(status.ok()) << type->ToString();
    EXPECT_EQ(KindOf(status), ErrorKind::kUser);
    EXPECT_NE(status.ToString().find("'odd'"), std::string::npos);
    EXPECT_NE(status.ToString().find("public.t"), std::string::npos);
    EXPECT_NE(status.ToString().find("cast"), std::string::npos);
  }
  const auto twice = arrow::schema({field("a", arrow::int8()), field("a", arrow::int8())});
  EXPECT_EQ(KindOf(format->Check(PlanFor(twice), *twice)), ErrorKind::kUser);
}

TEST(ParquetSink, TimeOfTwentyFourHoursIsRefused) {
  const auto written = Write({Batch({{arrow::time64(arrow::TimeUnit::MICRO), "[86400000000]"}})});
  ASSERT_FALSE(written.ok());
  EXPECT_EQ(KindOf(written.status()), ErrorKind::kUser);
  EXPECT_NE(written.status().ToString().find("24:00"), std::string::npos);
  const auto null = Write({Batch({{arrow::time64(arrow::TimeUnit::MICRO), "[null]"}})});
  EXPECT_TRUE(null.ok()) << null.status();
}

TEST(ParquetSink, OptionsNameTheirMistakes) {
  const auto format = MakeParquetFormat();
  const auto schema = arrow::schema({field("a", arrow::int8()), field("b", arrow::boolean())});
  for (const auto& options : {With({{"sort_column", "x"}}), With({{"bloom_filter", "x"}}),
                              With({{"bloom_filter", "b"}}), With({{"compression", "zstd:99"}})}) {
    const Status status = format->Check(PlanFor(schema, options), *schema);
    ASSERT_FALSE(status.ok());
    EXPECT_EQ(KindOf(status), ErrorKind::kUser);
    const std::string option = options.values().begin()->first;
    EXPECT_NE(status.ToString().find(option), std::string::npos) << status;
  }
}

// Rows [0, rows) as: id, few different texts, long different texts, repeated decimals, doubles.
std::shared_ptr<arrow::RecordBatch> ManyRows(int64_t begin, int64_t rows) {
  std::string ids, words, texts, decimals, doubles;
  for (int64_t i = begin; i < begin + rows; ++i) {
    const char* comma = i > begin ? "," : "";
    const int64_t scattered = i * 2'654'435'761 % 1'000'003;
    ids += fmt::format("{}{}", comma, i);
    words += fmt::format("{}\"word {}\"", comma, scattered % 5);
    texts += fmt::format("{}\"{} some text of its own {}\"", comma, scattered, i * 77);
    decimals += fmt::format("{}\"{}.00\"", comma, scattered % 50);
    doubles += fmt::format("{}{}", comma, 1.0 / static_cast<double>(scattered + 1));
  }
  return Batch({{arrow::int64(), "[" + ids + "]"},
                {arrow::utf8(), "[" + words + "]"},
                {arrow::utf8(), "[" + texts + "]"},
                {arrow::decimal128(15, 2), "[" + decimals + "]"},
                {arrow::float64(), "[" + doubles + "]"}});
}

bool HasEncoding(const parquet::FileMetaData& metadata, int column,
                 parquet::Encoding::type wanted) {
  const auto chunk = metadata.RowGroup(0)->ColumnChunk(column);
  for (const auto encoding : chunk->encodings()) {
    if (encoding == wanted) return true;
  }
  return false;
}

TEST(ParquetSink, EncodingsFollowTheValues) {
  const auto batch = ManyRows(0, 20'000);
  const auto buffer = Written({batch});
  const auto file = Open(buffer);
  const auto& metadata = *file->metadata();
  EXPECT_TRUE(HasEncoding(metadata, 0, parquet::Encoding::DELTA_BINARY_PACKED));
  EXPECT_TRUE(HasEncoding(metadata, 1, parquet::Encoding::RLE_DICTIONARY));
  EXPECT_TRUE(HasEncoding(metadata, 2, parquet::Encoding::DELTA_LENGTH_BYTE_ARRAY));
  EXPECT_TRUE(HasEncoding(metadata, 3, parquet::Encoding::RLE_DICTIONARY));
  EXPECT_TRUE(HasEncoding(metadata, 4, parquet::Encoding::PLAIN));
  EXPECT_FALSE(HasEncoding(metadata, 4, parquet::Encoding::RLE_DICTIONARY));
  const auto on = Open(Written({batch}, With({{"dictionary", "on"}})));
  EXPECT_TRUE(HasEncoding(*on->metadata(), 0, parquet::Encoding::RLE_DICTIONARY));
  const auto off = Open(Written({batch}, With({{"dictionary", "off"}})));
  EXPECT_FALSE(HasEncoding(*off->metadata(), 1, parquet::Encoding::RLE_DICTIONARY));
  EXPECT_TRUE(Read(buffer)->Equals(*arrow::Table::FromRecordBatches({batch}).ValueOrDie()));
  EXPECT_LT(buffer->size(), Written({batch}, With({{"dictionary", "on"}}))->size());
}

TEST(ParquetSink, CodecsAndLevels) {
  const auto batch = ManyRows(0, 5'000);
  const auto expected = arrow::Table::FromRecordBatches({batch}).ValueOrDie();
  int64_t plain = 0;
  for (const char* codec :
       {"none", "snappy", "gzip", "gzip:9", "lz4", "zstd", "zstd:1", "zstd:19"}) {
    const auto buffer = Written({batch}, With({{"compression", codec}}));
    EXPECT_TRUE(Read(buffer)->Equals(*expected)) << codec;
    if (plain == 0) {
      plain = buffer->size();
    } else {
      EXPECT_LT(buffer->size(), plain) << codec;
    }
  }
}

TEST(ParquetSink, RowGroupsEndByRowsAndByBytes) {
  const auto by_rows =
      Open(Written({ManyRows(0, 1000), ManyRows(1000, 1000)}, With({{"row_group_rows", "300"}})));
  ASSERT_EQ(by_rows->metadata()->num_row_groups(), 7);
  EXPECT_EQ(by_rows->metadata()->RowGroup(0)->num_rows(), 300);
  EXPECT_EQ(by_rows->metadata()->RowGroup(6)->num_rows(), 200);
  std::vector<std::shared_ptr<arrow::RecordBatch>> batches;
  for (int64_t i = 0; i < 10; ++i) batches.push_back(ManyRows(i * 1000, 1000));
  const auto by_bytes = Open(Written(batches, With({{"row_group_bytes", "200KiB"}})));
  EXPECT_GE(by_bytes->metadata()->num_row_groups(), 3);
  EXPECT_LE(by_bytes->metadata()->num_row_groups(), 6);
}

// Texts of a megabyte: what is held stays far below what was written.
TEST(ParquetSink, HugeValuesDoNotPileUp) {
  const auto format = MakeParquetFormat();
  const auto schema = arrow::schema({field("text", arrow::utf8())});
  const auto plan = PlanFor(schema, With({{"compression", "none"}}));
  auto stream = arrow::io::BufferOutputStream::Create().ValueOrDie();
  auto encoder = format->Begin(plan, schema, stream, arrow::default_memory_pool()).ValueOrDie();
  int64_t held_max = 0;
  for (int i = 0; i < 40; ++i) {
    arrow::StringBuilder builder;
    for (int row = 0; row < 2; ++row) {
      ASSERT_TRUE(builder.Append(std::string(1 << 20, static_cast<char>('a' + i % 26))).ok());
    }
    const auto batch = arrow::RecordBatch::Make(schema, 2, {builder.Finish().ValueOrDie()});
    ASSERT_TRUE(encoder->Write(*batch).ok());
    held_max = std::max(held_max, encoder->buffered_bytes());
  }
  ASSERT_TRUE(encoder->Finish().ok());
  EXPECT_LT(held_max, 48 << 20);
  EXPECT_EQ(Read(stream->Finish().ValueOrDie())->num_rows(), 80);
}

TEST(ParquetSink, StatisticsAndPageIndexByOption) {
  const auto batch = ManyRows(0, 5'000);
  const auto with = Open(Written({batch}));
  const auto statistics = with->metadata()->RowGroup(0)->ColumnChunk(0)->statistics();
  ASSERT_NE(statistics, nullptr);
  EXPECT_EQ(std::static_pointer_cast<parquet::Int64Statistics>(statistics)->max(), 4'999);
  EXPECT_TRUE(with->metadata()->RowGroup(0)->ColumnChunk(0)->GetOffsetIndexLocation());
  // Texts in no order have statistics only when asked for.
  EXPECT_EQ(with->metadata()->RowGroup(0)->ColumnChunk(2)->statistics(), nullptr);
  const auto asked = Open(Written({batch}, With({{"statistics", "true"}})));
  EXPECT_NE(asked->metadata()->RowGroup(0)->ColumnChunk(2)->statistics(), nullptr);
  const auto without =
      Open(Written({batch}, With({{"statistics", "false"}, {"page_index", "false"}})));
  EXPECT_EQ(without->metadata()->RowGroup(0)->ColumnChunk(0)->statistics(), nullptr);
  EXPECT_FALSE(without->metadata()->RowGroup(0)->ColumnChunk(0)->GetOffsetIndexLocation());
}

TEST(ParquetSink, BloomFilterFindsWhatIsThere) {
  const auto file = Open(Written({ManyRows(0, 5'000)}, With({{"bloom_filter", "c0"}})));
  auto filter = file->GetBloomFilterReader().RowGroup(0)->GetColumnBloomFilter(0);
  ASSERT_NE(filter, nullptr);
  int64_t found = 0;
  for (int64_t i = 0; i < 5'000; ++i) {
    EXPECT_TRUE(filter->FindHash(filter->Hash(i)));
    found += filter->FindHash(filter->Hash(i + 1'000'000));
  }
  EXPECT_LT(found, 1'000);
}

TEST(ParquetSink, SortColumnOrdersEachRowGroup) {
  const auto batch = Batch(
      {{arrow::int32(), "[5, null, 3, 9, 1]"}, {arrow::utf8(), R"(["e", "n", "c", "i", "a"])"}});
  const auto buffer = Written({batch}, With({{"sort_column", "c0"}}));
  const auto expected = Batch(
      {{arrow::int32(), "[1, 3, 5, 9, null]"}, {arrow::utf8(), R"(["a", "c", "e", "i", "n"])"}});
  EXPECT_TRUE(Read(buffer)->Equals(*arrow::Table::FromRecordBatches({expected}).ValueOrDie()));
  const auto nested =
      Batch({{arrow::struct_({field("x", arrow::int32()), field("y", arrow::int32())}),
              R"([{"x": 1, "y": 2}, {"x": 3, "y": 4}])"},
             {arrow::int32(), "[2, 1]"}});
  const auto file = Open(Written({nested}, With({{"sort_column", "c1"}})));
  const auto sorting = file->metadata()->RowGroup(0)->sorting_columns();
  ASSERT_EQ(sorting.size(), 1u);
  EXPECT_EQ(sorting[0].column_idx, 2);  // counted by leaves
  EXPECT_FALSE(sorting[0].descending);
  EXPECT_FALSE(sorting[0].nulls_first);
  EXPECT_EQ(KindOf(Write({nested}, With({{"sort_column", "c0"}})).status()), ErrorKind::kUser);
}

TEST(ParquetSink, DictionariesThatDifferFromBatchToBatch) {
  const auto type = arrow::dictionary(arrow::int32(), arrow::utf8());
  const auto first = Batch({{type, R"(["red", "green"])"}});
  const auto second = Batch({{type, R"(["blue", null, "red"])"}});
  const auto table = Read(Written({first, second}));
  ASSERT_TRUE(arrow::compute::Initialize().ok());
  const auto texts = arrow::compute::Cast(arrow::Datum(table->column(0)), arrow::utf8());
  ASSERT_TRUE(texts.ok()) << texts.status();
  const auto expected =
      arrow::json::ArrayFromJSONString(arrow::utf8(), R"(["red", "green", "blue", null, "red"])")
          .ValueOrDie();
  EXPECT_TRUE(texts->chunked_array()->Equals(arrow::ChunkedArray(expected)));
}

TEST(ParquetSink, EmptyFileHasTheSchema) {
  const auto schema = arrow::schema({field("a", arrow::int32()), field("b", arrow::utf8())});
  const auto format = MakeParquetFormat();
  auto stream = arrow::io::BufferOutputStream::Create().ValueOrDie();
  auto encoder =
      format->Begin(PlanFor(schema), schema, stream, arrow::default_memory_pool()).ValueOrDie();
  ASSERT_TRUE(encoder->Finish().ok());
  const auto table = Read(stream->Finish().ValueOrDie());
  EXPECT_EQ(table->num_rows(), 0);
  EXPECT_TRUE(table->schema()->Equals(*schema));
}

}  // namespace
}  // namespace bulkhaul
