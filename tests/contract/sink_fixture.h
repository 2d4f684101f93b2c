// What every sink test needs: a destination of its own, small plans and units, and the way back.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <arrow/record_batch.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "plan/job_spec.h"
#include "sink/sink.h"

#define ASSERT_OK(expression)                        \
  do {                                               \
    const ::arrow::Status status_ = (expression);    \
    ASSERT_TRUE(status_.ok()) << status_.ToString(); \
  } while (false)
#define CONTRACT_JOIN_(a, b) a##b
#define CONTRACT_NAME_(a, b) CONTRACT_JOIN_(a, b)
#define ASSERT_OK_AND_ASSIGN_(result, declaration, expression) \
  auto result = (expression);                                  \
  ASSERT_TRUE(result.ok()) << result.status().ToString();      \
  declaration = result.MoveValueUnsafe()
#define ASSERT_OK_AND_ASSIGN(declaration, expression) \
  ASSERT_OK_AND_ASSIGN_(CONTRACT_NAME_(result_, __LINE__), declaration, expression)

namespace bulkhaul::contract {

// One implementation under test.
struct SinkCase {
  const char* name;
  Result<std::unique_ptr<Sink>> (*make)(const JobSpec&, const JobId&);
  const char* extension;  // "" when it does not write files
  // Whether it takes `conflict` and has an intermediate form; a database does not.
  bool keeps_versions = true;
};

const std::vector<SinkCase>& AllSinks();
// Those that take `conflict`.
const std::vector<SinkCase>& VersionSinks();
const std::vector<SinkCase>& FileSinks();

using Rows = std::map<int64_t, std::string>;  // id → text; "<null>" for NULL

// Removed when the test ends.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// Where one test's rows go, and a look at it from outside.
class Place {
 public:
  virtual ~Place() = default;
  virtual std::string destination() const = 0;
  // What is published, and everything that is there, staged things too.
  virtual std::vector<std::string> Published() = 0;
  virtual std::vector<std::string> Everything() = 0;
  // By a receipt's location; fails the test when an id comes twice.
  virtual Rows Read(const std::string& location) = 0;

  static std::unique_ptr<Place> For(const SinkCase& sink_case);
};

// A job that writes into `destination`, with options as a user writes them.
class Job {
 public:
  using Texts = std::vector<std::pair<std::string, std::string>>;
  Job(const SinkCase& sink_case, const std::string& destination, const JobId& id,
      const Texts& options = {});

  Sink& sink() { return *sink_; }
  const JobId& id() const { return id_; }
  // A new sink object, as another process would have it.
  void Reopen();

  DatasetPlan Plan(const std::string& table, const std::string& schema = "public") const;
  // Plan() and the sink's Prepare(), which comes before the first Begin().
  DatasetPlan Prepared(const std::string& table);
  // A writer of the first unit's first attempt.
  Result<std::unique_ptr<UnitWriter>> OpenUnit(const DatasetPlan& plan);
  // Rows [begin, end) of the table as one unit's attempt.
  Result<StagedResult> Stage(const DatasetPlan& plan, int64_t ordinal, int64_t begin, int64_t end,
                             WriteStage stage = {});
  CommitRequest Request(const DatasetPlan& plan, std::vector<StagedResult> staged) const;
  // Commits with a journal that survives Reopen(), as the ledger's does.
  Result<CommitReceipt> Commit(const CommitRequest& request);
  // What Commit() has journalled.
  const std::string& Journal(const CommitRequest& request) {
    return journals_[request.idempotency_key];
  }
  // Prepare, one unit with rows [begin, end), Commit.
  Result<CommitReceipt> Export(const std::string& table, int64_t begin, int64_t end);

 private:
  const SinkCase sink_case_;
  const JobId id_;
  JobSpec spec_;
  std::unique_ptr<Sink> sink_;
  std::map<std::string, std::string> journals_;
  int attempts_ = 0;
};

std::shared_ptr<arrow::Schema> TestSchema();
// id i with text "row i", NULL where i is divisible by 7.
std::shared_ptr<arrow::RecordBatch> TestBatch(int64_t begin, int64_t end);
Rows ExpectedRows(int64_t begin, int64_t end);
// Everything published at a receipt's location, read by Arrow's own readers. Fails the test when it
// cannot be read or an id comes twice.
Rows ReadRows(const std::string& location);

// Names in a folder that do not begin with a dot.
std::vector<std::string> Visible(const std::string& folder);
// Every file below the folder, hidden ones too, relative to it.
std::vector<std::string> AllFiles(const std::string& folder);

}  // namespace bulkhaul::contract
