#include "wire/pg_copy/types.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include <arrow/api.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "wire/pg_copy/builtin_types.h"

namespace bulkhaul::pg {
namespace {

using ::testing::HasSubstr;

constexpr int32_t NumericTypmod(int32_t precision, int32_t scale) {
  return ((precision << 16) | (scale & 0x7ff)) + 4;
}

ColumnSpec Column(TypePtr type, int32_t typmod = -1, int32_t dimensions = 0) {
  ColumnSpec column;
  column.name = "c";
  column.type = std::move(type);
  column.typmod = typmod;
  column.dimensions = dimensions;
  return column;
}

ColumnMapping Map(const ColumnSpec& column, const MappingOptions& options = {}) {
  return MapColumn(column, options).ValueOrDie();
}

std::string ArrowType(const ColumnSpec& column, const MappingOptions& options = {}) {
  return Map(column, options).field->type()->ToString();
}

std::shared_ptr<TypeInfo> UserType(char kind) {
  auto type = std::make_shared<TypeInfo>();
  type->oid = 70'000;
  type->schema = "public";
  type->typname = type->name = "mine";
  type->kind = kind;
  return type;
}

TEST(BuiltinTypes, HaveDistinctOidsAndPartsThatExist) {
  for (const uint32_t oid : BuiltinTypeOids()) {
    const TypePtr type = BuiltinType(oid);
    ASSERT_NE(type, nullptr);
    EXPECT_EQ(type->oid, oid);
    EXPECT_EQ(type->category == 'A', type->element != nullptr) << type->name;
    EXPECT_EQ(type->kind == 'r' || type->kind == 'm', type->subtype != nullptr) << type->name;
  }
  EXPECT_EQ(BuiltinType(0), nullptr);
  EXPECT_EQ(BuiltinType(2249), nullptr);  // record
}

TEST(FormatType, WritesModifiersAsTheServerDoes) {
  // Each as format_type(oid, typmod) gave it on PostgreSQL 15.
  const struct {
    uint32_t oid;
    int32_t typmod;
    const char* text;
  } kCases[] = {
      {kNumericOid, NumericTypmod(15, 2), "numeric(15,2)"},
      {kNumericOid, NumericTypmod(3, -2), "numeric(3,-2)"},
      {kNumericOid, -1, "numeric"},
      {kVarcharOid, 14, "character varying(10)"},
      {kBpcharOid, 5, "character(1)"},
      {kTimestampOid, 3, "timestamp(3) without time zone"},
      {kTimestamptzOid, 0, "timestamp(0) with time zone"},
      {kTimetzOid, 6, "time(6) with time zone"},
      {kBitOid, 8, "bit(8)"},
      {kVarbitOid, 9, "bit varying(9)"},
      {kIntervalOid, 0x7fff0003, "interval(3)"},
      {kIntervalOid, 0x0006ffff, "interval year to month"},
      {kIntervalOid, 0x1c080002, "interval day to second(2)"},
      {1231, NumericTypmod(10, 2), "numeric(10,2)[]"},
      {1007, -1, "integer[]"},
      {kInt2VectorOid, -1, "int2vector"},
  };
  for (const auto& test_case : kCases) {
    EXPECT_EQ(FormatType(*BuiltinType(test_case.oid), test_case.typmod), test_case.text);
  }
}

TEST(MapColumn, NumericsKeepEveryDigit) {
  const TypePtr numeric = BuiltinType(kNumericOid);
  EXPECT_EQ(ArrowType(Column(numeric, NumericTypmod(15, 2))), "decimal128(15, 2)");
  EXPECT_EQ(ArrowType(Column(numeric, NumericTypmod(38, 38))), "decimal128(38, 38)");
  EXPECT_EQ(ArrowType(Column(numeric, NumericTypmod(36, -2))), "decimal128(38, 0)");
  EXPECT_EQ(ArrowType(Column(numeric, NumericTypmod(37, -2))), "string");
  EXPECT_EQ(ArrowType(Column(numeric, NumericTypmod(2, 39))), "string");
  EXPECT_EQ(ArrowType(Column(numeric, NumericTypmod(1000, 0))), "string");
  EXPECT_THAT(Map(Column(numeric, NumericTypmod(39, 0))).note, HasSubstr("39 digits"));
  MappingOptions options;
  options.wide_numeric_decimal256 = true;
  EXPECT_EQ(ArrowType(Column(numeric, NumericTypmod(76, 10)), options), "decimal256(76, 10)");
  EXPECT_EQ(ArrowType(Column(numeric, NumericTypmod(77, 10)), options), "string");
}

TEST(MapColumn, CastsWhatHasNoBinaryForm) {
  EXPECT_EQ(Map(Column(BuiltinType(3614))).cast, "pg_catalog.text");           // tsvector
  EXPECT_EQ(Map(Column(BuiltinType(3643), -1, 1)).cast, "pg_catalog.text[]");  // tsvector[]
  EXPECT_EQ(ArrowType(Column(BuiltinType(3643), -1, 1)), "list<item: string>");
  EXPECT_EQ(Map(Column(BuiltinType(1033))).cast, "pg_catalog.text");  // aclitem has no send
  EXPECT_EQ(Map(Column(UserType('b'))).cast, "pg_catalog.text");
  EXPECT_EQ(Map(Column(UserType('p'))).cast, "pg_catalog.text");
  EXPECT_EQ(Map(Column(BuiltinType(kInt4Oid))).cast, "");
  auto composite = UserType('c');
  composite->fields = {{"ok", BuiltinType(kInt4Oid), -1, 0}, {"no", BuiltinType(600), -1, 0}};
  EXPECT_EQ(Map(Column(composite)).cast, "pg_catalog.text");
  EXPECT_EQ(ArrowType(Column(composite)), "string");
  EXPECT_THAT(Map(Column(composite)).note, HasSubstr("mine comes as text"));
  EXPECT_EQ(Map(Column(UserType('c'))).cast, "pg_catalog.text");  // no fields
  // A type of a user's that only looks like one of ours.
  auto impostor = UserType('b');
  impostor->typname = "hstore";
  EXPECT_EQ(Map(Column(impostor)).cast, "pg_catalog.text");
  impostor->oid = kInt4Oid;
  EXPECT_EQ(Map(Column(impostor)).cast, "pg_catalog.text");
}

TEST(MapColumn, FollowsDomains) {
  auto domain = UserType('d');
  domain->base = BuiltinType(kNumericOid);
  domain->base_typmod = NumericTypmod(9, 3);
  EXPECT_EQ(ArrowType(Column(domain)), "decimal128(9, 3)");
  auto over_array = UserType('d');
  over_array->base = BuiltinType(1007);
  over_array->base_dimensions = 2;
  EXPECT_EQ(ArrowType(Column(over_array)), "list<item: list<item: int32>>");
  auto over_text_array = UserType('d');
  over_text_array->base = BuiltinType(3643);
  EXPECT_EQ(Map(Column(over_text_array)).cast, "pg_catalog.text[]");
}

TEST(MapColumn, SetsSourceTypeAndNullability) {
  ColumnSpec column = Column(BuiltinType(kTimestampOid), 3);
  column.nullable = false;
  ColumnMapping mapping = Map(column);
  EXPECT_FALSE(mapping.field->nullable());
  EXPECT_EQ(mapping.field->metadata()->Get("bulkhaul.source_type").ValueOrDie(),
            "timestamp(3) without time zone");
  MappingOptions options;
  options.infinity = OnMisfit::kNull;
  EXPECT_TRUE(Map(column, options).field->nullable());
  column.source_type = "as the server says";
  EXPECT_EQ(Map(column).field->metadata()->Get("bulkhaul.source_type").ValueOrDie(),
            "as the server says");
}

TEST(MappingOptions, ReadsTheOptionsTexts) {
  auto options =
      MappingOptions::FromText("decimal(20,4)", "decimal256", "clamp", "null", "replace");
  ASSERT_TRUE(options.ok());
  EXPECT_EQ(options->numeric, NumericForm::kDecimal);
  EXPECT_EQ(options->numeric_precision, 20);
  EXPECT_EQ(options->numeric_scale, 4);
  EXPECT_TRUE(options->wide_numeric_decimal256);
  EXPECT_EQ(options->infinity, OnMisfit::kClamp);
  EXPECT_EQ(options->numeric_nan, OnMisfit::kNull);
  EXPECT_EQ(options->invalid_utf8, OnInvalidUtf8::kReplace);
  for (const char* numeric : {"decimal", "decimal(77,2)", "decimal(5,6)", "decimal(0,0)",
                              "decimal(5,2)x", "decimal(5,2", "float", ""}) {
    const auto refused = MappingOptions::FromText(numeric, "string", "error", "error", "error");
    ASSERT_FALSE(refused.ok()) << numeric;
    EXPECT_EQ(KindOf(refused.status()), ErrorKind::kUser);
  }
  EXPECT_FALSE(MappingOptions::FromText("string", "x", "error", "error", "error").ok());
  EXPECT_FALSE(MappingOptions::FromText("string", "string", "x", "error", "error").ok());
  EXPECT_FALSE(MappingOptions::FromText("string", "string", "error", "clamp", "error").ok());
  EXPECT_FALSE(MappingOptions::FromText("string", "string", "error", "error", "x").ok());
}

TEST(ColumnSpec, SurvivesJson) {
  auto labels = UserType('e');
  labels->labels = {"a", "ä"};
  auto composite = UserType('c');
  composite->fields = {{"n", BuiltinType(kNumericOid), NumericTypmod(5, 1), 0},
                       {"e", labels, -1, 1}};
  auto array = UserType('b');
  array->category = 'A';
  array->element = composite;
  auto domain = UserType('d');
  domain->base = array;
  domain->base_typmod = 7;
  domain->base_dimensions = 2;
  auto range = UserType('r');
  range->subtype = BuiltinType(kTextOid);
  range->has_send = false;
  range->extension = "some";
  std::vector<ColumnSpec> columns = {Column(domain, 5, 1), Column(range),
                                     Column(BuiltinType(kInt4Oid))};
  columns[1].nullable = false;
  columns[1].source_type = "x";
  columns[0].name = "with \"quotes\" and ü";
  const std::string json = ColumnSpecsToJson(columns);
  const auto read = ColumnSpecsFromJson(json);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(ColumnSpecsToJson(*read), json);
  ASSERT_EQ(read->size(), 3U);
  EXPECT_EQ((*read)[0].type->base->element->fields[1].type->labels, labels->labels);
  EXPECT_EQ((*read)[0].name, columns[0].name);
  EXPECT_FALSE((*read)[1].nullable);
  EXPECT_EQ((*read)[2].type, BuiltinType(kInt4Oid));
  EXPECT_EQ(columns[2].ToJson(), R"({"name":"c","type":23})");
  EXPECT_TRUE(ColumnSpec::FromJson(columns[2].ToJson()).ok());
  for (const char* broken :
       {"", "[1]", "{}", R"([{"name":"c","type":1}])", R"([{"name":"c","type":{"oid":"x"}}])"}) {
    EXPECT_FALSE(ColumnSpecsFromJson(broken).ok()) << broken;
  }
}

// Upwards from the program, so that the test finds the repository from any build folder.
std::filesystem::path TypesPage() {
  for (auto folder = std::filesystem::read_symlink("/proc/self/exe").parent_path();
       folder != folder.root_path(); folder = folder.parent_path()) {
    if (std::filesystem::exists(folder / "docs") && std::filesystem::exists(folder / "VERSION")) {
      return folder / "docs" / "types.md";
    }
  }
  return "docs/types.md";
}

TEST(TypeTable, IsWhatThePageSays) {
  const std::filesystem::path page = TypesPage();
  if (std::getenv("BULKHAUL_UPDATE_DOCS") != nullptr) std::ofstream(page) << TypeTableMarkdown();
  std::ostringstream text;
  text << std::ifstream(page).rdbuf();
  EXPECT_EQ(text.str(), TypeTableMarkdown()) << page;
}

TEST(TypeTable, HasALineForEveryBuiltinType) {
  std::string all;
  for (const TypeTableRow& row : TypeTable()) all += "|" + row.postgres;
  for (const uint32_t oid : BuiltinTypeOids()) {
    const TypePtr type = BuiltinType(oid);
    if (type->name.ends_with("[]")) continue;
    EXPECT_THAT(all, HasSubstr("|" + type->name));
  }
}

}  // namespace
}  // namespace bulkhaul::pg
