// What becomes of text that is not UTF-8, where it is not an error.
#pragma once

#include <string>
#include <string_view>

namespace bulkhaul {

// Bytes that are no UTF-8 as U+FFFD, one each.
std::string ReplaceInvalidUtf8(std::string_view text);

}  // namespace bulkhaul
