#include "wire/pg_copy/copy_decoder.h"

#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "wire/pg_copy/decoder_testing.h"
#include "wire/pg_copy/golden_values.h"
#include "wire/pg_copy/testing.h"

namespace bulkhaul::pg {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace): the whole file is made of them
using ::testing::HasSubstr;

// One table with a column per golden value, and rows of values, NULLs, and values again.
struct WideTable {
  std::vector<ColumnSpec> columns;
  std::string stream;
};

WideTable MakeWideTable(int rows) {
  WideTable table;
  std::vector<std::string> fields;
  for (const auto& golden : testing::kGoldenValues) {
    table.columns.push_back(
        Column("c" + std::to_string(fields.size()), golden.oid, golden.typmod, golden.dimensions));
    fields.push_back(FromHex(golden.bytes));
  }
  std::string tuples;
  for (int row = 0; row < rows; ++row) {
    tuples += FieldCount(static_cast<int>(fields.size()));
    for (size_t field = 0; field < fields.size(); ++field) {
      tuples += (row + field) % 3 == 1 ? NullField() : fields[field];
    }
  }
  table.stream = Stream(tuples);
  return table;
}

TEST(CopyDecoder, AnySplitOfTheStreamGivesTheSameBatches) {
  const WideTable table = MakeWideTable(40);
  for (const DecodeLimits limits : {DecodeLimits{}, DecodeLimits{.batch_bytes_max = 20'000},
                                    DecodeLimits{.batch_rows_max = 7}}) {
    auto whole_decoder = DecoderOf(table.columns, {}, limits);
    const auto whole = DecodeAll(*whole_decoder, table.stream);
    ASSERT_TRUE(whole.ok()) << whole.status();
    const auto expect_same = [&](const arrow::RecordBatchVector& batches) {
      ASSERT_EQ(batches.size(), whole->size());
      for (size_t batch = 0; batch < batches.size(); ++batch) {
        ASSERT_TRUE(
            batches[batch]->Equals(*(*whole)[batch], arrow::EqualOptions().nans_equal(true)));
      }
    };
    for (const size_t chunk_bytes : {1, 2, 3, 5, 19, 1000, 4096}) {
      SCOPED_TRACE(chunk_bytes);
      auto decoder = DecoderOf(table.columns, {}, limits);
      const auto batches = DecodeAll(*decoder, table.stream, chunk_bytes);
      ASSERT_TRUE(batches.ok()) << batches.status();
      expect_same(*batches);
    }
    std::mt19937_64 random(7);
    auto decoder = DecoderOf(table.columns, {}, limits);
    for (int round = 0; round < 20; ++round) {
      decoder->Reset();
      arrow::RecordBatchVector batches;
      std::string_view rest = table.stream;
      while (!rest.empty()) {
        const size_t size = std::min<size_t>(rest.size(), random() % 300);
        ASSERT_OK(FeedChunk(*decoder, rest.substr(0, size), &batches));
        rest.remove_prefix(size);
      }
      ASSERT_OK(decoder->Finish());
      ASSERT_OK_AND_ASSIGN(auto last, decoder->TakeBatch());
      if (last) batches.push_back(last);
      expect_same(batches);
    }
  }
}

TEST(CopyDecoder, EveryTruncationIsAnError) {
  const WideTable table = MakeWideTable(2);
  for (size_t size = 0; size < table.stream.size(); ++size) {
    auto decoder = DecoderOf(table.columns);
    const auto batches = DecodeAll(*decoder, table.stream.substr(0, size));
    ASSERT_FALSE(batches.ok()) << size;
    EXPECT_EQ(KindOf(batches.status()), ErrorKind::kPermanent);
    EXPECT_THAT(batches.status().message(), HasSubstr("truncated"));
  }
}

TEST(CopyDecoder, SurvivesChangedBytes) {
  const WideTable table = MakeWideTable(3);
  std::mt19937_64 random(11);
  int failures = 0;
  for (int round = 0; round < 3000; ++round) {
    std::string stream = table.stream;
    for (uint64_t changes = 1 + random() % 3; changes > 0; --changes) {
      stream[19 + random() % (stream.size() - 19)] = static_cast<char>(random());
    }
    auto decoder = DecoderOf(table.columns);
    const auto batches = DecodeAll(*decoder, stream, 1 + random() % 2000);
    // DecodeAll validates what it lets through. An error is ours, with a kind, not Arrow's.
    if (!batches.ok()) {
      ++failures;
      ASSERT_THAT(KindOf(batches.status()),
                  ::testing::AnyOf(ErrorKind::kPermanent, ErrorKind::kUser))
          << batches.status();
      ASSERT_NE(batches.status().detail(), nullptr) << batches.status();
    }
  }
  EXPECT_GT(failures, 1000);
}

TEST(CopyDecoder, RefusesMalformedStreams) {
  const std::string header = Stream("").substr(0, 19);
  const std::string int_row = FieldCount(1) + Field(BigEndian(5, 4));
  const struct {
    const char* what;
    std::string stream;
    const char* message;
  } kCases[] = {
      {"no signature", std::string(30, 'x'), "PGCOPY"},
      {"oids in the header", header.substr(0, 12) + "\1" + header.substr(13), "flags"},
      {"negative extension", header.substr(0, 15) + BigEndian(0x80000000, 4), "extension"},
      {"two fields", header + FieldCount(2), "row 1 has 2 fields"},
      {"field count -2", header + BigEndian(0xfffe, 2), "-2 fields"},
      {"length -2", header + FieldCount(1) + BigEndian(0xfffffffe, 4), "-2 bytes"},
      {"length of 1 GiB", header + FieldCount(1) + BigEndian(0x40000000, 4), "1073741824 bytes"},
      {"3-byte int", header + int_row + FieldCount(1) + Field("abc"),
       "column \"c\" (integer), row 2: malformed binary COPY data: 3 bytes are no 4-byte number"},
      {"bytes behind the trailer", Stream(int_row) + "x", "behind the trailer"},
  };
  for (const auto& test_case : kCases) {
    for (const size_t chunk_bytes : {size_t{1}, size_t{7}, SIZE_MAX}) {
      SCOPED_TRACE(test_case.what);
      auto decoder = DecoderOf({Column("c", kInt4Oid)});
      const auto batches = DecodeAll(*decoder, test_case.stream, chunk_bytes);
      ASSERT_FALSE(batches.ok());
      EXPECT_EQ(KindOf(batches.status()), ErrorKind::kPermanent);
      EXPECT_THAT(batches.status().message(), HasSubstr(test_case.message));
      // The error stays.
      const uint8_t byte = 0;
      EXPECT_EQ(decoder->Feed({&byte, 1}).status(), batches.status());
      EXPECT_FALSE(decoder->TakeBatch().ok());
    }
  }
}

TEST(CopyDecoder, SkipsAHeaderExtension) {
  std::string stream = Stream(FieldCount(1) + Field(BigEndian(5, 4)));
  stream.replace(15, 4, BigEndian(6, 4) + "future");
  for (const size_t chunk_bytes : {size_t{1}, size_t{20}, SIZE_MAX}) {
    auto decoder = DecoderOf({Column("c", kInt4Oid)});
    ASSERT_OK_AND_ASSIGN(auto batches, DecodeAll(*decoder, stream, chunk_bytes));
    EXPECT_EQ(batches[0]->num_rows(), 1);
  }
}

TEST(CopyDecoder, RefusesNullInANotNullColumn) {
  ColumnSpec column = Column("c", kInt4Oid);
  column.nullable = false;
  auto array = DecodeOne(column, NullField());
  ASSERT_FALSE(array.ok());
  EXPECT_THAT(array.status().message(), HasSubstr("column \"c\" (integer), row 1: NULL"));
}

TEST(CopyDecoder, CountsRowsWithoutColumns) {
  auto decoder = DecoderOf({}, {}, {.batch_rows_max = 2});
  ASSERT_OK_AND_ASSIGN(
      auto batches, DecodeAll(*decoder, Stream(FieldCount(0) + FieldCount(0) + FieldCount(0)), 1));
  ASSERT_EQ(batches.size(), 2U);
  EXPECT_EQ(batches[0]->num_rows(), 2);
  EXPECT_EQ(batches[1]->num_rows(), 1);
  EXPECT_EQ(decoder->rows(), 3);
}

TEST(CopyDecoder, AStreamWithoutRowsGivesNoBatch) {
  auto decoder = DecoderOf({Column("c", kInt4Oid)});
  ASSERT_OK_AND_ASSIGN(auto batches, DecodeAll(*decoder, Stream("")));
  EXPECT_TRUE(batches.empty());
  EXPECT_TRUE(decoder->finished());
}

TEST(CopyDecoder, DecodesTheMostColumnsThatATableCanHave) {
  constexpr int kColumns = 1600;
  std::vector<ColumnSpec> columns;
  std::string row = FieldCount(kColumns);
  for (int column = 0; column < kColumns; ++column) {
    columns.push_back(Column("c" + std::to_string(column), column % 2 == 0 ? kInt4Oid : kTextOid));
    row += column % 2 == 0 ? Field(BigEndian(column, 4)) : Field(std::to_string(column));
  }
  auto decoder = DecoderOf(columns);
  ASSERT_OK_AND_ASSIGN(auto batches, DecodeAll(*decoder, Stream(row + row + row), 1000));
  ASSERT_EQ(batches.size(), 1U);
  EXPECT_EQ(batches[0]->num_rows(), 3);
  EXPECT_EQ(PostgresText(*columns[1598].type, *batches[0]->column(1598), 2), "1598");
  EXPECT_EQ(PostgresText(*columns[1599].type, *batches[0]->column(1599), 2), "1599");
}

TEST(CopyDecoder, EndsABatchNearItsBytes) {
  std::string tuples;
  for (int row = 0; row < 1000; ++row) tuples += FieldCount(1) + Field(std::string(1000, 'x'));
  auto decoder = DecoderOf({Column("c", kTextOid)}, {}, {.batch_bytes_max = 100'000});
  ASSERT_OK_AND_ASSIGN(auto batches, DecodeAll(*decoder, Stream(tuples)));
  int64_t rows = 0;
  for (const auto& batch : batches) {
    rows += batch->num_rows();
    EXPECT_LE(batch->num_rows(), 110);
  }
  EXPECT_EQ(rows, 1000);
  EXPECT_LE(batches.size(), 11U);
}

TEST(CopyDecoder, EndsABatchOfNumericsWhoseTextIsMuchLonger) {
  // SELECT 1e1000: ten bytes that print as 1001 digits.
  const std::string value = BigEndian(1, 2) + BigEndian(250, 2) + BigEndian(0, 4) + BigEndian(1, 2);
  std::string tuples;
  for (int row = 0; row < 1000; ++row) tuples += FieldCount(1) + Field(value);
  auto decoder = DecoderOf({Column("c", kNumericOid)}, {}, {.batch_bytes_max = 100'000});
  ASSERT_OK_AND_ASSIGN(auto batches, DecodeAll(*decoder, Stream(tuples)));
  ASSERT_GE(batches.size(), 9U);
  for (const auto& batch : batches) EXPECT_LE(batch->num_rows(), 130);
}

TEST(CopyDecoder, AHugeValueTakesItsOwnSizeOnce) {
  constexpr int64_t kValueBytes = 48 << 20;
  arrow::ProxyMemoryPool pool(arrow::system_memory_pool());
  const ColumnSpec columns[] = {Column("t", kTextOid), Column("b", kByteaOid),
                                Column("j", kJsonbOid)};
  for (const ColumnSpec& column : columns) {
    SCOPED_TRACE(column.name);
    const int64_t before = pool.bytes_allocated();
    ASSERT_OK_AND_ASSIGN(auto mapping, MapColumn(column, {}));
    ASSERT_OK_AND_ASSIGN(auto decoder, CopyDecoder::Make({mapping}, {}, &pool));
    arrow::RecordBatchVector batches;
    const bool jsonb = column.type->oid == kJsonbOid;
    ASSERT_OK(FeedChunk(*decoder,
                        Stream("").substr(0, 19) + FieldCount(1) +
                            BigEndian(kValueBytes + (jsonb ? 1 : 0), 4) + (jsonb ? "\1" : ""),
                        &batches));
    const std::string chunk(1 << 20, 'x');
    for (int64_t sent = 0; sent < kValueBytes; sent += chunk.size()) {
      ASSERT_OK(FeedChunk(*decoder, chunk, &batches));
    }
    ASSERT_EQ(batches.size(), 1U);
    const auto& values = static_cast<const arrow::BinaryArray&>(*batches[0]->column(0));
    EXPECT_EQ(values.value_length(0), kValueBytes);
    EXPECT_EQ(values.GetView(0).back(), 'x');
    EXPECT_LT(pool.max_memory() - before, kValueBytes + (1 << 20));
    // The room goes with the batch.
    batches.clear();
    ASSERT_OK(FeedChunk(*decoder, FieldCount(1) + NullField(), &batches));
    EXPECT_LT(decoder->buffered_bytes(), 1 << 20);
  }
}

TEST(CopyDecoder, ABatchThatIsHeldStaysAsItWas) {
  std::string tuples;
  for (int row = 0; row < 100; ++row) {
    tuples += FieldCount(2) + Field(BigEndian(row, 4)) +
              (row % 3 == 0 ? NullField() : Field("text " + std::to_string(row)));
  }
  auto decoder =
      DecoderOf({Column("i", kInt4Oid), Column("t", kTextOid)}, {}, {.batch_rows_max = 7});
  ASSERT_OK_AND_ASSIGN(auto held, DecodeAll(*decoder, Stream(tuples)));
  int row = 0;
  for (const auto& batch : held) {
    for (int64_t place = 0; place < batch->num_rows(); ++place, ++row) {
      EXPECT_EQ(static_cast<const arrow::Int32Array&>(*batch->column(0)).Value(place), row);
      const auto& text = static_cast<const arrow::StringArray&>(*batch->column(1));
      ASSERT_EQ(text.IsNull(place), row % 3 == 0);
      if (row % 3 != 0) {
        EXPECT_EQ(text.GetView(place), "text " + std::to_string(row));
      }
    }
  }
  EXPECT_EQ(row, 100);
}

TEST(CopyDecoder, UsesTheBuffersOfADroppedBatchAgain) {
  std::string tuples;
  for (int row = 0; row < 50; ++row) {
    tuples += FieldCount(2) + Field(BigEndian(row, 4)) + Field("some text");
  }
  const std::string stream = Stream(tuples);
  arrow::ProxyMemoryPool pool(arrow::system_memory_pool());
  ASSERT_OK_AND_ASSIGN(auto first, MapColumn(Column("i", kInt4Oid), {}));
  ASSERT_OK_AND_ASSIGN(auto second, MapColumn(Column("t", kTextOid), {}));
  ASSERT_OK_AND_ASSIGN(auto decoder, CopyDecoder::Make({first, second}, {}, &pool));
  int64_t allocations = 0;
  for (int round = 0; round < 5; ++round) {
    decoder->Reset();
    ASSERT_OK(DecodeAll(*decoder, stream).status());
    if (round == 0) allocations = pool.num_allocations();
  }
  EXPECT_EQ(pool.num_allocations(), allocations);
}

TEST(CopyDecoder, IsReadyForAnotherStreamAfterAnError) {
  auto decoder = DecoderOf({ColumnOf(Pair())});
  const std::string good = Stream(FieldCount(1) + FromHex("000000250000000300000017000000040000000"
                                                          "100000019000000057820227922000006a4ffff"
                                                          "ffff"));
  std::string bad = good;
  bad[bad.size() - 8] = 'x';  // another oid for the last field, when the first two are there
  ASSERT_FALSE(DecodeAll(*decoder, bad).ok());
  decoder->Reset();
  EXPECT_EQ(decoder->rows(), 0);
  ASSERT_OK_AND_ASSIGN(auto batches, DecodeAll(*decoder, good));
  EXPECT_EQ(PostgresText(*Pair(), *batches[0]->column(0), 0), "(1,\"x \"\"y\"\"\",)");
}

}  // namespace
}  // namespace bulkhaul::pg
