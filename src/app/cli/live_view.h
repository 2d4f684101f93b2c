// The live view of a run on a terminal: a bar for the whole, a line for each table at work.
#pragma once

#include <cstdio>
#include <mutex>
#include <string>
#include <vector>

#include "run/progress.h"

namespace bulkhaul {

struct TerminalSize {
  int columns = 80;
  int rows = 24;
};
// Of the terminal that `out` writes to; 80 × 24 where it does not say.
TerminalSize TerminalSizeOf(std::FILE* out);

// The lines of one tick, none wider than the terminal and not more than fit. Pure.
std::vector<std::string> LiveLines(const ProgressEvent& tick, bool detailed, TerminalSize size);

// Thread-safe. What happens (warnings, retries, failures) scrolls by above the view.
class LiveView : public ProgressSink {
 public:
  LiveView(std::FILE* out, bool detailed) : out_(out), detailed_(detailed) {}
  ~LiveView() override { Close(); }
  void OnEvent(const ProgressEvent& event) override;
  // Takes the view away; the terminal is as before.
  void Close();

 private:
  void Erase(std::string& text);

  std::FILE* const out_;
  const bool detailed_;
  std::mutex mutex_;
  size_t lines_shown_ = 0;  // guarded by mutex_, as below
  std::vector<std::string> lines_;
  bool closed_ = false;
};

}  // namespace bulkhaul
