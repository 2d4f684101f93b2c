#include <cstdlib>

#include "app/cli/command_line.h"

int main(int argc, char** argv) {
  // Arrow's default allocator keeps what was freed: with it 2 million orders to Parquet peak at
  // 203 MB, with malloc at 115 MB, in the same time. Read by Arrow when its pool is first used.
  setenv("ARROW_DEFAULT_MEMORY_POOL", "system", /*overwrite=*/0);
  return bulkhaul::RunCommandLine(argc, argv);
}
