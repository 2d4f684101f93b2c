#include "base/log.h"

#include <array>
#include <atomic>
#include <memory>
#include <vector>

#include <fmt/format.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include "base/secret.h"

namespace bulkhaul {
namespace {

constexpr std::array<std::string_view, 4> kLevelNames = {"basic", "detailed", "extra", "full"};

std::atomic<int> log_level{static_cast<int>(LogLevel::kBasic)};

std::shared_ptr<spdlog::logger>& Logger() {
  static auto logger = std::make_shared<spdlog::logger>(
      "bulkhaul", std::make_shared<spdlog::sinks::stderr_sink_mt>());
  return logger;
}

}  // namespace

Result<LogLevel> LogLevelFromName(std::string_view name) {
  for (size_t i = 0; i < kLevelNames.size(); ++i) {
    if (kLevelNames[i] == name) return static_cast<LogLevel>(i);
  }
  return UserError(
      fmt::format("'{}' is not a log level: use basic, detailed, extra or full", name));
}

Status InitLog(LogLevel level, const std::string& file, bool to_stderr) {
  std::vector<spdlog::sink_ptr> sinks;
  if (to_stderr) sinks.push_back(std::make_shared<spdlog::sinks::stderr_sink_mt>());
  if (!file.empty()) {
    try {
      sinks.push_back(std::make_shared<spdlog::sinks::basic_file_sink_mt>(file));
    } catch (const spdlog::spdlog_ex& error) {
      return UserError(fmt::format("cannot open log file '{}': {}", file, error.what()));
    }
  }
  auto logger = std::make_shared<spdlog::logger>("bulkhaul", sinks.begin(), sinks.end());
  logger->set_pattern("%Y-%m-%dT%H:%M:%S.%eZ %^%l%$ %v", spdlog::pattern_time_type::utc);
  logger->flush_on(spdlog::level::info);
  Logger() = std::move(logger);
  log_level = static_cast<int>(level);
  return Status::OK();
}

bool LogEnabled(LogLevel level) {
  return static_cast<int>(level) <= log_level.load(std::memory_order_relaxed);
}

void Log(LogLevel level, std::string_view message) {
  if (LogEnabled(level)) Logger()->log(spdlog::level::info, Redact(message));
}

void LogWarning(std::string_view message) { Logger()->log(spdlog::level::warn, Redact(message)); }

}  // namespace bulkhaul
