// The job's memory, handed out by reservation.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>

#include "base/error.h"

namespace bulkhaul {

// What the process may use beside what it has: the smaller of the cgroup's limit less its use, and
// MemAvailable. Cached pages of files count as free: the kernel gives them up. Bytes. `root`: where
// proc/ and sys/ are; $BULKHAUL_SYSTEM_ROOT, else "", the machine's own.
int64_t AvailableMemoryBytes(const std::string& root);
int64_t AvailableMemoryBytes();
// Resident set of this process now, and its peak so far. Bytes.
int64_t ResidentBytes();
int64_t PeakResidentBytes();

// From now on memory that is freed in blocks of 4 MiB or more goes back to the system at once, for
// the process's life: values of many MB would else leave holes in malloc's arenas that nothing else
// fills. Thread-safe.
void ReturnLargeBlocks();

class MemoryBudget;

// Gives its bytes back when destroyed. Movable; must not outlive its budget. bytes() and Resize()
// are thread-safe: a unit may be read on one thread and written on another.
class Reservation {
 public:
  Reservation() = default;
  Reservation(MemoryBudget* budget, int64_t bytes) : budget_(budget), bytes_(bytes) {}
  Reservation(Reservation&& other) noexcept;
  Reservation& operator=(Reservation&& other) noexcept;
  ~Reservation();
  int64_t bytes() const { return bytes_.load(); }
  // Takes more or gives back, so that `bytes` are held. Growing never blocks: a single holder may
  // go above the budget for one huge value, which is counted and makes new reservations wait.
  void Resize(int64_t bytes);

 private:
  MemoryBudget* budget_ = nullptr;
  std::atomic<int64_t> bytes_ = 0;
};

// Thread-safe.
class MemoryBudget {
 public:
  explicit MemoryBudget(int64_t limit_bytes) : limit_bytes_(limit_bytes) {}
  // Waits until `bytes` fit, or nothing is reserved at all (so that one big unit can always go on).
  // Cancelled when `stop` is requested.
  Result<Reservation> Reserve(int64_t bytes, std::stop_token stop = {});
  int64_t limit_bytes() const { return limit_bytes_; }
  int64_t reserved_bytes() const;
  int64_t peak_reserved_bytes() const;
  // While throttled, Reserve() waits unless nothing is reserved. Set by the memory monitor.
  void SetThrottled(bool throttled);

 private:
  friend class Reservation;
  void Adjust(int64_t delta_bytes);

  const int64_t limit_bytes_;
  mutable std::mutex mutex_;
  std::condition_variable_any changed_;  // guarded by mutex_, as all below
  int64_t reserved_bytes_ = 0;
  int64_t peak_bytes_ = 0;
  bool throttled_ = false;
};

}  // namespace bulkhaul
