// A throw-away OpenSearch node for a test program: made by scripts/test-search, stopped when the
// process goes, however it goes.
#pragma once

#include <string>

namespace bulkhaul::test {

// "http://127.0.0.1:<port>" of one node for the whole test program, made at the first call. Aborts
// the program when it cannot be made: no test could say anything then.
const std::string& SharedSearchServer();

}  // namespace bulkhaul::test
