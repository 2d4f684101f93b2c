#include "run/read_ahead.h"

#include <stop_token>
#include <utility>

#include <arrow/util/byte_size.h>

namespace bulkhaul {

ReadAhead::ReadAhead(UnitReader& reader, Allowance allowance, Progress progress)
    : reader_(reader),
      allowance_(std::move(allowance)),
      progress_(std::move(progress)),
      thread_([this](const std::stop_token& stop) { Read(stop); }) {}

void ReadAhead::Close() {
  if (!thread_.joinable()) return;
  thread_.request_stop();
  thread_.join();
  waiting_.clear();
}

void ReadAhead::Read(const std::stop_token& stop) {
  int64_t rows = 0;
  for (;;) {
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, stop, [&] { return waiting_.empty() || waiting_bytes_ < allowance_(); });
      spent_.clear();
    }
    Item item;
    Status status = stop.stop_requested() ? CancelledError() : reader_.ReadNext(&item.batch);
    if (status.ok() && item.batch != nullptr) {
      const auto bytes = arrow::util::ReferencedBufferSize(*item.batch);
      item.bytes = bytes.ok() ? *bytes : 0;
      item.refused = reader_.TakeRefused();
      rows += item.batch->num_rows();
      progress_(rows, reader_.bytes_read());
    }
    std::lock_guard lock(mutex_);
    ended_ = !status.ok() || item.batch == nullptr;
    if (ended_) {
      status_ = std::move(status);
    } else {
      waiting_bytes_ += item.bytes;
      waiting_.push_back(std::move(item));
    }
    changed_.notify_all();
    if (ended_) return;
  }
}

Result<std::shared_ptr<arrow::RecordBatch>> ReadAhead::Next() {
  std::unique_lock lock(mutex_);
  if (given_ != nullptr && !ended_) spent_.push_back(std::move(given_));
  given_.reset();
  changed_.wait(lock, [&] { return !waiting_.empty() || ended_; });
  if (waiting_.empty()) {
    ARROW_RETURN_NOT_OK(status_);
    return nullptr;
  }
  Item item = std::move(waiting_.front());
  waiting_.pop_front();
  waiting_bytes_ -= item.bytes;
  changed_.notify_all();
  given_ = item.batch;
  refused_ = std::move(item.refused);
  return std::move(item.batch);
}

}  // namespace bulkhaul
