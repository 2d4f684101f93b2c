#include "base/log.h"

#include <fstream>
#include <iterator>
#include <string>

#include <gtest/gtest.h>
#include <unistd.h>

namespace bulkhaul {
namespace {

TEST(Log, FileKeepsWhatTheLevelAllowsWithoutSecrets) {
  char path[] = "/tmp/bulkhaul_log_XXXXXX";
  close(mkstemp(path));
  ASSERT_TRUE(InitLog(LogLevel::kDetailed, path, false).ok());
  Log(LogLevel::kDetailed, "connect postgres://bob:hunter2@h/db");
  Log(LogLevel::kFull, "SELECT 1");
  LogWarning("slow");
  EXPECT_TRUE(LogEnabled(LogLevel::kBasic));
  EXPECT_FALSE(LogEnabled(LogLevel::kExtra));
  ASSERT_TRUE(InitLog(LogLevel::kBasic, "", true).ok());
  std::ifstream file(path);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  EXPECT_NE(text.find("postgres://bob:***@h/db"), std::string::npos) << text;
  EXPECT_EQ(text.find("hunter2"), std::string::npos);
  EXPECT_EQ(text.find("SELECT"), std::string::npos);
  EXPECT_NE(text.find("slow"), std::string::npos);
  unlink(path);
}

TEST(Log, UnwritableFileIsTheUsersError) {
  EXPECT_EQ(KindOf(InitLog(LogLevel::kBasic, "/proc/none/log", false)), ErrorKind::kUser);
}

TEST(Log, LevelNames) {
  EXPECT_EQ(LogLevelFromName("extra").ValueOrDie(), LogLevel::kExtra);
  EXPECT_FALSE(LogLevelFromName("loud").ok());
}

}  // namespace
}  // namespace bulkhaul
