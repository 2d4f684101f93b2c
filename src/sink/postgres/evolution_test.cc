#include "sink/postgres/evolution.h"

#include <gtest/gtest.h>

namespace bulkhaul::postgres {
namespace {

TEST(WidensType, TakesWiderNumbersTextsAndTimes) {
  EXPECT_TRUE(WidensType("integer", "bigint"));
  EXPECT_TRUE(WidensType("bigint", "numeric(20,0)"));
  EXPECT_TRUE(WidensType("smallint", "double precision"));
  EXPECT_TRUE(WidensType("numeric(10,2)", "numeric(12,2)"));
  EXPECT_TRUE(WidensType("numeric(10,2)", "numeric(50,3)"));
  EXPECT_TRUE(WidensType("numeric(10,2)", "numeric"));
  EXPECT_TRUE(WidensType("character varying(5)", "character varying(6)"));
  EXPECT_TRUE(WidensType("character varying(5)", "text"));
  EXPECT_TRUE(WidensType("character(5)", "character varying(5)"));
  EXPECT_TRUE(WidensType("character(5)", "character(6)"));
  EXPECT_TRUE(WidensType("date", "timestamp without time zone"));
  EXPECT_TRUE(WidensType("timestamp(3) with time zone", "timestamp with time zone"));
  EXPECT_TRUE(WidensType("time(0) without time zone", "time(3) without time zone"));
  EXPECT_TRUE(WidensType("integer[]", "bigint[]"));
  EXPECT_TRUE(WidensType("character varying(5)[]", "text[][]"));
}

TEST(WidensType, TakesNothingThatCouldLoseAValue) {
  EXPECT_FALSE(WidensType("integer", "integer"));
  EXPECT_FALSE(WidensType("bigint", "integer"));
  EXPECT_FALSE(WidensType("bigint", "double precision"));
  EXPECT_FALSE(WidensType("bigint", "numeric(18,0)"));
  EXPECT_FALSE(WidensType("numeric(10,2)", "numeric(11,4)"));
  EXPECT_FALSE(WidensType("numeric", "numeric(11,4)"));
  EXPECT_FALSE(WidensType("character varying(5)", "character varying(4)"));
  EXPECT_FALSE(WidensType("character varying(5)", "character(9)"));
  EXPECT_FALSE(WidensType("character(5)", "character varying(4)"));
  EXPECT_FALSE(WidensType("character varying", "text"));
  EXPECT_FALSE(WidensType("text", "character varying(5)"));
  EXPECT_FALSE(WidensType("timestamp(3) without time zone", "timestamp with time zone"));
  EXPECT_FALSE(WidensType("date", "timestamp with time zone"));
  EXPECT_FALSE(WidensType("integer", "text"));
  EXPECT_FALSE(WidensType("integer", "bigint[]"));
  EXPECT_FALSE(WidensType("interval(3)", "interval"));
}

}  // namespace
}  // namespace bulkhaul::postgres
