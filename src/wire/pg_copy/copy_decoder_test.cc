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

#define ASSERT_OK(expression)                           \
  do {                                                  \
    const ::arrow::Status assert_status = (expression); \
    ASSERT_TRUE(assert_status.ok()) << assert_status;   \
  } while (false)
#define ASSERT_JOIN_(left, right) left##right
#define ASSERT_JOIN(left, right) ASSERT_JOIN_(left, right)
#define ASSERT_OK_AND_ASSIGN(target, expression)                                               \
  auto ASSERT_JOIN(result_, __LINE__) = (expression);                                          \
  ASSERT_TRUE(ASSERT_JOIN(result_, __LINE__).ok()) << ASSERT_JOIN(result_, __LINE__).status(); \
  target = std::move(ASSERT_JOIN(result_, __LINE__)).ValueUnsafe()

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

// Types that a user made, as the catalogue gave them on the server of the golden values.
TypePtr UserType(char kind, uint32_t oid, std::string name) {
  auto type = std::make_shared<TypeInfo>();
  type->oid = oid;
  type->schema = "public";
  type->typname = type->name = std::move(name);
  type->kind = kind;
  return type;
}
TypeInfo& Edit(const TypePtr& type) { return const_cast<TypeInfo&>(*type); }

TypePtr Mood() {
  TypePtr type = UserType('e', 16623, "mood");
  Edit(type).labels = {"sad", "ok", "happy äöü"};
  return type;
}
TypePtr Pair() {
  TypePtr type = UserType('c', 16631, "pair");
  Edit(type).fields = {{"a", BuiltinType(kInt4Oid), -1, 0},
                       {"b", BuiltinType(kTextOid), -1, 0},
                       {"c", BuiltinType(kNumericOid), ((6 << 16) | 2) + 4, 0}};
  return type;
}
TypePtr Positive() {
  TypePtr type = UserType('d', 16633, "positive");
  Edit(type).base = BuiltinType(kInt4Oid);
  return type;
}
TypePtr ArrayOf(TypePtr element, uint32_t oid) {
  TypePtr type = UserType('b', oid, element->name + "[]");
  Edit(type).category = 'A';
  Edit(type).element = std::move(element);
  return type;
}
TypePtr Hstore() {
  TypePtr type = UserType('b', 16390, "hstore");
  Edit(type).extension = "hstore";
  return type;
}
TypePtr IntsDomain() {
  TypePtr type = UserType('d', 16636, "ints");
  Edit(type).base = BuiltinType(1007);
  Edit(type).base_dimensions = 1;
  return type;
}
TypePtr Nest() {
  TypePtr type = UserType('c', 16639, "nest");
  Edit(type).fields = {{"p", Pair(), -1, 0},
                       {"d", Positive(), -1, 0},
                       {"m", Mood(), -1, 0},
                       {"xs", BuiltinType(kTextArrayOid), -1, 1}};
  return type;
}
TypePtr Citext() {
  TypePtr type = UserType('b', 16518, "citext");
  Edit(type).extension = "citext";
  return type;
}
TypePtr Textrange() {
  TypePtr type = UserType('r', 16643, "textrange");
  Edit(type).subtype = BuiltinType(kTextOid);
  return type;
}

ColumnSpec ColumnOf(TypePtr type) {
  ColumnSpec column;
  column.name = "c";
  column.type = std::move(type);
  return column;
}

TEST(CopyDecoder, DecodesUserTypesToWhatTheServerPrinted) {
  // CREATE TYPE mood AS ENUM ('sad','ok','happy äöü'); CREATE TYPE pair AS (a int, b text,
  // c numeric(6,2)); CREATE DOMAIN positive AS int CHECK (value>0); CREATE DOMAIN ints AS int[];
  // CREATE TYPE nest AS (p pair, d positive, m mood, xs text[]);
  // CREATE TYPE textrange AS RANGE (subtype=text); extensions hstore and citext.
  const struct {
    TypePtr type;
    const char* sql;
    const char* bytes;
    const char* text;
  } kCases[] = {
      {Mood(), "'happy äöü'::mood", "0000000c686170707920c3a4c3b6c3bc", "happy äöü"},
      {Pair(), "ROW(1,'x \"y\"',NULL)::pair",
       "000000250000000300000017000000040000000100000019000000057820227922000006a4ffffffff",
       "(1,\"x \"\"y\"\"\",)"},
      {Positive(), "5::positive", "0000000400000005", "5"},
      {IntsDomain(), "'{1,2}'::ints",
       "00000024000000010000000000000017000000020000000100000004000000010000000400000002", "{1,2}"},
      {Nest(), "ROW(ROW(7,NULL,1.5)::pair, 3, 'ok', ARRAY['a',NULL])::nest",
       "0000007300000004000040f70000002c0000000300000017000000040000000700000019ffffffff000006a400"
       "00000c000200000000000200011388000040f90000000400000003000040ef000000026f6b000003f10000001d"
       "00000001000000010000001900000002000000010000000161ffffffff",
       "(\"(7,,1.50)\",3,ok,\"{a,NULL}\")"},
      {Hstore(), "'a=>1, \"b c\"=>NULL'::hstore",
       "00000019000000020000000161000000013100000003622063ffffffff", "\"a\"=>\"1\", \"b c\"=>NULL"},
      {Hstore(), "''::hstore", "0000000400000000", ""},
      {Citext(), "'Abc'::citext", "00000003416263", "Abc"},
      {Textrange(), "textrange('a','b c','[]')", "0000000d06000000016100000003622063",
       "[a,\"b c\"]"},
      {ArrayOf(Pair(), 16630), "ARRAY[ROW(1,'a',2)::pair, NULL]",
       "000000470000000100000001000040f700000002000000010000002b0000000300000017000000040000000100"
       "0000190000000161000006a40000000a00010000000000020002ffffffff",
       "{\"(1,a,2.00)\",NULL}"},
      {ArrayOf(Mood(), 16622), "ARRAY['sad','ok']::mood[]",
       "000000210000000100000000000040ef000000020000000100000003736164000000026f6b", "{sad,ok}"},
      {ArrayOf(Hstore(), 16395), "ARRAY['a=>1'::hstore]",
       "0000002600000001000000000000400600000001000000010000000e0000000100000001610000000131",
       "{\"\\\"a\\\"=>\\\"1\\\"\"}"},
  };
  for (const auto& test_case : kCases) {
    SCOPED_TRACE(test_case.sql);
    auto array = DecodeOne(ColumnOf(test_case.type), FromHex(test_case.bytes));
    ASSERT_TRUE(array.ok()) << array.status();
    EXPECT_EQ(PostgresText(*test_case.type, **array, 0), test_case.text);
  }
}

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

// Values that only an option lets through.

Result<std::pair<std::string, std::map<std::string, int64_t>>> DecodeWith(
    const ColumnSpec& column, std::string_view field, const MappingOptions& options) {
  auto decoder = DecoderOf({column}, options);
  ARROW_ASSIGN_OR_RAISE(auto batches,
                        DecodeAll(*decoder, Stream(FieldCount(1) + std::string(field))));
  const auto& array = *batches.at(0)->column(0);
  return std::pair(array.IsNull(0) ? "NULL" : PostgresText(*column.type, array, 0),
                   decoder->counters());
}

using Counts = std::map<std::string, int64_t>;

TEST(CopyDecoder, InfiniteDatesFollowTheOption) {
  const std::string interval_infinity =
      BigEndian(INT64_MAX, 8) + BigEndian(INT32_MAX, 4) + BigEndian(INT32_MAX, 4);
  const struct {
    uint32_t oid;
    std::string value;
    const char* clamped;
    const char* message;
  } kCases[] = {
      {kDateOid, BigEndian(INT32_MAX, 4), "5874897-12-31", "the date infinity"},
      {kDateOid, BigEndian(0x80000000, 4), "4714-11-24 BC", "the date -infinity"},
      {kTimestampOid, BigEndian(INT64_MAX, 8), "294247-01-10 04:00:54.775807",
       "the timestamp infinity"},
      {kTimestampOid, BigEndian(1ULL << 63, 8), "4714-11-24 00:00:00 BC",
       "the timestamp -infinity"},
      // '294276-12-31 23:59:59.999999'::timestamptz, PostgreSQL's last.
      {kTimestamptzOid, BigEndian(9223371331199999999, 8), "294247-01-10 04:00:54.775807+00",
       "a timestamp after 294247-01-10"},
      {kTimeOid, BigEndian(86'400'000'000, 8), "23:59:59.999999", "the time 24:00:00"},
      // 178956970 years 7 mons 2147483647 days …: the interval that 17 calls infinity.
      {kIntervalOid, interval_infinity,
       "178956970 years 7 mons 2147483647 days 2562047788:00:54.775807", "the interval infinity"},
  };
  for (const auto& test_case : kCases) {
    SCOPED_TRACE(test_case.message);
    ColumnSpec column = Column("when", test_case.oid);
    column.nullable = false;
    MappingOptions options;
    const auto refused = DecodeWith(column, Field(test_case.value), options);
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(KindOf(refused.status()), ErrorKind::kUser);
    EXPECT_THAT(refused.status().message(), HasSubstr(test_case.message));
    EXPECT_THAT(refused.status().message(), HasSubstr("option infinity"));
    options.infinity = OnMisfit::kNull;
    ASSERT_OK_AND_ASSIGN(auto nulled, DecodeWith(column, Field(test_case.value), options));
    EXPECT_EQ(nulled, std::pair(std::string("NULL"), Counts{{"infinity_nulled", 1}}));
    options.infinity = OnMisfit::kClamp;
    ASSERT_OK_AND_ASSIGN(auto clamped, DecodeWith(column, Field(test_case.value), options));
    EXPECT_EQ(clamped, std::pair(std::string(test_case.clamped), Counts{{"infinity_clamped", 1}}));
  }
}

TEST(CopyDecoder, NumericNanFollowsTheOption) {
  const ColumnSpec decimal = Column("n", kNumericOid, ((10 << 16) | 2) + 4);
  const ColumnSpec wide = Column("n", kNumericOid, ((50 << 16) | 2) + 4);
  for (const int sign : {0xc000, 0xd000, 0xf000}) {
    const std::string value = Field(BigEndian(0, 4) + BigEndian(sign, 2) + BigEndian(0, 2));
    for (const ColumnSpec& column : {decimal, wide}) {
      MappingOptions options;
      options.wide_numeric_decimal256 = true;
      const auto refused = DecodeWith(column, value, options);
      ASSERT_FALSE(refused.ok());
      EXPECT_EQ(KindOf(refused.status()), ErrorKind::kUser);
      EXPECT_THAT(refused.status().message(), HasSubstr("numeric_nan"));
      options.numeric_nan = OnMisfit::kNull;
      ASSERT_OK_AND_ASSIGN(auto nulled, DecodeWith(column, value, options));
      EXPECT_EQ(nulled, std::pair(std::string("NULL"), Counts{{"numeric_nan_nulled", 1}}));
    }
  }
}

TEST(CopyDecoder, DecimalsAreExactOrAnError) {
  ASSERT_OK_AND_ASSIGN(
      auto options, MappingOptions::FromText("decimal(6,2)", "string", "error", "error", "error"));
  ASSERT_OK_AND_ASSIGN(
      auto wide, MappingOptions::FromText("decimal(60,2)", "string", "error", "error", "error"));
  const auto numeric = [](std::vector<int> groups, int weight, int scale) {
    std::string value =
        BigEndian(groups.size(), 2) + BigEndian(weight, 2) + BigEndian(0, 2) + BigEndian(scale, 2);
    for (const int group : groups) value += BigEndian(group, 2);
    return Field(value);
  };
  const ColumnSpec column = Column("n", kNumericOid);
  const struct {
    std::string value;
    const char* text;
    bool narrow_fits;
    bool wide_fits;
  } kCases[] = {
      {numeric({1, 2300}, 0, 2), "1.23", true, true},
      {numeric({1, 2340}, 0, 3), "1.234", false, false},
      {numeric({1, 2300, 0, 0}, 0, 12), "1.23", true, true},
      {numeric({9999, 9900}, 0, 2), "9999.99", true, true},
      {numeric({1, 0, 0}, 1, 4), "10000.00", false, true},
      {numeric({1}, 1, 0), "10000.00", false, true},
      {numeric({1}, 32767, 0), "", false, false},
      {numeric({1}, -32768, 16383), "", false, false},
      {numeric({1}, -1, 4), "0.0001", false, false},
      {numeric({100}, -1, 4), "0.01", true, true},
      {numeric({}, 0, 0), "0.00", true, true},
      {numeric({0, 0, 5}, 2, 0), "5.00", true, true},
  };
  for (const auto& test_case : kCases) {
    SCOPED_TRACE(test_case.text);
    const auto narrow = DecodeWith(column, test_case.value, options);
    EXPECT_EQ(narrow.ok(), test_case.narrow_fits) << narrow.status();
    if (narrow.ok()) {
      EXPECT_EQ(narrow->first, test_case.text);
    }
    const auto large = DecodeWith(column, test_case.value, wide);
    EXPECT_EQ(large.ok(), test_case.wide_fits) << large.status();
    if (large.ok()) {
      EXPECT_EQ(large->first, test_case.text);
    }
    if (!narrow.ok()) {
      EXPECT_EQ(KindOf(narrow.status()), ErrorKind::kUser);
      EXPECT_THAT(narrow.status().message(), HasSubstr("option numeric"));
    }
  }
}

// A way of its own from an integer to numeric_send(): the server's digits for any scale.
std::string NumericBytes(__int128 scaled, int scale) {
  const bool negative = scaled < 0;
  unsigned __int128 magnitude = negative ? -scaled : scaled;
  // Whole groups stand on both sides of the point.
  for (int digits = scale; digits % 4 != 0; ++digits) magnitude *= 10;
  int weight = -(scale + 3) / 4 - 1;
  std::vector<int> groups;
  for (; magnitude > 0; magnitude /= 10'000, ++weight) {
    groups.insert(groups.begin(), static_cast<int>(magnitude % 10'000));
  }
  while (!groups.empty() && groups.back() == 0) groups.pop_back();
  std::string value = BigEndian(groups.size(), 2) + BigEndian(groups.empty() ? 0 : weight, 2) +
                      BigEndian(negative ? 0x4000 : 0, 2) + BigEndian(scale, 2);
  for (const int group : groups) value += BigEndian(group, 2);
  return value;
}

TEST(CopyDecoder, NumericsOfEverySizeKeepTheirDigits) {
  EXPECT_TRUE(rc::check([] {
    const int scale = *rc::gen::inRange(0, 36);
    const int digits = *rc::gen::inRange(1, 36);
    __int128 scaled = 0;
    for (int digit = 0; digit < digits; ++digit) scaled = scaled * 10 + *rc::gen::inRange(0, 10);
    if (*rc::gen::arbitrary<bool>()) scaled = -scaled;
    const std::string field = Field(NumericBytes(scaled, scale));
    const arrow::Decimal128 expected(static_cast<int64_t>(scaled >> 64),
                                     static_cast<uint64_t>(scaled));
    const std::string text = testing::PlaceScale(expected.ToIntegerString(), scale);
    const ColumnSpec decimal = Column("n", kNumericOid, ((38 << 16) | scale) + 4);
    RC_ASSERT(DecodeWith(decimal, field, {})->first == text);
    RC_ASSERT(DecodeWith(Column("n", kNumericOid), field, {})->first == text);
    MappingOptions options;
    options.wide_numeric_decimal256 = true;
    const ColumnSpec wide = Column("n", kNumericOid, ((60 << 16) | scale) + 4);
    RC_ASSERT(DecodeWith(wide, field, options)->first == text);
    options.numeric = NumericForm::kDouble;
    RC_ASSERT(DecodeWith(Column("n", kNumericOid), field, options)->first ==
              testing::FloatText(std::strtod(text.c_str(), nullptr), 15));
  }));
}

TEST(CopyDecoder, TextThatIsNotUtf8FollowsTheOption) {
  const struct {
    std::string value;
    const char* replaced;
    const char* place;
  } kCases[] = {
      {"caf\xe9", "caf\xef\xbf\xbd", "byte 0xe9 at offset 3"},
      {"\xc3\xa4 \xff\xfe|", "\xc3\xa4 \xef\xbf\xbd\xef\xbf\xbd|", "byte 0xff at offset 3"},
      {"\xe2\x82", "\xef\xbf\xbd", "byte 0xe2 at offset 0"},
      {"\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd", "byte 0xed at offset 0"},
      {"\xf0\x9f\x98z\xc0\x80", "\xef\xbf\xbdz\xef\xbf\xbd\xef\xbf\xbd", "byte 0xf0 at offset 0"},
      {std::string(200, 'a') + "\x80", nullptr, "byte 0x80 at offset 200"},
      {std::string(100'000, 'a') + "\x80", nullptr, "byte 0x80 at offset 100000"},
  };
  const ColumnSpec column = Column("t", kTextOid);
  for (const auto& test_case : kCases) {
    SCOPED_TRACE(test_case.place);
    MappingOptions options;
    const auto refused = DecodeWith(column, Field(test_case.value), options);
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(KindOf(refused.status()), ErrorKind::kUser);
    EXPECT_THAT(refused.status().message(), HasSubstr(test_case.place));
    EXPECT_THAT(refused.status().message(), HasSubstr("option invalid_utf8"));
    options.invalid_utf8 = OnInvalidUtf8::kNull;
    ASSERT_OK_AND_ASSIGN(auto nulled, DecodeWith(column, Field(test_case.value), options));
    EXPECT_EQ(nulled, std::pair(std::string("NULL"), Counts{{"invalid_utf8_nulled", 1}}));
    options.invalid_utf8 = OnInvalidUtf8::kReplace;
    ASSERT_OK_AND_ASSIGN(auto replaced, DecodeWith(column, Field(test_case.value), options));
    EXPECT_EQ(replaced.second, (Counts{{"invalid_utf8_replaced", 1}}));
    EXPECT_EQ(replaced.first,
              test_case.replaced != nullptr
                  ? test_case.replaced
                  : test_case.value.substr(0, test_case.value.size() - 1) + "\xef\xbf\xbd");
  }
}

TEST(CopyDecoder, TextOfEveryLengthKeepsItsBytes) {
  // The last one of a chunk too, where nothing may be read behind it.
  for (int size = 0; size < 300; ++size) {
    std::string text;
    for (int letter = 0; letter < size; ++letter) text += static_cast<char>('!' + letter % 90);
    if (size > 2) text.replace(size / 2, 2, "ä");
    for (const size_t chunk_bytes : {SIZE_MAX, size_t{31}}) {
      auto decoder = DecoderOf({Column("t", kTextOid)});
      ASSERT_OK_AND_ASSIGN(
          auto batches,
          DecodeAll(*decoder, Stream(FieldCount(1) + Field(text) + FieldCount(1) + Field(text)),
                    chunk_bytes));
      EXPECT_EQ(PostgresText(*BuiltinType(kTextOid), *batches[0]->column(0), 0), text);
      EXPECT_EQ(PostgresText(*BuiltinType(kTextOid), *batches[0]->column(0), 1), text);
    }
  }
}

TEST(CopyDecoder, ArraysOfOtherDimensionsAreAnErrorThatSaysWhatToDo) {
  // SELECT '{{1}}'::int[]
  const std::string two = FromHex(
      "0000002400000002000000000000001700000001000000010000000100000001"
      "0000000400000001");
  const auto refused = DecodeOne(Column("a", 1007, -1, 1), two);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(KindOf(refused.status()), ErrorKind::kUser);
  EXPECT_THAT(refused.status().message(), HasSubstr("column \"a\" (integer[]), row 1"));
  EXPECT_THAT(refused.status().message(), HasSubstr("column::text"));
  ASSERT_OK_AND_ASSIGN(auto matching, DecodeWith(Column("a", 1007, -1, 2), two, {}));
  EXPECT_EQ(matching.first, "{{1}}");
}

TEST(CopyDecoder, CountsLowerBoundsThatAListDoesNotKeep) {
  // SELECT '[0:1]={7,8}'::int[]
  const std::string value =
      FromHex("00000024000000010000000000000017000000020000000000000004000000070000000400000008");
  ASSERT_OK_AND_ASSIGN(auto decoded, DecodeWith(Column("a", 1007, -1, 1), value, {}));
  EXPECT_EQ(decoded, std::pair(std::string("{7,8}"), Counts{{"array_lower_bounds_dropped", 1}}));
}

TEST(CopyDecoder, NamesTheFieldOfACompositeAndUnknownEnumLabels) {
  const std::string mood_row = BigEndian(1, 4) + BigEndian(16623, 4) + Field("no such mood");
  TypePtr composite = UserType('c', 99999, "one");
  Edit(composite).fields = {{"n", BuiltinType(kNumericOid), ((5 << 16) | 2) + 4, 0}};
  const std::string nan = BigEndian(0, 4) + BigEndian(0xc000, 2) + BigEndian(0, 2);
  const auto refused = DecodeOne(ColumnOf(composite),
                                 Field(BigEndian(1, 4) + BigEndian(kNumericOid, 4) + Field(nan)));
  ASSERT_FALSE(refused.ok());
  EXPECT_THAT(refused.status().message(), HasSubstr("row 1: field n: the numeric NaN"));
  const auto unknown = DecodeOne(ColumnOf(Mood()), Field("no such mood"));
  ASSERT_FALSE(unknown.ok());
  EXPECT_EQ(KindOf(unknown.status()), ErrorKind::kPermanent);
  EXPECT_THAT(unknown.status().message(), HasSubstr("'no such mood'"));
}

TEST(CopyDecoder, CharAboveAsciiIsEscaped) {
  ASSERT_OK_AND_ASSIGN(auto high, DecodeWith(Column("c", kCharOid), Field("\xe4"), {}));
  EXPECT_EQ(high.first, "\\344");
  ASSERT_OK_AND_ASSIGN(auto zero,
                       DecodeWith(Column("c", kCharOid), Field(std::string(1, '\0')), {}));
  EXPECT_EQ(zero.first, "");
}

}  // namespace
}  // namespace bulkhaul::pg
