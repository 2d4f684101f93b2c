// From a declared SQLite type to an Arrow type. docs/source-sqlite.md states the policy.
//
// SQLite lets any column hold any value; the declared type only gives an affinity
// (https://www.sqlite.org/datatype3.html). A column therefore has a conversion that says which
// values belong to it; others break the type and go the way of the type_mismatch option.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include <arrow/type.h>

#include "base/error.h"
#include "plan/options.h"

namespace bulkhaul {

enum class Conversion {
  kInt64,       // INTEGER; REAL that is a whole number
  kDouble,      // REAL; INTEGER up to 2^53
  kBool,        // 0, 1, 'true', 'false', 't', 'f'
  kDecimal,     // INTEGER, REAL and TEXT that are exactly a decimal of the scale
  kText,        // TEXT
  kNumberText,  // INTEGER, REAL, TEXT, as text
  kAnyText,     // everything as text, BLOBs as X'…'
  kBinary,      // BLOB
  kDate,        // see value_text.h
  kTime,
  kTimestamp,     // without a zone
  kTimestampUtc,  // offsets are applied
  kUndecided,     // the values decide: no declared type, or one that says nothing
};
const char* ConversionName(Conversion conversion);
Result<Conversion> ConversionFromName(std::string_view name);

struct ColumnType {
  Conversion conversion = Conversion::kUndecided;
  std::shared_ptr<arrow::DataType> type;  // null while undecided
};

// kUser when the `numeric` option does not parse. Pure.
Result<ColumnType> TypeOfDeclaration(std::string_view declared, const Options& options);
// Of a decided conversion other than kDecimal.
std::shared_ptr<arrow::DataType> ArrowTypeOf(Conversion conversion);

// What was seen in a column without a telling declaration.
struct SeenValues {
  int64_t integers = 0, reals = 0, texts = 0, blobs = 0;
  bool integers_exact_as_double = true;
};
// All integers → int64, numbers → double where exact, texts or nothing → utf8, blobs → binary;
// mixtures → utf8, in which the values that are not text break the type. Pure.
Conversion ConversionOfValues(const SeenValues& seen);

}  // namespace bulkhaul
