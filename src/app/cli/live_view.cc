#include "app/cli/live_view.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>

#include <fmt/format.h>

#include "base/units.h"

namespace bulkhaul {
namespace {

constexpr int kTablesMax = 12;

bool Continues(char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; }

// Control characters in table names and messages must not move the cursor.
std::string Printable(std::string_view text) {
  std::string shown(text);
  for (char& c : shown) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = '?';
  }
  return shown;
}

// At most `columns` characters; a UTF-8 character counts one.
std::string Clipped(std::string text, int columns) {
  int width = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    if (Continues(text[i])) continue;
    if (width++ == columns) {
      text.resize(i);
      break;
    }
  }
  return text;
}

std::string Bar(double fraction, int width) {
  if (fraction < 0) return std::string(width, ' ');
  const int full = static_cast<int>(std::clamp(fraction, 0.0, 1.0) * width);
  std::string bar;
  for (int i = 0; i < width; ++i) bar += i < full ? "█" : "░";
  return bar;
}

std::string TableLine(const ActiveTable& table) {
  const double share =
      table.estimated_rows > 0
          ? static_cast<double>(table.rows) / static_cast<double>(table.estimated_rows)
          : static_cast<double>(table.units_done) /
                static_cast<double>(std::max<int64_t>(1, table.units));
  return fmt::format("  {} {:>3.0f} %  {}/{} units  {} rows  {}", Bar(share, 10),
                     std::min(share, 1.0) * 100, table.units_done, table.units,
                     FormatCount(table.rows), Printable(table.dataset.ToString()));
}

}  // namespace

TerminalSize TerminalSizeOf(std::FILE* out) {
  TerminalSize size;
  winsize answer{};
  if (ioctl(fileno(out), TIOCGWINSZ, &answer) == 0 && answer.ws_col > 0 && answer.ws_row > 0) {
    size.columns = answer.ws_col;
    size.rows = answer.ws_row;
  }
  return size;
}

std::vector<std::string> LiveLines(const ProgressEvent& tick, bool detailed, TerminalSize size) {
  const ProgressTotals& totals = tick.totals;
  std::vector<std::string> lines;
  const std::string percent =
      totals.fraction < 0 ? "  ? %" : fmt::format("{:>3.0f} %", totals.fraction * 100);
  const std::string eta = totals.eta_ms < 0 ? "" : "  ETA " + FormatDurationMs(totals.eta_ms);
  lines.push_back(fmt::format(
      "{} {}  {}/{} tables  {}{}", Bar(totals.fraction, std::clamp(size.columns / 3, 10, 40)),
      percent, totals.tables_done, totals.tables, FormatDurationMs(totals.elapsed_ms), eta));
  if (totals.units_cached > 0) {
    lines.back() += fmt::format("  {}/{} units from the cache", totals.units_cached, totals.units);
  }
  lines.push_back(fmt::format("{} rows  {}  {} rows/s  {:.1f} MB/s  RSS {} of {}",
                              FormatCount(totals.rows), FormatBytes(totals.bytes),
                              FormatCount(static_cast<int64_t>(totals.rows_per_second)),
                              totals.megabytes_per_second, FormatBytes(totals.rss_bytes),
                              FormatBytes(totals.memory_limit_bytes)));
  if (detailed) {
    lines.push_back(fmt::format(
        "{:.0f} tables/min  {:.0f} units/min  CPU {:.1f} cores  disk {:.1f} MB/s read, {:.1f} "
        "written  network {:.1f} MB/s  {} retries",
        totals.tables_per_minute, totals.units_per_minute, totals.cpu_cores,
        totals.disk_read_megabytes_per_second, totals.disk_write_megabytes_per_second,
        totals.megabytes_per_second, totals.retries));
  }
  // One line of the terminal stays free for the cursor.
  const int room = std::clamp(size.rows - static_cast<int>(lines.size()) - 1, 0, kTablesMax);
  int shown = 0;
  for (const auto& table : tick.active) {
    if (shown == room) break;
    const bool last = shown + 1 == room;
    const size_t left = tick.active.size() - static_cast<size_t>(shown);
    if (last && left > 1) {
      lines.push_back(fmt::format("  … and {} tables more", left));
      break;
    }
    lines.push_back(TableLine(table));
    ++shown;
  }
  for (auto& line : lines) line = Clipped(std::move(line), size.columns - 1);
  return lines;
}

void LiveView::Erase(std::string& text) {
  // Source: ECMA-48: CPL moves to the start of the n-th line above, ED clears from there on.
  if (lines_shown_ > 0) text += fmt::format("\x1b[{}F\x1b[0J", lines_shown_);
  lines_shown_ = 0;
}

void LiveView::OnEvent(const ProgressEvent& event) {
  std::string above;
  switch (event.kind) {
    case ProgressKind::kWarning:
      above = "warning: " + Printable(event.message);
      break;
    case ProgressKind::kRetry:
      above = fmt::format("retry in {}: {}", FormatDurationMs(event.delay_ms),
                          Printable(event.message));
      break;
    case ProgressKind::kTableFailed:
      above = "failed: " + Printable(FailureText(event));
      break;
    case ProgressKind::kTick:
    case ProgressKind::kJobDone:
      break;
    default:
      return;
  }
  std::lock_guard lock(mutex_);
  if (closed_ && above.empty()) return;
  if (event.kind == ProgressKind::kTick) {
    lines_ = LiveLines(event, detailed_, TerminalSizeOf(out_));
  } else if (event.kind == ProgressKind::kJobDone) {
    lines_.clear();
  }
  std::string text;
  Erase(text);
  if (!above.empty()) text += above + "\n";
  if (!closed_) {
    for (const auto& line : lines_) text += line + "\n";
    lines_shown_ = lines_.size();
  }
  std::fwrite(text.data(), 1, text.size(), out_);
  std::fflush(out_);
}

void LiveView::Close() {
  std::lock_guard lock(mutex_);
  if (closed_) return;
  closed_ = true;
  std::string text;
  Erase(text);
  std::fwrite(text.data(), 1, text.size(), out_);
  std::fflush(out_);
}

}  // namespace bulkhaul
