#include "source/postgres/unit_sql.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "source/postgres/discover.h"

namespace bulkhaul::postgres {
namespace {

using testing::HasSubstr;

TableState OneColumn(const std::string& column) {
  TableState state;
  state.relations = {{.oid = 1, .schema = "s", .name = "ta\"ble", .kind = 'r'}};
  pg::ColumnSpec spec;
  spec.name = column;
  spec.type = pg::BuiltinType(23);
  state.columns = {spec};
  return state;
}

std::string Select(const TableState& state, const UnitState& unit, UnitRange range,
                   const Options& options = {}) {
  WorkUnit work;
  work.range = std::move(range);
  work.source_state = unit.ToJson();
  const auto mappings = MapColumns(state, options).ValueOrDie();
  const auto sql = UnitSelect(state, options, mappings, work);
  return sql.ok() ? *sql : sql.status().ToString();
}

TEST(UnitSqlTest, PageRanges) {
  const auto state = OneColumn("id");
  const UnitState unit{.mode = UnitMode::kPages, .relation = 0};
  EXPECT_EQ(Select(state, unit, {"", "5", "9"}),
            "SELECT \"ta\"\"ble\".\"id\" FROM ONLY \"s\".\"ta\"\"ble\" WHERE "
            "\"ta\"\"ble\".ctid >= '(5,0)'::pg_catalog.tid AND "
            "\"ta\"\"ble\".ctid < '(9,0)'::pg_catalog.tid");
  EXPECT_THAT(Select(state, unit, {"", "5", ""}), testing::Not(HasSubstr("ctid <")));
  EXPECT_THAT(Select(state, unit, {"", "", ""}), testing::Not(HasSubstr("WHERE")));
  EXPECT_THAT(Select(state, unit, {"", "5; DROP", ""}), HasSubstr("no page number"));
}

TEST(UnitSqlTest, LeavesAreReadOnlyUnderTheTablesName) {
  auto state = OneColumn("id");
  state.kind = 'p';
  state.relations[0].kind = 'p';
  state.relations.push_back({.oid = 2, .schema = "s", .name = "leaf", .kind = 'r'});
  EXPECT_THAT(Select(state, {.mode = UnitMode::kPages, .relation = 1}, {"s.leaf", "", "4"}),
              HasSubstr("FROM ONLY \"s\".\"leaf\" AS \"ta\"\"ble\" WHERE"));
  EXPECT_THAT(Select(state, {}, {}), HasSubstr("FROM \"s\".\"ta\"\"ble\""));
}

TEST(UnitSqlTest, KeysAreQuotedValues) {
  const auto state = OneColumn("k'ey");
  const UnitState unit{.mode = UnitMode::kKey, .relation = -1, .key = "k'ey", .key_type = "text"};
  EXPECT_THAT(Select(state, unit, {"key", "a'b", "c\\d"}),
              HasSubstr("\"k'ey\" >= 'a''b'::text AND \"ta\"\"ble\".\"k'ey\" <  E'c\\\\d'::text"));
  EXPECT_THAT(Select(state, unit, {"key", "", ""}), HasSubstr("IS NOT NULL"))
      << "the NULLs are another unit's";
  EXPECT_THAT(Select(state, {.mode = UnitMode::kNulls, .key = "k'ey"}, {"null", "", ""}),
              HasSubstr("\"k'ey\" IS NULL"));
}

TEST(UnitSqlTest, AConditionMayEndInAComment) {
  Options options;
  ASSERT_TRUE(options.SetFromText("where", "id > 1 OR id IS NULL -- all").ok());
  EXPECT_THAT(
      Select(OneColumn("id"), {.mode = UnitMode::kPages, .relation = 0}, {"", "1", ""}, options),
      HasSubstr(" AND (id > 1 OR id IS NULL -- all\n)"));
}

TEST(UnitSqlTest, AQueryMayEndInACommentAndRepeatColumns) {
  TableState state;
  state.kind = 'q';
  state.query = "SELECT 1 AS a, 2 AS a -- two";
  pg::ColumnSpec spec;
  spec.name = "a";
  spec.type = pg::BuiltinType(23);
  state.columns = {spec, spec};
  EXPECT_EQ(Select(state, {}, {}),
            "SELECT \"q\".\"c1\", \"q\".\"c2\" FROM (\nSELECT 1 AS a, 2 AS a -- two\n) AS "
            "q(\"c1\", \"c2\")");
}

TEST(UnitSqlTest, TypesWithoutASendFunctionAreCastToText) {
  auto state = OneColumn("acl");
  auto aclitem = std::make_shared<pg::TypeInfo>();
  aclitem->oid = 1033;
  aclitem->schema = "pg_catalog";
  aclitem->typname = aclitem->name = "aclitem";
  aclitem->has_send = false;
  state.columns[0].type = aclitem;
  EXPECT_THAT(Select(state, {}, {}), HasSubstr("\"acl\"::"));
}

TEST(UnitSqlTest, StatesSurviveJson) {
  auto state = OneColumn("né\"\n");
  state.children = true;
  state.raw_encoding = true;
  state.indexed = {"a", "b"};
  const auto back = TableState::FromJson(state.ToJson()).ValueOrDie();
  EXPECT_EQ(back.ToJson(), state.ToJson());
  EXPECT_EQ(back.columns[0].name, "né\"\n");
  for (const char* damaged : {"", "{}", "[]", "{\"oid\":1}", "{\"m\":77}"}) {
    EXPECT_FALSE(TableState::FromJson(damaged).ok()) << damaged;
    EXPECT_FALSE(UnitState::FromJson(damaged).ok()) << damaged;
  }
}

}  // namespace
}  // namespace bulkhaul::postgres
