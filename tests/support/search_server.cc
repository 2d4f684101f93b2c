#include "tests/support/search_server.h"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include <fmt/format.h>

#include "tests/support/run_or_abort.h"

namespace bulkhaul::test {
namespace {

std::string Script(const std::string& words) {
  const std::string command =
      fmt::format("BULKHAUL_SEARCH_QUICK=1 BULKHAUL_SEARCH_HEAP_MB=512 '{}/scripts/test-search' {}",
                  BULKHAUL_SOURCE_DIR, words);
  return RunOrAbort(command);
}

class SearchServer {
 public:
  SearchServer()
      : folder_(fmt::format("/tmp/bulkhaul-search-{}", getpid())),
        uri(Script(fmt::format("start --owner {} opensearch-3 {}", getpid(), folder_))) {}
  ~SearchServer() { Script("stop " + folder_); }

 private:
  const std::string folder_;

 public:
  const std::string uri;
};

}  // namespace

const std::string& SharedSearchServer() {
  static SearchServer server;
  return server.uri;
}

}  // namespace bulkhaul::test
