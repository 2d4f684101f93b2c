// A runner between a source and a sink in memory. Of run/'s tests only.
#pragma once

#include <atomic>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <numeric>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include <arrow/api.h>
#include <gtest/gtest.h>

#include "base/text.h"
#include "run/fakes.h"
#include "run/runner.h"
#include "sink/memory/memory_sink.h"

namespace bulkhaul {

// Keeps every event.
class Recorder : public ProgressSink {
 public:
  void OnEvent(const ProgressEvent& event) override {
    std::lock_guard lock(mutex_);
    events_.push_back(event);
  }
  std::vector<ProgressEvent> Of(ProgressKind kind) const {
    std::lock_guard lock(mutex_);
    std::vector<ProgressEvent> found;
    for (const auto& event : events_) {
      if (event.kind == kind) found.push_back(event);
    }
    return found;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<ProgressEvent> events_;
};

class RunnerTest : public testing::Test {
 protected:
  void SetUp() override {
    id_ = NewId();
    state_ = std::filesystem::temp_directory_path() / ("bulkhaul_runner_" + id_);
    server_ = std::make_shared<fakes::Server>();
    spec_.source_uri = "fake://reader:geheim@server/db";
    spec_.destination_uri = "memory:" + id_;
    spec_.tables.push_back({"s.*", Options()});
    Set("retry_delay", "0");
    Set("workers", "3");
    Set("memory_limit", "4GiB");
    job_ = "job-" + id_;
  }
  void TearDown() override {
    Store()->Clear();
    std::filesystem::remove_all(state_);
  }
  void Set(const std::string& name, const std::string& value) {
    ASSERT_TRUE(spec_.options.SetFromText(name, value).ok()) << name;
  }
  void Fill(const std::string& table, int64_t rows) {
    fakes::Server::Rows values(rows);
    std::iota(values.begin(), values.end(), 1000);
    server_->Put(table, std::move(values));
  }
  std::shared_ptr<MemoryStore> Store() { return MemoryStore::At(spec_.destination_uri); }

  Result<JobReport> Run(bool resume = false) {
    source_ = fakes::MakeSource(server_, settings_);
    ARROW_ASSIGN_OR_RAISE(auto memory, MakeMemorySink(spec_, job_));
    auto sink = std::make_unique<fakes::FaultySink>(std::move(memory));
    if (prepare_sink_) prepare_sink_(*sink);
    RunOptions options;
    options.job_id = job_;
    options.resume = resume;
    options.stop = stop_.get_token();
    options.progress = &recorder_;
    options.progress_interval_ms = 20;
    options.state_folder = state_;
    Runner runner(spec_, *source_, *sink, options);
    auto report = runner.Run();
    source_.reset();
    return report;
  }
  // Of the next Run()s.
  void FailCommitsWhile(const std::atomic<bool>& broken, const char* why) {
    prepare_sink_ = [&broken, why](fakes::FaultySink& sink) {
      sink.on_commit = [&broken, why](const CommitRequest&) {
        return broken ? PermanentError(why) : Status::OK();
      };
    };
  }
  // Ids and values of what was published under the name.
  std::vector<std::pair<int64_t, int64_t>> Published(const std::string& name) {
    std::vector<std::pair<int64_t, int64_t>> rows;
    const auto table = Store()->Find(name);
    if (!table) {
      ADD_FAILURE() << name << " was not published";
      return rows;
    }
    arrow::TableBatchReader reader(*table);
    std::shared_ptr<arrow::RecordBatch> batch;
    while (reader.ReadNext(&batch).ok() && batch) {
      const auto& ids = static_cast<const arrow::Int64Array&>(*batch->column(0));
      const auto& values = static_cast<const arrow::Int64Array&>(*batch->column(1));
      for (int64_t i = 0; i < batch->num_rows(); ++i)
        rows.emplace_back(ids.Value(i), values.Value(i));
    }
    std::sort(rows.begin(), rows.end());
    return rows;
  }
  // Every row once, and the sum that writers keep.
  void ExpectWhole(const std::string& name, int64_t rows) {
    const auto found = Published(name);
    ASSERT_EQ(static_cast<int64_t>(found.size()), rows);
    int64_t sum = 0;
    for (int64_t i = 0; i < rows; ++i) {
      ASSERT_EQ(found[i].first, i);
      sum += found[i].second;
    }
    EXPECT_EQ(sum, rows * 1000 + rows * (rows - 1) / 2);
  }

  std::string id_, state_, job_;
  std::shared_ptr<fakes::Server> server_;
  fakes::SourceSettings settings_;
  JobSpec spec_;
  std::unique_ptr<Source> source_;
  std::function<void(fakes::FaultySink&)> prepare_sink_;
  std::stop_source stop_;
  Recorder recorder_;
};

}  // namespace bulkhaul
