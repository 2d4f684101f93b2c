// This test program plays the part of the command line when it is started to hold a snapshot.
#include <string_view>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "source/postgres/hold_process.h"

int main(int argc, char** argv) {
  if (argc == 2 && std::string_view(argv[1]) == bulkhaul::postgres::kHoldVerb) {
    return bulkhaul::postgres::RunSnapshotHolder();
  }
  testing::InitGoogleMock(&argc, argv);
  return RUN_ALL_TESTS();
}
