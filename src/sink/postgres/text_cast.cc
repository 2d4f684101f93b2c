#include "sink/postgres/text_cast.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string_view>

#include <fmt/format.h>

#include "client/postgres/sql_text.h"

namespace bulkhaul::postgres {
namespace {

// pg_type.dat
constexpr uint32_t kChar = 18, kName = 19, kXid = 28, kCid = 29, kMoney = 790, kBpchar = 1042,
                   kVarchar = 1043, kDate = 1082, kTime = 1083, kTimestamp = 1114,
                   kTimestampTz = 1184, kInterval = 1186, kTimeTz = 1266, kBit = 1560,
                   kVarbit = 1562, kNumeric = 1700, kXid8 = 5069;
constexpr int32_t kSecondDigitsMax = 6;

struct Plain {
  const pg::TypeInfo* type = nullptr;
  int32_t typmod = -1;
};

Plain WithoutDomain(const pg::TypeInfo* type, int32_t typmod) {
  if (type->kind == 'd' && type->base) return {type->base.get(), type->base_typmod};
  return {type, typmod};
}

// What must be true of a text that is there, and what to say where it is not.
struct Check {
  std::string condition;
  std::string wanted;
};

// ISO forms of days and times, without regard to case. A day drops no time, a time no day and a
// second no digits, so that nothing is lost without a word; what an abbreviation of a zone means is
// a setting, so only names are read.
std::optional<Check> TimeForm(const Plain& plain) {
  const int32_t digits =
      plain.typmod < 0 ? kSecondDigitsMax : std::min(plain.typmod, kSecondDigitsMax);
  const std::string day = "[0-9]{4,}-[0-9]{1,2}-[0-9]{1,2}";
  const std::string time =
      fmt::format("[0-9]{{1,2}}:[0-9]{{2}}(:[0-9]{{2}}([.][0-9]{{0,{}}}0*)?)?", digits);
  const std::string midnight = "0?0:00(:00([.]0*)?)?";
  const std::string zone =
      "( ?(Z|UTC|GMT|[+-][0-9]{1,2}(:?[0-9]{2}(:?[0-9]{2})?)?|[A-Z]+/[A-Z_/+-]+))?";
  const auto moment = [&](const std::string& rest) {
    return fmt::format("({}([ T]{})?( BC)?|-?infinity)", day, rest);
  };
  const auto exact = [&](const char* form) {
    return fmt::format("not in the form {} with at most {} digits of a second", form, digits);
  };
  switch (plain.type->oid) {
    case kDate:
      return Check{moment(midnight), "not in the form YYYY-MM-DD"};
    case kTime:
      return Check{time, exact("HH:MM:SS")};
    case kTimeTz:
      return Check{time + zone, exact("HH:MM:SS+HH")};
    case kTimestamp:
      return Check{moment(time), exact("YYYY-MM-DD HH:MM:SS")};
    case kTimestampTz:
      return Check{moment(time + zone), exact("YYYY-MM-DD HH:MM:SS+HH")};
    default:
      return std::nullopt;
  }
}

bool HasTimes(const pg::TypeInfo& given) {
  const auto& type = *WithoutDomain(&given, -1).type;
  if (type.element) return HasTimes(*type.element);
  if (type.subtype) return HasTimes(*type.subtype);
  if (type.kind == 'c') {
    return std::any_of(type.fields.begin(), type.fields.end(),
                       [](const auto& field) { return HasTimes(*field.type); });
  }
  return type.oid == kTime || type.oid == kTimeTz || type.oid == kTimestamp ||
         type.oid == kTimestampTz || type.oid == kInterval;
}

constexpr char kTooPrecise[] = "has more digits of a second than the type keeps";

// Seconds whose digits do not end after six. `name` is text or an array of texts.
std::string NoFinerSeconds(const std::string& name) {
  return fmt::format("{}::pg_catalog.text !~ '[0-9][.][0-9]{{6}}[0-9]*[1-9]'", name);
}

// That the digits of all fractions, and exponents, are those of the text in their order. What a
// server wrote has no others.
std::optional<Check> FractionsCheck(const std::string& name, const std::string& target,
                                    TextOf writer) {
  if (writer == TextOf::kServer) return std::nullopt;
  const auto fractions = [](const std::string& text) {
    return fmt::format(
        "(SELECT pg_catalog.array_agg(m[1]) FROM pg_catalog.regexp_matches("
        "{}::pg_catalog.text, '([0-9]e[+-]?[0-9]+|[.][0-9]*[1-9])', 'gi') AS m)",
        text);
  };
  return Check{fmt::format("({} IS NOT DISTINCT FROM {})", fractions(name),
                           fractions(fmt::format("{}::{}", name, target))),
               "would be rounded"};
}

// Types with a length or a number of digits: the server's own type that has none.
const char* Unlimited(const Plain& plain) {
  switch (plain.type->oid) {
    case kName:
    case kChar:
      return "pg_catalog.text";
    case kVarchar:
      return plain.typmod < 0 ? nullptr : "pg_catalog.text";
    case kBpchar:
      return plain.typmod < 0 ? nullptr : "pg_catalog.bpchar";
    case kBit:
    case kVarbit:
      return plain.typmod < 0 ? nullptr : "pg_catalog.varbit";
    case kNumeric:
      return plain.typmod < 0 ? nullptr : "pg_catalog.numeric";
    default:
      return nullptr;
  }
}

// Fractions of years, months and of less than a second's are no whole microseconds.
Check IntervalCheck(const std::string& name, const std::string& brackets, const Plain& plain,
                    const std::string& target) {
  std::string condition = fmt::format(
      "({} AND {}::pg_catalog.text !~* '([.][0-9]*[1-9][0-9]* *(y|mo|mil|ms|mic|us|c|dec)|"
      "P[^T]*[.][0-9]*[1-9][0-9]*M)'",
      NoFinerSeconds(name), name);
  if (plain.typmod >= 0) {
    condition += fmt::format(
        " AND {0}::pg_catalog.interval{1}::pg_catalog.text = "
        "{0}::{2}::pg_catalog.text",
        name, brackets, target);
  }
  return {condition + ")", "would be rounded"};
}

std::optional<Check> ExactCheck(const std::string& name, const Plain& plain, bool array,
                                const std::string& target, TextOf writer) {
  const std::string brackets = array ? "[]" : "";
  const pg::TypeInfo& type = *plain.type;
  if (type.oid == kInterval) return IntervalCheck(name, brackets, plain, target);
  if (type.oid == kXid || type.oid == kXid8 || type.oid == kCid) {
    // The server takes what is left of too many digits.
    return Check{fmt::format("{0}::{1}::pg_catalog.text = pg_catalog.btrim({0}::pg_catalog.text)",
                             name, target),
                 "out of range"};
  }
  if (type.oid == kMoney) {
    // However the locale writes it: the digits, without zeros at both ends.
    const auto digits = [&](const std::string& text) {
      return fmt::format(
          "pg_catalog.btrim(pg_catalog.regexp_replace({}::pg_catalog.text,"
          " '[^0-9]', '', 'g'), '0')",
          text);
    };
    if (array) return FractionsCheck(name, target, writer);
    return Check{digits(name) + " = " + digits(name + "::" + target), "would be rounded"};
  }
  if (const char* unlimited = Unlimited(plain)) {
    return Check{fmt::format("{0}::{1}{2} = ({0}::{3})::{1}{2}", name, unlimited, brackets, target),
                 "would be rounded or cut"};
  }
  if (type.kind == 'c' && writer == TextOf::kAnybody) return FractionsCheck(name, target, writer);
  const bool of_days = type.subtype && !HasTimes(type);
  if (of_days) {
    const pg::TypeInfo* inner = type.subtype.get();
    if (inner->subtype) inner = inner->subtype.get();
    if (WithoutDomain(inner, -1).type->oid != kDate) return std::nullopt;
    return Check{fmt::format("{}::pg_catalog.text !~ ':'", name), "has times and the type days"};
  }
  if (HasTimes(type)) return Check{NoFinerSeconds(name), kTooPrecise};
  return std::nullopt;
}

}  // namespace

std::string CastTextSql(const std::string& column, const pg::ColumnSpec& target, TextOf writer) {
  const std::string name = QuoteIdentifier(column);
  Plain plain = WithoutDomain(target.type.get(), target.typmod);
  const bool array = plain.type->element != nullptr;
  if (array) plain = WithoutDomain(plain.type->element.get(), plain.typmod);
  // The elements of an array that are there, in one text.
  const std::string text =
      array ? fmt::format("pg_catalog.array_to_string({}::pg_catalog.text[], '|')", name) : name;
  auto check = TimeForm(plain);
  if (check) {
    const std::string one = fmt::format(" *{} *", check->condition);
    const std::string pattern =
        array ? fmt::format("^({0}([|]{0})*)?$", one) : fmt::format("^{}$", one);
    check->condition = fmt::format("{} ~* {}", text, QuoteLiteral(pattern));
  } else {
    check = ExactCheck(name, plain, array, target.source_type, writer);
  }
  if (!check) return fmt::format("{}::{}", name, target.source_type);
  // No type reads this; some would cut it, or take the digits in front.
  std::string fault =
      fmt::format("pg_catalog.left({}::pg_catalog.text, 200) || {}", text,
                  QuoteLiteral(fmt::format(" (column {}): {}", column, check->wanted)));
  const auto oid = plain.type->oid;
  if (oid == kXid || oid == kXid8 || oid == kCid) {
    fault = fmt::format("({})::pg_catalog.numeric::pg_catalog.text", fault);
  } else if (array && oid != kNumeric && Unlimited(plain) != nullptr) {
    // "invalid size", in the server's language.
    fault = fmt::format("pg_catalog.pg_size_bytes('value ' || {})::pg_catalog.text", fault);
  } else if (array) {
    fault = fmt::format("ARRAY[{}]::pg_catalog.text", fault);
  }
  return fmt::format("(CASE WHEN {0} IS NULL OR {1} THEN {0}::pg_catalog.text ELSE {2} END)::{3}",
                     name, check->condition, fault, target.source_type);
}

}  // namespace bulkhaul::postgres
