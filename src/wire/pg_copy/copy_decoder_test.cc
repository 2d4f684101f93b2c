#include "wire/pg_copy/copy_decoder.h"

#include <random>

#include <arrow/api.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "wire/pg_copy/golden_values.h"
#include "wire/pg_copy/testing.h"

namespace bulkhaul::pg {
namespace {

using testing::BigEndian;
using testing::Field;
using testing::FieldCount;
using testing::FromHex;
using ::testing::HasSubstr;
using testing::NullField;
using testing::PostgresText;
using testing::Stream;

ColumnSpec Column(std::string name, uint32_t oid, int32_t typmod = -1, int32_t dimensions = 0) {
  ColumnSpec column;
  column.name = std::move(name);
  column.type = BuiltinType(oid);
  column.typmod = typmod;
  column.dimensions = dimensions;
  return column;
}

std::unique_ptr<CopyDecoder> DecoderOf(const std::vector<ColumnSpec>& columns,
                                       const MappingOptions& options = {},
                                       DecodeLimits limits = {}) {
  std::vector<ColumnMapping> mappings;
  for (const ColumnSpec& column : columns) {
    mappings.push_back(MapColumn(column, options).ValueOrDie());
  }
  return CopyDecoder::Make(std::move(mappings), limits, arrow::default_memory_pool()).ValueOrDie();
}

// A copy on the heap at its exact size, so that the address sanitizer sees each byte read beyond
// it.
Status FeedChunk(CopyDecoder& decoder, std::string_view chunk, arrow::RecordBatchVector* batches) {
  std::vector<uint8_t> exact(chunk.begin(), chunk.end());
  exact.shrink_to_fit();
  std::span<const uint8_t> bytes(exact);
  while (!bytes.empty()) {
    ARROW_ASSIGN_OR_RAISE(const size_t taken, decoder.Feed(bytes));
    bytes = bytes.subspan(taken);
    if (decoder.batch_ready()) {
      ARROW_ASSIGN_OR_RAISE(auto batch, decoder.TakeBatch());
      batches->push_back(std::move(batch));
    }
  }
  return Status::OK();
}

Result<arrow::RecordBatchVector> DecodeAll(CopyDecoder& decoder, std::string_view stream,
                                           size_t chunk_bytes = SIZE_MAX) {
  arrow::RecordBatchVector batches;
  while (!stream.empty()) {
    const std::string_view chunk = stream.substr(0, chunk_bytes);
    ARROW_RETURN_NOT_OK(FeedChunk(decoder, chunk, &batches));
    stream.remove_prefix(chunk.size());
  }
  ARROW_RETURN_NOT_OK(decoder.Finish());
  ARROW_ASSIGN_OR_RAISE(auto rest, decoder.TakeBatch());
  if (rest) batches.push_back(std::move(rest));
  for (const auto& batch : batches) ARROW_RETURN_NOT_OK(batch->ValidateFull());
  return batches;
}

Result<std::shared_ptr<arrow::Array>> DecodeOne(const ColumnSpec& column, std::string_view field,
                                                const MappingOptions& options = {}) {
  auto decoder = DecoderOf({column}, options);
  ARROW_ASSIGN_OR_RAISE(auto batches,
                        DecodeAll(*decoder, Stream(FieldCount(1) + std::string(field))));
  return batches.at(0)->column(0);
}

TEST(CopyDecoder, DecodesGoldenBytesToWhatTheServerPrinted) {
  for (const auto& golden : testing::kGoldenValues) {
    SCOPED_TRACE(golden.sql);
    const ColumnSpec column = Column("c", golden.oid, golden.typmod, golden.dimensions);
    auto array = DecodeOne(column, FromHex(golden.bytes));
    ASSERT_TRUE(array.ok()) << array.status();
    if (std::string_view(golden.text) == "NULL") {
      EXPECT_TRUE((*array)->IsNull(0));
      continue;
    }
    ASSERT_FALSE((*array)->IsNull(0));
    // Lower bounds are counted, not kept.
    std::string expected = golden.text;
    if (expected.starts_with("[0:1]=")) expected = expected.substr(6);
    EXPECT_EQ(PostgresText(*column.type, **array, 0), expected);
  }
}

}  // namespace
}  // namespace bulkhaul::pg
