#include "run/process_usage.h"

#include <fstream>
#include <string>

#include <sys/resource.h>

namespace bulkhaul {

ProcessUsage ReadProcessUsage() {
  ProcessUsage usage;
  rusage used{};
  if (getrusage(RUSAGE_SELF, &used) == 0) {
    usage.cpu_ms = (used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1000 +
                   (used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1000;
  }
  std::ifstream io("/proc/self/io");
  std::string key;
  int64_t value = 0;
  while (io >> key >> value) {
    if (key == "read_bytes:") usage.disk_read_bytes = value;
    if (key == "write_bytes:") usage.disk_write_bytes = value;
  }
  return usage;
}

}  // namespace bulkhaul
