#include <algorithm>
#include <cstdlib>

#include <malloc.h>

#include "app/cli/command_line.h"
#include "plan/parallelism.h"

int main(int argc, char** argv) {
  // Arrow's default allocator keeps what was freed: with it 2 million orders to Parquet peak at
  // 203 MB, with malloc at 115 MB, in the same time. Read by Arrow when its pool is first used.
  setenv("ARROW_DEFAULT_MEMORY_POOL", "system", /*overwrite=*/0);
  // A worker frees and takes the same buffers for each batch and page. malloc would hand them back
  // to the system each time, and 10 % of the CPU time went into zeroing pages that came again. The
  // memory monitor trims when memory grows scarce.
  mallopt(M_TRIM_THRESHOLD, 64 << 20);
  mallopt(M_MMAP_THRESHOLD, 32 << 20);
  // An arena for each core, not for each thread: what one worker freed serves another. Of a search
  // index with 32 workers on 2 cores the peak is 363 MB instead of 516 MB.
  mallopt(M_ARENA_MAX, std::max(2, bulkhaul::AvailableCores()));
  return bulkhaul::RunCommandLine(argc, argv);
}
