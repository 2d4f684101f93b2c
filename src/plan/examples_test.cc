// The job files under examples/ are what they claim to be.
#include <filesystem>
#include <fstream>
#include <sstream>

#include <gtest/gtest.h>

#include "plan/contract.h"
#include "plan/job_file.h"

namespace bulkhaul {
namespace {

TEST(Examples, AreValidJobs) {
  int files = 0;
  for (const auto& entry :
       std::filesystem::directory_iterator(std::string(BULKHAUL_SOURCE_DIR) + "/examples")) {
    if (!DocumentFormatOf(entry.path().string()).ok()) continue;
    ++files;
    std::ifstream file(entry.path());
    std::stringstream text;
    text << file.rdbuf();
    // The one reference to a file of another machine is read as a variable here.
    std::string content = text.str();
    const auto at = content.find("file:/run/secrets/database_url");
    if (at != std::string::npos) content.replace(at, 30, "${DATABASE_URL}");
    const auto job = ParseJobFile(
        content, *DocumentFormatOf(entry.path().string()),
        {entry.path().filename().string(), entry.path().parent_path().string(),
         [](const std::string&) { return std::optional<std::string>("postgres://h/db"); }});
    ASSERT_TRUE(job.ok()) << job.status().ToString();
    EXPECT_TRUE(CheckJob(*job).ok()) << entry.path();
  }
  EXPECT_GE(files, 5);
}

TEST(Examples, ContractsAreValid) {
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(std::string(BULKHAUL_SOURCE_DIR) +
                                                               "/examples/contracts")) {
    ++files;
    const auto contract = LoadContract(entry.path().string());
    EXPECT_TRUE(contract.ok()) << contract.status();
  }
  EXPECT_GE(files, 1);
}

}  // namespace
}  // namespace bulkhaul
