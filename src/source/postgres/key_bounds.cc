#include "source/postgres/key_bounds.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <optional>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "client/postgres/sql_text.h"
#include "source/postgres/catalog.h"
#include "source/postgres/unit_sql.h"

namespace bulkhaul::postgres {
namespace {

constexpr std::string_view kFindBounds = "cannot find the bounds of the split key";
constexpr long double kMicrosADay = 86'400'000'000.0L;
// Rows of the sample for each unit that is wanted: the ranges' sizes then vary by about 6 %.
constexpr int64_t kSampleRowsPerUnit = 300;

struct KeyColumn {
  std::string type;       // without a modifier
  std::string collation;  // " COLLATE …", or ""
  KeyScale scale = KeyScale::kNone;
  bool nullable = true;
};

std::optional<std::chrono::sys_days> ParseDay(std::string_view text) {
  int year = 0;
  unsigned month = 0, day = 0;
  if (text.size() < 10 || text[4] != '-' || text[7] != '-') return std::nullopt;
  const auto number = [&](size_t at, size_t length, auto* value) {
    const char* begin = text.data() + at;
    return std::from_chars(begin, begin + length, *value).ptr == begin + length;
  };
  if (!number(0, 4, &year) || !number(5, 2, &month) || !number(8, 2, &day)) return std::nullopt;
  const std::chrono::year_month_day date{std::chrono::year(year), std::chrono::month(month),
                                         std::chrono::day(day)};
  if (!date.ok()) return std::nullopt;
  return std::chrono::sys_days(date);
}

// "2020-01-31 12:34:56.789+01", as DateStyle ISO writes it; years of four digits, no BC.
bool ParseTimestamp(std::string_view text, long double* micros) {
  if (text.find('B') != std::string_view::npos) return false;
  const auto day = ParseDay(text);
  if (!day || text.size() < 19 || text[10] != ' ') return false;
  int hour = 0, minute = 0;
  long double seconds = 0;
  const std::string clock(text.substr(11));
  int used = 0;
  if (std::sscanf(clock.c_str(), "%d:%d:%Lf%n", &hour, &minute, &seconds, &used) != 3) return false;
  long double offset_seconds = 0;
  if (static_cast<size_t>(used) < clock.size()) {
    const char* zone = clock.c_str() + used;
    int hours = 0, minutes = 0;
    if (std::sscanf(zone + 1, "%d:%d", &hours, &minutes) < 1) return false;
    offset_seconds = hours * 3600.0L + minutes * 60.0L;
    if (*zone == '-') offset_seconds = -offset_seconds;
  }
  *micros = static_cast<long double>(day->time_since_epoch().count()) * kMicrosADay +
            (hour * 3600.0L + minute * 60.0L + seconds - offset_seconds) * 1e6L;
  return true;
}

std::string DayText(int64_t days) {
  const std::chrono::year_month_day date{std::chrono::sys_days(std::chrono::days(days))};
  return fmt::format("{:04}-{:02}-{:02}", static_cast<int>(date.year()),
                     static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()));
}

Status NoSuchColumn(const Dataset& dataset, const std::string& key,
                    const std::vector<std::string>& names) {
  const auto near = NearestName(key, names);
  return UserError(fmt::format("split_by: {} has no column '{}'{}", dataset.id.ToString(), key,
                               near ? fmt::format("; did you mean '{}'?", *near) : ""),
                   "42703");
}

Result<KeyColumn> DescribeKey(Connection& connection, const Dataset& dataset,
                              const TableState& state, const std::string& key,
                              const WaitLimit& limit) {
  std::string source;
  std::vector<std::string> names;
  for (const auto& column : state.columns) names.push_back(column.name);
  if (state.kind == 'q') {
    const auto found = std::find(names.begin(), names.end(), key);
    if (found == names.end()) return NoSuchColumn(dataset, key, names);
    source = fmt::format(
        "(SELECT {}::pg_catalog.oid AS type, false AS not_null, t.typcollation AS collation FROM "
        "pg_catalog.pg_type t WHERE t.oid = {}) a",
        state.columns[static_cast<size_t>(found - names.begin())].type->oid,
        state.columns[static_cast<size_t>(found - names.begin())].type->oid);
  } else {
    source = fmt::format(
        "(SELECT atttypid AS type, attnotnull AS not_null, attcollation AS collation FROM "
        "pg_catalog.pg_attribute WHERE attrelid = {} AND attname = {} AND attnum > 0 AND NOT "
        "attisdropped) a",
        state.oid, QuoteLiteral(key));
  }
  ARROW_ASSIGN_OR_RAISE(
      auto rows,
      connection.QueryOne(
          fmt::format(
              "WITH RECURSIVE base(oid, next) AS (SELECT t.oid, t.typbasetype FROM {} JOIN "
              "pg_catalog.pg_type t ON t.oid = a.type UNION SELECT t.oid, t.typbasetype FROM base "
              "b JOIN pg_catalog.pg_type t ON t.oid = b.next) SELECT b.oid, "
              "pg_catalog.format_type(b.oid, -1), a.not_null, n.nspname, c.collname FROM base b, "
              "{} "
              "LEFT JOIN pg_catalog.pg_collation c ON c.oid = a.collation AND c.collname <> "
              "'default' LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.collnamespace "
              "WHERE b.next = 0",
              source, source),
          limit, kFindBounds));
  if (rows.rows() == 0) return NoSuchColumn(dataset, key, names);
  KeyColumn column{.type = std::string(rows.text(0, 1)),
                   .collation = {},
                   .scale = KeyScaleOf(static_cast<uint32_t>(rows.integer(0, 0))),
                   .nullable = true};
  const bool proven = (state.kind == 'r' && !state.children) || state.kind == 'p';
  column.nullable = !(proven && rows.boolean(0, 2));
  if (!rows.is_null(0, 4)) {
    column.collation = " COLLATE " + QuoteQualified(rows.text(0, 3), rows.text(0, 4));
  }
  return column;
}

// What pg_stats knows of the column, as points with weights.
Result<std::vector<KeyPoint>> ReadStatistics(Connection& connection, const TableState& state,
                                             const std::string& key, const KeyColumn& column,
                                             const WaitLimit& limit) {
  const Relation& table = state.relations.at(0);
  ARROW_ASSIGN_OR_RAISE(
      auto rows,
      connection.QueryOne(
          fmt::format(
              "WITH s AS (SELECT histogram_bounds::pg_catalog.text::pg_catalog.text[] AS h, "
              "most_common_vals::pg_catalog.text::pg_catalog.text[] AS v, most_common_freqs AS f, "
              "null_frac FROM pg_catalog.pg_stats WHERE schemaname = {} AND tablename = {} AND "
              "attname = {} ORDER BY inherited DESC LIMIT 1) "
              "SELECT p.k::pg_catalog.text, p.f, p.null_frac FROM ("
              "SELECT u::{} AS k, NULL::pg_catalog.float4 AS f, s.null_frac FROM s, "
              "pg_catalog.unnest(s.h) u UNION ALL SELECT x.v::{}, x.f, s.null_frac FROM s, "
              "ROWS FROM (pg_catalog.unnest(s.v), pg_catalog.unnest(s.f)) AS x(v, f)) p "
              "ORDER BY p.k{}, p.f IS NULL",
              QuoteLiteral(table.schema), QuoteLiteral(table.name), QuoteLiteral(key), column.type,
              column.type, column.collation),
          limit, kFindBounds));
  double common = 0, null_share = 0;
  int bounds = 0;
  for (int i = 0; i < rows.rows(); ++i) {
    null_share = std::atof(std::string(rows.text(i, 2)).c_str());
    if (rows.is_null(i, 1)) {
      ++bounds;
    } else {
      common += std::atof(std::string(rows.text(i, 1)).c_str());
    }
  }
  const double bucket = bounds > 1 ? std::max(0.0, 1 - null_share - common) / (bounds - 1) : 0;
  std::vector<KeyPoint> points;
  int bounds_seen = 0;
  size_t bucket_begin = 0;
  const auto close_bucket = [&](size_t end) {
    if (bounds_seen == 0 || end == bucket_begin) return;
    for (size_t i = bucket_begin; i < end; ++i) {
      points[i].gap_weight = bucket / static_cast<double>(end - bucket_begin);
    }
  };
  for (int i = 0; i < rows.rows(); ++i) {
    if (rows.is_null(i, 1)) {
      close_bucket(points.size());
      bucket_begin = points.size();
      ++bounds_seen;
      points.push_back({.text = std::string(rows.text(i, 0))});
    } else {
      points.push_back({.text = std::string(rows.text(i, 0)),
                        .weight = std::atof(std::string(rows.text(i, 1)).c_str())});
    }
  }
  return points;
}

// Quantiles of the key's values. `sample_percent` 0: of all of them.
Result<std::vector<std::string>> ReadQuantiles(Connection& connection, const Dataset& dataset,
                                               const TableState& state, const std::string& key,
                                               double sample_percent, int64_t units,
                                               const WaitLimit& limit) {
  std::string shares;
  for (int64_t i = 1; i < units; ++i) {
    shares +=
        fmt::format("{}{}", i > 1 ? "," : "", static_cast<double>(i) / static_cast<double>(units));
  }
  std::string from = FromItem(state, {}, dataset.options);
  if (sample_percent > 0) {
    from += fmt::format(" TABLESAMPLE SYSTEM ({}) REPEATABLE (1)", sample_percent);
  }
  const std::string& where = dataset.options.GetString("where");
  ARROW_ASSIGN_OR_RAISE(
      auto rows,
      connection.QueryOne(
          fmt::format(
              "SELECT u.value::pg_catalog.text FROM (SELECT pg_catalog.percentile_disc("
              "'{{{}}}'::pg_catalog.float8[]) WITHIN GROUP (ORDER BY {}) AS cuts FROM {}{}) "
              "s, pg_catalog.unnest(s.cuts) WITH ORDINALITY AS u(value, place) "
              "WHERE u.value IS NOT NULL ORDER BY u.place",
              shares, QuoteIdentifier(key), from,
              where.empty() ? "" : fmt::format(" WHERE ({}\n)", where)),
          limit, kFindBounds));
  std::vector<std::string> cuts;
  for (int i = 0; i < rows.rows(); ++i) {
    std::string cut(rows.text(i, 0));
    if (!cut.empty() && (cuts.empty() || cuts.back() != cut)) cuts.push_back(std::move(cut));
  }
  return cuts;
}

bool CanSample(const TableState& state) {
  if (state.kind != 'r' && state.kind != 'm' && state.kind != 'p') return false;
  return std::all_of(state.relations.begin(), state.relations.end(), [](const Relation& relation) {
    return relation.kind == 'r' || relation.kind == 'm' || relation.kind == 'p';
  });
}

// Per cent of the pages that give enough rows for the sample.
double SamplePercent(const Dataset& dataset, const TableState& state, int64_t units) {
  int64_t pages = 0;
  for (const auto& relation : state.relations) pages += relation.pages;
  if (pages <= 1000) return 100;
  const double rows_a_page =
      dataset.estimated_rows > 0
          ? std::max(1.0, static_cast<double>(dataset.estimated_rows) / static_cast<double>(pages))
          : 20;
  const double wanted = static_cast<double>(units * kSampleRowsPerUnit) / rows_a_page;
  return std::clamp(100 * std::max(wanted, 300.0) / static_cast<double>(pages), 0.001, 100.0);
}

}  // namespace

KeyScale KeyScaleOf(uint32_t type_oid) {
  switch (type_oid) {
    case 20:  // int8
    case 21:  // int2
    case 23:  // int4
    case 26:  // oid
      return KeyScale::kInteger;
    case 700:   // float4
    case 701:   // float8
    case 1700:  // numeric
      return KeyScale::kReal;
    case 1082:
      return KeyScale::kDate;
    case 1114:
      return KeyScale::kTimestamp;
    case 1184:
      return KeyScale::kTimestamptz;
    case 2950:
      return KeyScale::kUuid;
    default:
      return KeyScale::kNone;
  }
}

bool PlaceOnScale(KeyScale scale, std::string_view text, long double* place) {
  switch (scale) {
    case KeyScale::kNone:
      return false;
    case KeyScale::kInteger: {
      int64_t value = 0;
      const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
      *place = static_cast<long double>(value);
      return parsed.ec == std::errc() && parsed.ptr == text.data() + text.size();
    }
    case KeyScale::kReal: {
      const std::string copy(text);
      char* end = nullptr;
      *place = std::strtold(copy.c_str(), &end);
      return end == copy.c_str() + copy.size() && !copy.empty() && std::isfinite(*place);
    }
    case KeyScale::kDate: {
      const auto day = ParseDay(text);
      if (!day || text.size() != 10) return false;
      *place = static_cast<long double>(day->time_since_epoch().count());
      return true;
    }
    case KeyScale::kTimestamp:
    case KeyScale::kTimestamptz:
      return ParseTimestamp(text, place);
    case KeyScale::kUuid: {
      std::string digits;
      for (const char byte : text.substr(0, std::min<size_t>(18, text.size()))) {
        if (byte != '-') digits += byte;
      }
      uint64_t high = 0;
      const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), high, 16);
      *place = static_cast<long double>(high);
      return parsed.ec == std::errc() && digits.size() == 16;
    }
  }
  return false;
}

std::string TextAt(KeyScale scale, long double place) {
  switch (scale) {
    case KeyScale::kNone:
      return "";
    case KeyScale::kInteger:
      return std::to_string(static_cast<int64_t>(std::floor(place)));
    case KeyScale::kReal: {
      char text[64];
      std::snprintf(text, sizeof text, "%.18Lg", place);
      return text;
    }
    case KeyScale::kDate:
      return DayText(static_cast<int64_t>(std::floor(place)));
    case KeyScale::kTimestamp:
    case KeyScale::kTimestamptz: {
      const auto days = static_cast<int64_t>(std::floor(place / kMicrosADay));
      const auto micros =
          static_cast<int64_t>(std::floor(place - static_cast<long double>(days) * kMicrosADay));
      const int64_t seconds = micros / 1'000'000;
      return fmt::format("{} {:02}:{:02}:{:02}.{:06}{}", DayText(days), seconds / 3600,
                         seconds / 60 % 60, seconds % 60, micros % 1'000'000,
                         scale == KeyScale::kTimestamptz ? "+00" : "");
    }
    case KeyScale::kUuid: {
      const auto high = static_cast<uint64_t>(place);
      return fmt::format("{:08x}-{:04x}-{:04x}-0000-000000000000", high >> 32, high >> 16 & 0xFFFF,
                         high & 0xFFFF);
    }
  }
  return "";
}

std::vector<std::string> EvenCuts(const std::vector<KeyPoint>& points, KeyScale scale,
                                  int64_t units) {
  std::vector<std::string> cuts;
  double total = 0;
  for (const auto& point : points) total += point.weight + point.gap_weight;
  if (units <= 1 || points.empty() || total <= 0) return cuts;
  const double target = total / static_cast<double>(units);
  double filled = 0;
  const auto cut_at = [&](const std::string& text) {
    filled = 0;
    if (text.empty() || static_cast<int64_t>(cuts.size()) + 1 >= units) return;
    if (cuts.empty() || cuts.back() != text) cuts.push_back(text);
  };
  for (size_t i = 0; i < points.size(); ++i) {
    const KeyPoint& point = points[i];
    // Before a heavy value, and where the range is full already.
    if (i > 0 && filled > 0 && (filled >= target * 0.999 || filled + point.weight > target * 1.5)) {
      cut_at(point.text);
    }
    filled += point.weight;
    long double low = 0, high = 0;
    const bool has_gap = i + 1 < points.size() && point.gap_weight > 0 &&
                         PlaceOnScale(scale, point.text, &low) &&
                         PlaceOnScale(scale, points[i + 1].text, &high) && low < high;
    double left = point.gap_weight;
    std::string last = point.text;
    while (has_gap && filled + left > target * 1.001) {
      const double into = std::max(0.0, target - filled);
      const double share = (point.gap_weight - left + into) / point.gap_weight;
      std::string text = TextAt(scale, low + (high - low) * static_cast<long double>(share));
      long double at = 0, before = 0;
      // Rounding may give the end of the gap, or the last cut once more.
      if (!PlaceOnScale(scale, text, &at) || !PlaceOnScale(scale, last, &before) || at <= before ||
          at >= high) {
        break;
      }
      cut_at(text);
      last = std::move(text);
      left -= into;
    }
    filled += std::max(0.0, left);
  }
  return cuts;
}

Result<KeyBounds> FindKeyBounds(Connection& connection, const Dataset& dataset,
                                const TableState& state, const std::string& key,
                                int64_t wanted_units, const WaitLimit& limit) {
  ARROW_ASSIGN_OR_RAISE(const auto column, DescribeKey(connection, dataset, state, key, limit));
  KeyBounds bounds{.type = column.type, .nullable = column.nullable, .cuts = {}};
  if (wanted_units <= 1) return bounds;
  if (state.kind != 'q' && state.kind != 'v') {
    ARROW_ASSIGN_OR_RAISE(const auto points, ReadStatistics(connection, state, key, column, limit));
    const bool enough =
        column.scale != KeyScale::kNone || static_cast<int64_t>(points.size()) >= 2 * wanted_units;
    if (points.size() >= 2 && enough) {
      bounds.cuts = EvenCuts(points, column.scale, wanted_units);
      return bounds;
    }
  }
  const double percent = CanSample(state) ? SamplePercent(dataset, state, wanted_units) : 0;
  ARROW_ASSIGN_OR_RAISE(
      bounds.cuts, ReadQuantiles(connection, dataset, state, key, percent, wanted_units, limit));
  return bounds;
}

Status EstimateByPlanner(Connection& connection, const TableState& state, Dataset* dataset,
                         const WaitLimit& limit) {
  // By name: with a grant on some columns only, a star is refused.
  std::string columns;
  for (const auto& column : state.columns) {
    columns += (columns.empty() ? "" : ", ") + QuoteIdentifier(column.name);
  }
  std::string sql = fmt::format("EXPLAIN (FORMAT JSON) SELECT {} FROM {}", columns,
                                FromItem(state, {}, dataset->options));
  const std::string& where = dataset->options.GetString("where");
  if (!where.empty()) sql += fmt::format(" WHERE ({}\n)", where);
  ARROW_ASSIGN_OR_RAISE(auto rows, connection.QueryOne(sql, limit, "cannot estimate the rows"));
  const auto plan = nlohmann::json::parse(rows.text(0, 0), nullptr, false);
  if (plan.is_discarded() || !plan.is_array() || plan.empty()) return Status::OK();
  const auto top = plan[0].value("Plan", nlohmann::json::object());
  const double count = top.value("Plan Rows", 0.0), width = top.value("Plan Width", 0.0);
  if (dataset->estimated_rows < 0) dataset->estimated_rows = static_cast<int64_t>(count);
  if (dataset->estimated_bytes < 0) {
    // 24 bytes of header and 4 of line pointer a row, as a table would have them.
    dataset->estimated_bytes = static_cast<int64_t>(count * (width + 28));
  }
  return Status::OK();
}

}  // namespace bulkhaul::postgres
