// Named instants at which a test may kill the process, to prove what survives there.
#pragma once

namespace bulkhaul {

// When the environment variable BULKHAUL_CRASH_AT equals `name` (or "name#n" for the n-th passage,
// from 1), the process kills itself with SIGKILL here. Costs one comparison otherwise. Thread-safe.
void CrashPoint(const char* name);

}  // namespace bulkhaul
