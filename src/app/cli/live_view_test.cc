#include "app/cli/live_view.h"

#include <cstdlib>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace bulkhaul {
namespace {

using testing::HasSubstr;

ProgressEvent Tick(int tables) {
  ProgressEvent event;
  event.kind = ProgressKind::kTick;
  event.totals.tables = 20;
  event.totals.tables_done = 3;
  event.totals.rows = 1'234'567;
  event.totals.fraction = 0.25;
  event.totals.eta_ms = 90'000;
  event.totals.rss_bytes = 120 << 20;
  event.totals.memory_limit_bytes = int64_t{1} << 30;
  for (int i = 0; i < tables; ++i) {
    ActiveTable table;
    table.dataset = {"public", "t" + std::to_string(i)};
    table.units = 8;
    table.units_done = 2;
    table.rows = 50;
    table.estimated_rows = 100;
    event.active.push_back(table);
  }
  return event;
}

// Bytes that begin a character.
int Width(const std::string& line) {
  int width = 0;
  for (const char c : line) width += (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  return width;
}

TEST(LiveLines, SaysHowFarTheWholeAndEachTableIs) {
  const auto lines = LiveLines(Tick(2), false, {120, 24});
  ASSERT_EQ(lines.size(), 4u);
  EXPECT_THAT(lines[0], HasSubstr(" 25 %"));
  EXPECT_THAT(lines[0], HasSubstr("3/20 tables"));
  EXPECT_THAT(lines[0], HasSubstr("ETA 1 m 30 s"));
  EXPECT_THAT(lines[1], HasSubstr("1,234,567 rows"));
  EXPECT_THAT(lines[1], HasSubstr("RSS 120 MiB of 1 GiB"));
  EXPECT_THAT(lines[2], HasSubstr("2/8 units"));
  EXPECT_THAT(lines[3], HasSubstr("public.t1"));
}

TEST(LiveLines, SaysWhatCameFromTheCache) {
  auto tick = Tick(0);
  EXPECT_EQ(LiveLines(tick, false, {120, 24})[0].find("cache"), std::string::npos);
  tick.totals.units = 12;
  tick.totals.units_cached = 5;
  EXPECT_THAT(LiveLines(tick, false, {160, 24})[0], HasSubstr("5/12 units from the cache"));
}

TEST(LiveLines, DetailedAddsRates) {
  const auto lines = LiveLines(Tick(0), true, {200, 24});
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_THAT(lines[2], HasSubstr("tables/min"));
  EXPECT_THAT(lines[2], HasSubstr("CPU"));
}

TEST(LiveLines, NeverLeavesTheTerminal) {
  for (const TerminalSize size : {TerminalSize{20, 6}, {40, 10}, {80, 24}, {10, 3}, {200, 4}}) {
    for (const int tables : {0, 1, 5, 50}) {
      for (const bool detailed : {false, true}) {
        const auto lines = LiveLines(Tick(tables), detailed, size);
        EXPECT_LE(lines.size(), std::max<size_t>(size.rows - 1, detailed ? 3 : 2));
        for (const auto& line : lines) EXPECT_LT(Width(line), size.columns);
      }
    }
  }
  EXPECT_THAT(LiveLines(Tick(50), false, {80, 10}).back(), HasSubstr("more"));
}

TEST(LiveLines, NamesCannotMoveTheCursor) {
  auto tick = Tick(1);
  tick.active[0].dataset.name = "evil\x1b[2J\n";
  for (const auto& line : LiveLines(tick, false, {200, 24})) {
    EXPECT_EQ(line.find('\x1b'), std::string::npos);
    EXPECT_EQ(line.find('\n'), std::string::npos);
  }
}

TEST(FailureText, NamesTheTableOnce) {
  ProgressEvent event;
  event.dataset = {"public", "orders"};
  for (const char* message : {"no space left", "public.orders: no space left"}) {
    event.message = message;
    EXPECT_EQ(FailureText(event), "public.orders: no space left");
  }
  event.message = "public.orders, unit 0-3: no space left";
  EXPECT_EQ(FailureText(event), event.message);
  event.message = "public.orders_old: gone";
  EXPECT_EQ(FailureText(event), "public.orders: public.orders_old: gone");
}

TEST(LiveView, ErasesWhatItDrewAndLeavesWarnings) {
  char* text = nullptr;
  size_t bytes = 0;
  std::FILE* out = open_memstream(&text, &bytes);
  {
    LiveView view(out, false);
    view.OnEvent(Tick(1));
    ProgressEvent warning;
    warning.kind = ProgressKind::kWarning;
    warning.message = "workers lowered";
    view.OnEvent(warning);
    view.Close();
    view.OnEvent(Tick(1));  // too late: shows nothing
  }
  std::fclose(out);
  const std::string shown(text, bytes);
  std::free(text);
  EXPECT_THAT(shown, HasSubstr("\x1b[3F\x1b[0Jwarning: workers lowered\n"));
  EXPECT_TRUE(shown.ends_with("\x1b[3F\x1b[0J")) << "the last thing is to take the view away";
}

}  // namespace
}  // namespace bulkhaul
