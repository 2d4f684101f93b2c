// What can be told from the first bytes of a search answer, before it is parsed: enough to ask for
// the next page at once.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace bulkhaul::opensearch {

struct PageHead {
  std::string scroll_id;  // "" when it was not found
  int64_t total = -1;     // -1: not found
};

// Servers write _scroll_id first and hits.total before the hits. Anything unexpected gives less,
// not something wrong. Pure.
PageHead PeekPageHead(std::string_view body);

}  // namespace bulkhaul::opensearch
