#include "base/units.h"

#include <array>
#include <cctype>
#include <charconv>
#include <cmath>
#include <ctime>
#include <limits>
#include <optional>

#include <fmt/format.h>

#include "base/text.h"

namespace bulkhaul {
namespace {

constexpr double kLargest = 9.2e18;  // below INT64_MAX, so that the cast is defined

struct Quantity {
  double number;
  std::string unit;  // lower case
};

void SkipSpaces(std::string_view& text) {
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.front()))) {
    text.remove_prefix(1);
  }
}

// Takes "1.5 GiB" off the front of `text`; nullopt when it does not start with a number ≥ 0.
std::optional<Quantity> TakeQuantity(std::string_view& text) {
  SkipSpaces(text);
  Quantity quantity{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), quantity.number,
                                            std::chars_format::fixed);
  if (error != std::errc{} || !std::isfinite(quantity.number) || quantity.number < 0 ||
      std::signbit(quantity.number)) {
    return std::nullopt;
  }
  text.remove_prefix(static_cast<size_t>(end - text.data()));
  SkipSpaces(text);
  while (!text.empty() && std::isalpha(static_cast<unsigned char>(text.front()))) {
    quantity.unit += AsciiLower(text.front());
    text.remove_prefix(1);
  }
  SkipSpaces(text);
  return quantity;
}

std::optional<double> ByteFactor(std::string_view unit) {
  if (unit.empty() || unit == "b") return 1;
  constexpr std::string_view kPrefixes = "kmgtp";
  const auto power = kPrefixes.find(unit.front());
  if (power == std::string_view::npos) return std::nullopt;
  const std::string_view rest = unit.substr(1);
  const double exponent = static_cast<double>(power + 1);
  if (rest.empty() || rest == "i" || rest == "ib") return std::pow(1024.0, exponent);
  if (rest == "b") return std::pow(1000.0, exponent);
  return std::nullopt;
}

std::optional<double> MillisecondFactor(std::string_view unit) {
  if (unit == "ms") return 1;
  if (unit.empty() || unit == "s" || unit == "sec") return 1000;
  if (unit == "m" || unit == "min") return 60e3;
  if (unit == "h") return 3600e3;
  if (unit == "d") return 86400e3;
  return std::nullopt;
}

std::string TrimmedDecimal(double number) {
  std::string text = fmt::format("{:.1f}", number);
  if (text.ends_with(".0")) text.resize(text.size() - 2);
  return text;
}

}  // namespace

Result<int64_t> ParseBytes(std::string_view text) {
  std::string_view rest = text;
  const auto quantity = TakeQuantity(rest);
  const auto factor = quantity ? ByteFactor(quantity->unit) : std::nullopt;
  if (!factor || !rest.empty()) {
    return UserError(
        fmt::format("'{}' is not a size: write bytes as 1048576, 64MiB or 1.5GB", text));
  }
  const double bytes = quantity->number * *factor;
  if (bytes > kLargest) return UserError(fmt::format("size '{}' is too large", text));
  return static_cast<int64_t>(std::llround(bytes));
}

Result<int64_t> ParseDurationMs(std::string_view text) {
  std::string_view rest = text;
  if (text == "none") return 0;
  double milliseconds = 0;
  bool any = false;
  do {
    const auto quantity = TakeQuantity(rest);
    // A bare number is seconds, but only alone: "1h30" does not say what 30 is.
    const auto factor = quantity && !(any && quantity->unit.empty())
                            ? MillisecondFactor(quantity->unit)
                            : std::nullopt;
    if (!factor || (quantity->unit.empty() && !rest.empty())) {
      return UserError(
          fmt::format("'{}' is not a duration: write it as 500ms, 30s, 1h30m, 30d or none", text));
    }
    milliseconds += quantity->number * *factor;
    any = true;
  } while (!rest.empty());
  if (milliseconds > kLargest) return UserError(fmt::format("duration '{}' is too long", text));
  return static_cast<int64_t>(std::llround(milliseconds));
}

std::string FormatBytes(int64_t bytes) {
  constexpr std::array<const char*, 6> kUnits = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
  double number = static_cast<double>(bytes);
  size_t unit = 0;
  while (std::abs(number) >= 1024 && unit + 1 < kUnits.size()) {
    number /= 1024;
    ++unit;
  }
  return TrimmedDecimal(number) + " " + kUnits[unit];
}

std::string FormatCount(int64_t count) {
  std::string text = fmt::format("{}", count);
  const size_t first = count < 0 ? 1 : 0;
  for (size_t place = text.size(); place > first + 3; place -= 3) text.insert(place - 3, 1, ',');
  return text;
}

std::string FormatDurationMs(int64_t milliseconds) {
  if (milliseconds < 1000) return fmt::format("{} ms", milliseconds);
  if (milliseconds < 59'950) return TrimmedDecimal(static_cast<double>(milliseconds) / 1000) + " s";
  const int64_t seconds = (milliseconds + 500) / 1000;
  if (seconds < 3600) return fmt::format("{} m {} s", seconds / 60, seconds % 60);
  if (seconds < 86'400) return fmt::format("{} h {} m", seconds / 3600, seconds / 60 % 60);
  return fmt::format("{} d {} h", seconds / 86'400, seconds / 3600 % 24);
}

std::string FormatUtc(std::chrono::system_clock::time_point time) {
  const std::time_t seconds = std::chrono::system_clock::to_time_t(time);
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z", parts.tm_year + 1900, parts.tm_mon + 1,
                     parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec);
}

}  // namespace bulkhaul
