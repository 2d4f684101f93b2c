// A unit's batches, read on a thread of their own ahead of the worker that writes them.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include <arrow/record_batch.h>

#include "base/error.h"
#include "source/source.h"

namespace bulkhaul {

// Used by one thread; between construction and Close() nobody else touches the reader.
class ReadAhead {
 public:
  // Bytes of batches that may wait now; asked before each batch, so that it may shrink. One batch
  // may always wait.
  using Allowance = std::function<int64_t()>;
  // After each batch, on the reading thread: rows and bytes read from the source so far.
  using Progress = std::function<void(int64_t rows, int64_t bytes)>;
  ReadAhead(UnitReader& reader, Allowance allowance, Progress progress);
  ~ReadAhead() { Close(); }

  // The next batch; null at the end.
  Result<std::shared_ptr<arrow::RecordBatch>> Next();
  // UnitReader::TakeRefused(), of the batch that Next() gave last.
  std::vector<RefusedRow> TakeRefused() { return std::exchange(refused_, {}); }
  // Waits for the batch that is being read; what is not taken is dropped.
  void Close();

 private:
  struct Item {
    std::shared_ptr<arrow::RecordBatch> batch;
    std::vector<RefusedRow> refused;
    int64_t bytes = 0;
  };
  void Read(const std::stop_token& stop);

  UnitReader& reader_;
  const Allowance allowance_;
  const Progress progress_;
  std::vector<RefusedRow> refused_;  // of the thread that takes batches
  std::mutex mutex_;
  std::condition_variable_any changed_;  // guarded by mutex_, as all below
  std::deque<Item> waiting_;
  // Readers fill buffers again that only they hold: the last reference to a batch goes on the
  // reading thread, behind this mutex.
  std::shared_ptr<arrow::RecordBatch> given_;
  std::deque<std::shared_ptr<arrow::RecordBatch>> spent_;
  int64_t waiting_bytes_ = 0;
  bool ended_ = false;
  Status status_;
  std::jthread thread_;  // last: it uses all above
};

}  // namespace bulkhaul
