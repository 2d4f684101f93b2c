// The date formats of mappings: named ones and patterns of Java's DateTimeFormatter.
// Sources: Elasticsearch guide, "format" (mapping parameter); OpenSearch documentation, "Date field
// type", "Formats"; Java SE documentation, java.time.format.DateTimeFormatter, "Patterns".
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace bulkhaul::search {

// The format of a date field whose mapping names none. OpenSearch has a first one of its own
// (strict_date_time_no_millis), which strict_date_optional_time includes.
inline constexpr char kDefaultDateFormat[] = "strict_date_optional_time||epoch_millis";

struct Instant {
  int64_t seconds = 0;  // since 1970-01-01T00:00:00Z, rounded down
  int32_t nanos = 0;    // 0 to 999,999,999
  bool operator==(const Instant&) const = default;
};

// Immutable after Make().
class DateFormat {
 public:
  // "a||b||c": the first that fits a text wins. kUser, naming the part, for a format that is not
  // supported: patterns with weeks (the names with weeks are), time zones by name, localised texts.
  static Result<DateFormat> Make(std::string_view format, std::string_view locale = {});

  // The instant of a text (a number is taken as its digits, as the servers do); a date without a
  // time zone is UTC, without a time its midnight, and parts before the first given one are those
  // of 1970-01-01. Nothing when no format fits.
  std::optional<Instant> Parse(std::string_view text) const;

 private:
  // One step of a pattern.
  struct Step {
    enum class Kind {
      kYear,
      kYearOfTwoDigits,
      kMonth,
      kMonthName,
      kDay,
      kDayOfYear,
      kDayName,
      kWeekYear,
      kWeek,
      kWeekDay,
      kHour,
      kHourOfHalfDay,
      kMinute,
      kSecond,
      kFraction,
      kHalfDay,
      kZone,
      kLiteral,
      kOptional
    };
    Kind kind;
    int digits_min = 1, digits_max = 1;
    std::string literal;
    std::vector<Step> optional;  // kOptional: these, or nothing
  };
  struct One {
    enum class Kind { kIso, kEpochMillis, kEpochSeconds, kPattern } kind;
    bool strict = true;
    std::vector<Step> steps;
  };
  struct Fields;

  static Result<One> MakeOne(std::string_view name);
  static Result<std::vector<Step>> Compile(std::string_view pattern, bool is_name,
                                           std::string_view* rest, int depth);
  static Result<Step> CompileLetters(char letter, int count, bool is_name);
  static bool ParseSteps(const std::vector<Step>& steps, std::string_view* text, Fields* fields);
  static bool ParseStep(const Step& step, std::string_view* text, Fields* fields);

  std::vector<One> formats_;
};

// The fast way for what nearly all documents hold: yyyy-MM-dd['T'HH[:mm[:ss[.fraction]]][zone]],
// shortened from the right.
std::optional<Instant> ParseIsoInstant(std::string_view text, bool strict);

}  // namespace bulkhaul::search
