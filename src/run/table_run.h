// What the run knows of one table while it is under way. Inside run/ only.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "commit/ledger.h"
#include "plan/values.h"

namespace bulkhaul {

// One consistent view and the datasets that are read in it. Constant after it is made, but for the
// stop source and `lost`.
struct Epoch {
  Snapshot snapshot;
  std::vector<Dataset> datasets;  // what sessions are opened for
  std::stop_source stop;          // requested when the view is lost
  std::atomic<bool> lost{false};
};

struct TableRun;

// A table that is published before another one.
struct Predecessor {
  TableRun* table = nullptr;
  std::string reason;  // "foreign key orders_customer_fkey"; "" where the user said so
};

// What is next for a table whose stage is finished.
enum class NextStep {
  kOver,   // nothing
  kUnits,  // those of another stage
  kWait,   // its publication, when the tables before it are published
};

// Its record is changed by one thread at a time: the planner before workers start, then the task
// that finishes a stage (the scheduler gives out one such task a table and none while units run).
struct TableRun {
  DatasetRecord record;
  std::shared_ptr<Epoch> epoch;  // null when nothing is to be read
  DatasetPlan plan;              // as the read stage's writers see it
  int64_t limit_rows = 0;        // 0: no limit
  int64_t weight = 0;            // estimated bytes, for the order and the progress
  int workers_max = 1;
  bool workers_fixed = false;  // false: idle workers may go above workers_max
  std::stop_source stop;       // requested when the table has failed
  // Tables that ask the source for the same rows and write them alike: `twin_of` is the one that
  // reads them, until it has handed over its staged results.
  TableRun* twin_of = nullptr;
  std::vector<TableRun*> twins;  // of which this is the one that reads
  // The order of publication (table_order.h); constant while workers run.
  std::vector<Predecessor> after;
  std::vector<TableRun*> followers;    // in whose `after` this one is
  std::string place;                   // at the destination; "" where it has no name
  bool units_appear = false;           // units, too, wait for those before
  int64_t priority = 0;                // a table's is above its followers'
  std::atomic<bool> published{false};  // set before the scheduler hears of it

  // Progress, read by any thread: the record may change under its readers when an epoch begins.
  DatasetId id;  // constant
  std::atomic<int64_t> estimated_rows{-1};
  std::atomic<int64_t> units{0}, units_done{0}, units_running{0};
  std::atomic<int64_t> rows{0};           // of finished and running attempts
  std::atomic<int64_t> limit_taken{0};    // rows of the limit that attempts have taken
  std::atomic<int64_t> rows_rejected{0};  // of attempts that this run finished
  std::atomic<int64_t> retries{0};
  std::atomic<int64_t> started_ms{-1};  // since the run began
  std::atomic<int64_t> finished_ms{-1};
  bool published_before = false;  // by an earlier run; constant while workers run
  // The source's last answer in CheckRows() is no more to be had by asking again; of the finishing
  // task.
  bool check_tries_used = false;
  std::string error_code;                 // of its failure; of who requested the stop, as below
  std::string rejected_to;                // where rejected rows were written, as below
  std::vector<std::string> explanations;  // written by the finishing task, read after the workers

  // The first of `after` that is not published yet; null: none holds this one back.
  const Predecessor* WaitsFor() const {
    for (const auto& predecessor : after) {
      if (!predecessor.table->published) return &predecessor;
    }
    return nullptr;
  }
  // For people.
  std::string Name() const { return place.empty() ? id.ToString() : place; }
};

}  // namespace bulkhaul
