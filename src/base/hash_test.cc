#include "base/hash.h"

#include <cstdio>
#include <fstream>
#include <string>

#include <gtest/gtest.h>
#include <unistd.h>

namespace bulkhaul {
namespace {

TEST(Hash, KnownValue) {
  // XXH3_64bits of no bytes: https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md
  EXPECT_EQ(HashText(Xxh3Of("")), "2d06800538d394c2");
}

TEST(Hash, PiecesFileAndWholeAgree) {
  std::string text;
  for (int i = 0; i < 300'000; ++i) text += static_cast<char>(i * 31 >> 3);
  Xxh3 pieces;
  for (size_t i = 0; i < text.size(); i += 777) {
    const auto piece = std::string_view(text).substr(i, 777);
    pieces.Update(piece.data(), piece.size());
  }
  char path[] = "/tmp/bulkhaul_hash_XXXXXX";
  close(mkstemp(path));
  std::ofstream(path, std::ios::binary) << text;
  EXPECT_EQ(pieces.Digest(), Xxh3Of(text));
  EXPECT_EQ(Xxh3OfFile(path).ValueOrDie(), Xxh3Of(text));
  std::remove(path);
  EXPECT_EQ(CodeOf(Xxh3OfFile(path).status()), "ENOENT");
}

}  // namespace
}  // namespace bulkhaul
