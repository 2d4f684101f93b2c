#include "run/watchdog.h"

#include <condition_variable>

#include <gtest/gtest.h>

namespace bulkhaul {
namespace {

// Blocks until the stop is requested; a watchdog that never does hangs the test.
void WaitFor(std::stop_token stop) {
  std::mutex mutex;
  std::condition_variable_any changed;
  std::unique_lock lock(mutex);
  changed.wait(lock, stop, [] { return false; });
}

TEST(Watchdog, StopsWhatIsLateAndNothingElse) {
  Watchdog watchdog;
  std::stop_source late, patient, endless;
  Watchdog::Watch patient_watch(watchdog, 3'600'000, patient);
  Watchdog::Watch endless_watch(watchdog, 0, endless);
  {
    Watchdog::Watch late_watch(watchdog, 5, late);
    WaitFor(late.get_token());
    EXPECT_TRUE(late_watch.expired());
  }
  EXPECT_FALSE(patient.stop_requested());
  EXPECT_FALSE(patient_watch.expired());
  EXPECT_FALSE(endless.stop_requested());
  EXPECT_FALSE(endless_watch.expired());
}

TEST(Watchdog, SeesADeadlineThatComesWhileAnExpiredOneStays) {
  Watchdog watchdog;
  std::stop_source first, second;
  Watchdog::Watch first_watch(watchdog, 1, first);
  WaitFor(first.get_token());
  Watchdog::Watch second_watch(watchdog, 1, second);
  WaitFor(second.get_token());
  EXPECT_TRUE(second_watch.expired());
}

TEST(Watchdog, AWatchThatEndedInTimeStopsNothing) {
  Watchdog watchdog;
  std::stop_source early, later;
  // Long enough for a busy machine to end the first one in time.
  { Watchdog::Watch watch(watchdog, 1000, early); }
  Watchdog::Watch watch(watchdog, 1100, later);
  WaitFor(later.get_token());
  EXPECT_FALSE(early.stop_requested());
}

}  // namespace
}  // namespace bulkhaul
