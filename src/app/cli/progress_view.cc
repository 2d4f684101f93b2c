#include "app/cli/progress_view.h"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string_view>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "app/cli/live_view.h"
#include "base/log.h"

namespace bulkhaul {
namespace {

constexpr int64_t kLineIntervalMs = 5000;
constexpr int64_t kLiveIntervalMs = 250;

bool TerminalIsCapable() {
  const char* term = std::getenv("TERM");
  return isatty(STDERR_FILENO) == 1 && term != nullptr && std::string_view(term) != "dumb";
}

}  // namespace

void ProgressView::Close() const {
  if (auto* live = dynamic_cast<LiveView*>(sink.get())) live->Close();
}

void ProgressView::Say(const std::string& line, const std::string& hint) const {
  if (json) {
    nlohmann::json event = {{"event", "message"}, {"message", line}};
    if (!hint.empty()) event["hint"] = hint;
    fmt::print(stderr, "{}\n",
               event.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
    return;
  }
  fmt::print(stderr, "{}\n", line);
  if (!hint.empty()) fmt::print(stderr, "hint: {}\n", hint);
}

ProgressView MakeProgressView(const Options& options) {
  ProgressView view;
  std::string form = options.GetString("progress");
  const auto level = LogLevelFromName(options.GetString("log_level"));
  const bool detailed = level.ok() && *level >= LogLevel::kDetailed;
  if (form == "auto") form = TerminalIsCapable() ? "live" : "lines";
  if (form == "json") {
    view.json = true;
    view.log_to_stderr = false;
    view.sink = std::make_shared<JsonLinesProgress>(stderr);
  } else if (form == "live") {
    view.log_to_stderr = false;
    view.interval_ms = kLiveIntervalMs;
    view.sink = std::make_shared<LiveView>(stderr, detailed);
  } else if (form == "lines") {
    view.sink = std::make_shared<LineProgress>(stderr, detailed, kLineIntervalMs);
  }
  return view;
}

}  // namespace bulkhaul
