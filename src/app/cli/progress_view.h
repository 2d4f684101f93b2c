// Which progress a run shows on stderr, and who else may write there.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "plan/options.h"
#include "run/progress.h"

namespace bulkhaul {

struct ProgressView {
  std::shared_ptr<ProgressSink> sink;  // nullptr: none
  bool log_to_stderr = true;  // false while a live view owns the terminal, or events are JSON
  bool json = false;
  int64_t interval_ms = 1000;

  // Ends a live view, so that the terminal is free.
  void Close() const;
  // A line, and a hint when it is not "", on stderr; as one JSON event when events are JSON.
  void Say(const std::string& line, const std::string& hint) const;
};

// From `progress` (auto: live on a terminal, else lines) and `log_level`.
ProgressView MakeProgressView(const Options& options);

}  // namespace bulkhaul
