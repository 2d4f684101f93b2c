#include "base/copy_text.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace bulkhaul {
namespace {

TEST(CopyText, CopiesTextsOfAnyLengthAndNothingBeyond) {
  std::string text;
  for (size_t size = 0; size <= 100; ++size) {
    std::vector<uint8_t> room(size + 1, 0xEE);
    CopyText(text, room.data());
    EXPECT_EQ(std::string(room.begin(), room.end() - 1), text);
    EXPECT_EQ(room.back(), 0xEE);
    text.push_back(static_cast<char>('0' + size));
  }
}

}  // namespace
}  // namespace bulkhaul
