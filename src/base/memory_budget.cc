#include "base/memory_budget.h"

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <string>
#include <utility>

#include <malloc.h>
#include <unistd.h>

namespace bulkhaul {
namespace {

constexpr int64_t kUnlimited = std::numeric_limits<int64_t>::max();

// The number in a one-line file; kUnlimited when it is "max" or not there.
int64_t NumberIn(const std::string& path) {
  std::ifstream file(path);
  int64_t number = 0;
  return file >> number ? number : kUnlimited;
}

// The number of kibibytes behind `key` in a file of /proc, in bytes; kUnlimited when not there.
int64_t ProcBytes(const std::string& path, const std::string& key) {
  std::ifstream file(path);
  std::string word;
  int64_t kibibytes = 0;
  while (file >> word) {
    if (word == key && file >> kibibytes) return kibibytes * 1024;
  }
  return kUnlimited;
}

// Pages of files that the cgroup is charged for, from its memory.stat: not shared memory, which
// cannot be given up.
int64_t FilePagesBytes(const std::string& path, const std::string& prefix) {
  std::ifstream file(path);
  std::string name;
  int64_t bytes = 0;
  int64_t sum = 0;
  while (file >> name >> bytes) {
    if (name == prefix + "active_file" || name == prefix + "inactive_file") sum += bytes;
  }
  return sum;
}

// Room left under the limit of this process's cgroup and each of its parents (version 2; version 1
// names its own files). Source: Linux Documentation/admin-guide/cgroup-v2.rst, "memory.max".
int64_t CgroupRoomBytes(const std::string& system_root) {
  std::ifstream membership(system_root + "/proc/self/cgroup");
  std::string line;
  int64_t room = kUnlimited;
  while (std::getline(membership, line)) {
    const bool version_2 = line.starts_with("0::");
    const auto controller = line.find(":memory:");
    if (!version_2 && controller == std::string::npos) continue;
    const std::string root = system_root + (version_2 ? "/sys/fs/cgroup" : "/sys/fs/cgroup/memory");
    const char* limit_name = version_2 ? "/memory.max" : "/memory.limit_in_bytes";
    const char* use_name = version_2 ? "/memory.current" : "/memory.usage_in_bytes";
    const char* pages_prefix = version_2 ? "" : "total_";
    std::string path = version_2 ? line.substr(3) : line.substr(controller + 8);
    while (true) {
      const int64_t limit = NumberIn(root + path + limit_name);
      const int64_t use = NumberIn(root + path + use_name);
      if (limit != kUnlimited && use != kUnlimited) {
        const int64_t pages = FilePagesBytes(root + path + "/memory.stat", pages_prefix);
        room = std::min(room, std::max<int64_t>(limit - std::max<int64_t>(use - pages, 0), 0));
      }
      if (path.empty() || path == "/") break;
      path.resize(path.rfind('/'));
    }
  }
  return room;
}

}  // namespace

int64_t AvailableMemoryBytes(const std::string& root) {
  const int64_t available =
      std::min(ProcBytes(root + "/proc/meminfo", "MemAvailable:"), CgroupRoomBytes(root));
  return available == kUnlimited ? int64_t{1} << 30 : available;
}

int64_t AvailableMemoryBytes() {
  const char* root = std::getenv("BULKHAUL_SYSTEM_ROOT");
  return AvailableMemoryBytes(root == nullptr ? "" : root);
}

int64_t ResidentBytes() {
  std::ifstream file("/proc/self/statm");
  int64_t total_pages = 0;
  int64_t resident_pages = 0;
  file >> total_pages >> resident_pages;
  return resident_pages * sysconf(_SC_PAGESIZE);
}

int64_t PeakResidentBytes() {
  // Not getrusage's ru_maxrss: that keeps what the parent held before exec.
  const int64_t bytes = ProcBytes("/proc/self/status", "VmHWM:");
  return bytes == kUnlimited ? ResidentBytes() : bytes;
}

void ReturnLargeBlocks() { mallopt(M_MMAP_THRESHOLD, 4 << 20); }

Reservation::Reservation(Reservation&& other) noexcept
    : budget_(std::exchange(other.budget_, nullptr)), bytes_(other.bytes_.exchange(0)) {}

Reservation& Reservation::operator=(Reservation&& other) noexcept {
  if (this != &other) {
    Resize(0);
    budget_ = std::exchange(other.budget_, nullptr);
    bytes_ = other.bytes_.exchange(0);
  }
  return *this;
}

Reservation::~Reservation() { Resize(0); }

void Reservation::Resize(int64_t bytes) {
  if (budget_ == nullptr) return;
  const int64_t before = bytes_.exchange(bytes);
  if (bytes != before) budget_->Adjust(bytes - before);
}

Result<Reservation> MemoryBudget::Reserve(int64_t bytes, std::stop_token stop) {
  std::unique_lock lock(mutex_);
  const bool granted = changed_.wait(lock, stop, [&] {
    return reserved_bytes_ == 0 || (!throttled_ && reserved_bytes_ + bytes <= limit_bytes_);
  });
  if (!granted) return CancelledError("cancelled while waiting for memory");
  reserved_bytes_ += bytes;
  peak_bytes_ = std::max(peak_bytes_, reserved_bytes_);
  return Reservation(this, bytes);
}

void MemoryBudget::Adjust(int64_t delta_bytes) {
  std::lock_guard lock(mutex_);
  reserved_bytes_ += delta_bytes;
  peak_bytes_ = std::max(peak_bytes_, reserved_bytes_);
  if (delta_bytes < 0) changed_.notify_all();
}

int64_t MemoryBudget::reserved_bytes() const {
  std::lock_guard lock(mutex_);
  return reserved_bytes_;
}

int64_t MemoryBudget::peak_reserved_bytes() const {
  std::lock_guard lock(mutex_);
  return peak_bytes_;
}

void MemoryBudget::SetThrottled(bool throttled) {
  std::lock_guard lock(mutex_);
  throttled_ = throttled;
  if (!throttled) changed_.notify_all();
}

}  // namespace bulkhaul
