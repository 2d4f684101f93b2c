#include "plan/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "plan/option_table.h"

namespace bulkhaul {
namespace {

using testing::HasSubstr;

TEST(Options, GivesTheTablesDefaults) {
  const Options options;
  EXPECT_FALSE(options.Has("batch_bytes"));
  EXPECT_EQ(options.GetBytes("batch_bytes"), 4 << 20);
  EXPECT_EQ(options.GetDurationMs("retry_delay"), 1000);
  EXPECT_EQ(options.GetDurationMs("unit_timeout"), 3'600'000);
  EXPECT_EQ(options.GetInt("retries"), 3);
  EXPECT_EQ(options.GetString("conflict"), "version");
  EXPECT_TRUE(options.GetBool("job_history"));
  EXPECT_TRUE(options.GetList("columns").empty());
  EXPECT_TRUE(options.GetPairs("rename").empty());
  EXPECT_EQ(options.GetDouble("shrink_float_tolerance"), 0.0);
}

TEST(Options, EveryDefaultIsAllowed) {
  for (const auto& spec : OptionTable()) {
    Options options;
    EXPECT_TRUE(options.SetFromText(spec.name, spec.default_text).ok()) << spec.name;
  }
}

TEST(Options, ReadsTexts) {
  Options options;
  ASSERT_TRUE(options.SetFromText("unit_bytes", "1MiB").ok());
  EXPECT_EQ(options.GetBytes("unit_bytes"), 1 << 20);
  ASSERT_TRUE(options.SetFromText("retry_delay", "1m30s").ok());
  EXPECT_EQ(options.GetDurationMs("retry_delay"), 90'000);
  ASSERT_TRUE(options.SetFromText("unit_rows", "2_500_000").ok());
  EXPECT_EQ(options.GetInt("unit_rows"), 2'500'000);
  ASSERT_TRUE(options.SetFromText("unit_rows", "1M").ok());
  EXPECT_EQ(options.GetInt("unit_rows"), 1'000'000);
  ASSERT_TRUE(options.SetFromText("strict", "yes").ok());
  EXPECT_TRUE(options.GetBool("strict"));
  ASSERT_TRUE(options.SetFromText("columns", R"(a, "b,""c" ,d)").ok());
  EXPECT_EQ(options.GetList("columns"), (StringList{"a", "b,\"c", "d"}));
  ASSERT_TRUE(options.SetFromText("cast", "price=decimal(10,2),id: int32").ok());
  EXPECT_EQ(options.GetPairs("cast"), (StringPairs{{"price", "decimal(10,2)"}, {"id", "int32"}}));
  // A bracket that nothing closes is a character of a name.
  ASSERT_TRUE(options.SetFromText("rename", "a(=b,c=d").ok());
  EXPECT_EQ(options.GetPairs("rename"), (StringPairs{{"a(", "b"}, {"c", "d"}}));
  ASSERT_TRUE(options.SetFromText("csv_delimiter", " ").ok());
  EXPECT_EQ(options.GetString("csv_delimiter"), " ");
}

TEST(Options, RefusesWhatTheTableDoesNotAllow) {
  Options options;
  const auto message = [&](const char* name, const char* text) {
    const Status status = options.SetFromText(name, text);
    EXPECT_FALSE(status.ok()) << name;
    EXPECT_EQ(KindOf(status), ErrorKind::kUser);
    return status.message();
  };
  EXPECT_THAT(message("unit_byte", "1"), HasSubstr("did you mean 'unit_bytes'?"));
  EXPECT_THAT(message("infinity", "clmp"), HasSubstr("did you mean 'clamp'?"));
  EXPECT_THAT(message("infinity", "clmp"), HasSubstr("error, null, clamp"));
  EXPECT_THAT(message("workers", "-1"), HasSubstr("at least 0"));
  EXPECT_THAT(message("workers", "1025"), HasSubstr("at most 1024"));
  EXPECT_THAT(message("workers", "eight"), HasSubstr("whole number"));
  EXPECT_THAT(message("workers", "99999999999999999999"), HasSubstr("whole number"));
  EXPECT_THAT(message("batch_bytes", "1"), HasSubstr("at least 4 KiB"));
  EXPECT_THAT(message("strict", "perhaps"), HasSubstr("true or false"));
  EXPECT_THAT(message("shrink_float_tolerance", "-1"), HasSubstr("at least 0"));
  EXPECT_THAT(message("shrink_float_tolerance", "nan"), HasSubstr("must be a number"));
  EXPECT_THAT(message("columns", "a,,b"), HasSubstr("empty"));
  EXPECT_THAT(message("rename", "a"), HasSubstr("name=value"));
  EXPECT_THAT(message("where", "\xff"), HasSubstr("UTF-8"));
  EXPECT_THAT(message("columns", "a,\xff"), HasSubstr("UTF-8"));
  EXPECT_THAT(message("rename", "a=\xff"), HasSubstr("UTF-8"));
  EXPECT_FALSE(options.Set("workers", std::string("8")).ok());
  EXPECT_TRUE(options.values().empty());
}

TEST(Options, LaysOthersOnTop) {
  Options below, above;
  ASSERT_TRUE(below.Set("workers", int64_t{2}).ok());
  ASSERT_TRUE(below.Set("retries", int64_t{7}).ok());
  ASSERT_TRUE(above.Set("workers", int64_t{8}).ok());
  const Options both = below.With(above);
  EXPECT_EQ(both.GetInt("workers"), 8);
  EXPECT_EQ(both.GetInt("retries"), 7);
}

TEST(Options, SurvivesJson) {
  Options options;
  ASSERT_TRUE(options.SetFromText("unit_bytes", "1MiB").ok());
  ASSERT_TRUE(options.SetFromText("rename", "z=a,b=c").ok());
  ASSERT_TRUE(options.SetFromText("columns", "x,y").ok());
  ASSERT_TRUE(options.SetFromText("shrink_float_tolerance", "1e-3").ok());
  ASSERT_TRUE(options.SetFromText("where", "a = 'ü'").ok());
  ASSERT_TRUE(options.SetFromText("strict", "true").ok());
  const auto read = Options::FromJson(options.ToJson());
  ASSERT_TRUE(read.ok()) << read.status().ToString();
  EXPECT_EQ(read->values(), options.values());
  EXPECT_FALSE(Options::FromJson("{\"wrkers\":1}").ok());
  EXPECT_FALSE(Options::FromJson("{\"workers\":18446744073709551615}").ok());
  EXPECT_FALSE(Options::FromJson("[").ok());
}

TEST(Options, AnyListSurvivesJson) {
  EXPECT_TRUE(rc::check("lists of valid names", [](const std::vector<std::string>& raw) {
    StringList list;
    for (const auto& text : raw) {
      std::string ascii;
      for (const char c : text) ascii += static_cast<char>(c & 0x7f);
      list.push_back(ascii);
    }
    Options options;
    RC_ASSERT(options.Set("columns", list).ok());
    const auto read = Options::FromJson(options.ToJson());
    RC_ASSERT(read.ok());
    RC_ASSERT(read->GetList("columns") == list);
  }));
}

TEST(OptionsDeathTest, AbortsOnAProgrammingError) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(Options().GetInt("no_such_option"), "no_such_option");
  EXPECT_DEATH(Options().GetInt("batch_bytes"), "batch_bytes");
}

}  // namespace
}  // namespace bulkhaul
