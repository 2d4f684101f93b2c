// What this process has used so far, from the kernel.
#pragma once

#include <cstdint>

namespace bulkhaul {

struct ProcessUsage {
  int64_t cpu_ms = 0;           // user and system, all threads; getrusage(2)
  int64_t disk_read_bytes = 0;  // that came from storage; /proc/self/io, 0 where it is not readable
  int64_t disk_write_bytes = 0;  // that were sent to storage
};
ProcessUsage ReadProcessUsage();

}  // namespace bulkhaul
