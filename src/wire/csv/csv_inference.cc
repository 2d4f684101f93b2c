#include "wire/csv/csv_inference.h"

#include <algorithm>

#include <arrow/type_traits.h>
#include <fmt/format.h>

#include "wire/csv/csv_value.h"

namespace bulkhaul::csv {
namespace {

struct Candidate {
  const char* format;
  bool date_only;
};
// Those of one group mean the same text in another way.
constexpr Candidate kPatterns[] = {
    {"d/M/yyyy", true},
    {"M/d/yyyy", true},
    {"d/M/yyyy H:mm[:ss]", false},
    {"M/d/yyyy H:mm[:ss]", false},
    {"d-M-yyyy", true},
    {"M-d-yyyy", true},
    {"d-M-yyyy H:mm[:ss]", false},
    {"M-d-yyyy H:mm[:ss]", false},
    {"yyyy/M/d", true},
    {"yyyy/M/d H:mm[:ss]", false},
    {"d.M.yyyy", true},
    {"d.M.yyyy H:mm[:ss]", false},
};
constexpr int kDecimalDigitsMax = 38;

int FractionDigits(std::string_view value) {
  const auto point = value.find_first_of(".,", 16);
  if (point == std::string_view::npos) return 0;
  int digits = 0;
  for (size_t i = point + 1; i < value.size() && value[i] >= '0' && value[i] <= '9'; ++i) ++digits;
  return digits;
}

}  // namespace

bool MayMeanNull(std::string_view value) {
  static constexpr std::string_view kNulls[] = {"NULL", "null", "Null", "NA",   "N/A",
                                                "n/a",  "\\N",  "#N/A", "None", "<NA>"};
  return std::find(std::begin(kNulls), std::end(kNulls), value) != std::end(kNulls);
}

bool IsValueOf(const arrow::DataType& type, std::string_view text) {
  int64_t integer = 0;
  if (arrow::is_integer(type.id())) {
    const int bits = type.bit_width();
    if (type.id() == arrow::Type::UINT64) {
      uint64_t large = 0;
      return ParseUnsigned(text, &large);
    }
    if (!ParseInteger(text, &integer)) return false;
    if (bits == 64) return true;
    const bool is_signed = arrow::is_signed_integer(type.id());
    const int64_t least = is_signed ? -(int64_t{1} << (bits - 1)) : 0;
    const int64_t most = (int64_t{1} << (is_signed ? bits - 1 : bits)) - 1;
    return integer >= least && integer <= most;
  }
  switch (type.id()) {
    case arrow::Type::FLOAT:
    case arrow::Type::DOUBLE: {
      double real = 0;
      return ParseDouble(text, &real);
    }
    case arrow::Type::BOOL: {
      bool truth = false;
      return ParseBoolean(text, /*loose=*/true, &truth);
    }
    case arrow::Type::DECIMAL128: {
      const auto& decimal = static_cast<const arrow::Decimal128Type&>(type);
      arrow::Decimal128 value;
      return ParseDecimal(text, decimal.precision(), decimal.scale(), &value);
    }
    case arrow::Type::DATE32: {
      int32_t days = 0;
      return ParseDate(text, &days);
    }
    case arrow::Type::TIME64:
      return ParseTime(text, &integer);
    case arrow::Type::TIMESTAMP: {
      const auto& timestamp = static_cast<const arrow::TimestampType&>(type);
      return ParseTimestamp(text, timestamp.unit(), !timestamp.timezone().empty(), &integer);
    }
    default:
      return true;
  }
}

bool IsDatePattern(std::string_view format) {
  return format.find_first_of("Hhms") == std::string_view::npos;
}

ColumnInference::ColumnInference(const InferenceWishes& wishes) : wishes_(wishes) {}

void ColumnInference::Add(std::string_view value) {
  if (MayMeanNull(value)) {
    if (std::find(nulls_.begin(), nulls_.end(), value) == nulls_.end()) nulls_.emplace_back(value);
    return;
  }
  if (values_++ == 0) first_ = value.substr(0, 100);
  if (number_) {
    const NumberShape shape = ShapeOf(value);
    double real;
    int64_t integer;
    // A '+' is that of a telephone number.
    const bool special = !shape.number && !value.starts_with('+') && ParseDouble(value, &real) &&
                         value.find_first_of("0123456789") == std::string_view::npos;
    number_ = shape.number || special;
    integer_ = integer_ && shape.whole && ParseInteger(value, &integer);
    exact_ = exact_ && (special || ParseDouble(value, &real));
    whole_ = whole_ && shape.whole;
    digits_ = std::max(digits_, shape.digits);
    scale_ = std::max(scale_, shape.scale);
    significant_ = std::max(significant_, shape.significant);
    exponent_ = exponent_ || shape.exponent || special;
    if (!number_) integer_ = whole_ = false;
  }
  bool truth;
  boolean_ = boolean_ && ParseBoolean(value, false, &truth);
  int64_t time;
  time_ = time_ && ParseTime(value, &time);
  AddDate(value);
}

void ColumnInference::AddDate(std::string_view value) {
  int32_t days;
  int64_t at;
  const bool date = wishes_.date_format.empty() && ParseDate(value, &days);
  date_ = date_ && date;
  if (timestamp_ || zoned_) {
    const bool iso = wishes_.date_format.empty();
    timestamp_ = timestamp_ && iso && ParseTimestamp(value, arrow::TimeUnit::NANO, false, &at);
    zoned_ = zoned_ && iso && ParseTimestamp(value, arrow::TimeUnit::NANO, true, &at);
    if (timestamp_ || zoned_) fraction_digits_ = std::max(fraction_digits_, FractionDigits(value));
  }
  if (date || !patterns_alive_) {
    patterns_alive_ = patterns_alive_ && !date;
    return;
  }
  if (patterns_.empty()) {
    const auto add = [&](const std::string& format, bool date_only) {
      auto parser = search::DateFormat::Make(format);
      if (!parser.ok()) return;
      patterns_.push_back(
          {format, std::make_shared<search::DateFormat>(*std::move(parser)), date_only});
    };
    if (wishes_.date_format.empty()) {
      for (const auto& one : kPatterns) add(one.format, one.date_only);
    } else {
      add(wishes_.date_format, IsDatePattern(wishes_.date_format));
    }
  }
  patterns_alive_ = false;
  for (auto& pattern : patterns_) {
    pattern.fits = pattern.fits && pattern.parser->Parse(value).has_value();
    patterns_alive_ = patterns_alive_ || pattern.fits;
  }
}

bool ColumnInference::FitsWishedPattern() const {
  return !wishes_.date_format.empty() && !patterns_.empty() && patterns_[0].fits;
}

Result<CsvType> ColumnInference::Decide(const std::string& column) const {
  CsvType decided;
  if (values_ == 0) return decided;
  decided.nulls = nulls_;
  const auto as = [&](std::shared_ptr<arrow::DataType> type) {
    decided.type = std::move(type);
    return decided;
  };
  if (boolean_) return as(arrow::boolean());
  if (integer_) return as(arrow::int64());
  if (number_ && whole_ && !exponent_ && digits_ <= kDecimalDigitsMax) {
    return as(arrow::decimal128(kDecimalDigitsMax, 0));
  }
  if (number_ && wishes_.decimal_precision > 0) {
    return as(arrow::decimal128(wishes_.decimal_precision, wishes_.decimal_scale));
  }
  if (number_ && exact_ && significant_ <= kDoubleDigitsMax) return as(arrow::float64());
  if (number_ && !exponent_ && digits_ + scale_ <= kDecimalDigitsMax) {
    return as(arrow::decimal128(kDecimalDigitsMax, scale_));
  }
  if (date_) return as(arrow::date32());
  const auto unit = fraction_digits_ > 6 ? arrow::TimeUnit::NANO : arrow::TimeUnit::MICRO;
  if (timestamp_) return as(arrow::timestamp(unit));
  if (zoned_) return as(arrow::timestamp(unit, "UTC"));
  if (time_) return as(arrow::time64(arrow::TimeUnit::MICRO));
  if (patterns_alive_) {
    const Pattern* chosen = nullptr;
    for (const auto& pattern : patterns_) {
      if (!pattern.fits) continue;
      if (chosen != nullptr) {
        return UserError(
            fmt::format(
                "column '{}' has dates such as '{}', which {} and {} both fit: say which by "
                "date_formats: {}: {}, or keep them as text by cast: {}: string",
                column, first_, chosen->format, pattern.format, column, chosen->format,
                wishes_.cast_name.empty() ? column : wishes_.cast_name),
            "ambiguous_date");
      }
      chosen = &pattern;
    }
    if (chosen != nullptr) {
      decided.date_format = chosen->format;
      return as(chosen->date_only ? arrow::date32() : arrow::timestamp(arrow::TimeUnit::MICRO));
    }
  }
  decided.nulls.clear();
  return as(arrow::utf8());
}

}  // namespace bulkhaul::csv
