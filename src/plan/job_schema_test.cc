#include "plan/job_schema.h"

#include <cstdlib>
#include <fstream>
#include <sstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "plan/job_file.h"
#include "plan/option_table.h"

namespace bulkhaul {
namespace {

// The published file must be what the table makes now. After a change of the table:
// BULKHAUL_UPDATE_GENERATED=1 build/release/bin/plan_test --gtest_filter='Generated.*'
void CheckPublished(const std::string& name, const std::string& expected) {
  const std::string path = std::string(BULKHAUL_SOURCE_DIR) + "/" + name;
  if (std::getenv("BULKHAUL_UPDATE_GENERATED") != nullptr) std::ofstream(path) << expected;
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  EXPECT_TRUE(text.str() == expected)
      << name << " differs from what the option table makes; run this test once with "
      << "BULKHAUL_UPDATE_GENERATED=1";
}

TEST(Generated, JobSchemaIsCurrent) {
  CheckPublished("docs/schemas/job.schema.json", JobFileSchema());
}

TEST(Generated, JobReferenceIsCurrent) { CheckPublished("docs/job-file.md", JobFileReference()); }

TEST(JobFileSchema, HasEveryKeyAndNoOther) {
  const auto schema = nlohmann::json::parse(JobFileSchema());
  EXPECT_EQ(schema["additionalProperties"], false);
  size_t expected = JobKeys().size();
  for (const auto& option : OptionTable()) {
    if ((option.scope & kJobScope) == 0) continue;
    ++expected;
    EXPECT_TRUE(schema["properties"].contains(option.name)) << option.name;
  }
  EXPECT_EQ(schema["properties"].size(), expected);
}

TEST(OptionTable, IsConsistent) {
  std::map<std::string, int> names;
  for (const auto& option : OptionTable()) {
    EXPECT_EQ(++names[option.name], 1) << option.name;
    EXPECT_EQ(FindOption(option.name), &option);
    EXPECT_EQ(std::string_view(option.choices).empty(), option.type != OptionType::kEnum)
        << option.name;
    EXPECT_THAT(std::string(option.help), testing::EndsWith(".")) << option.name;
    EXPECT_NE(option.scope, 0u) << option.name;
  }
  EXPECT_EQ(FindOption("nothing"), nullptr);
}

}  // namespace
}  // namespace bulkhaul
