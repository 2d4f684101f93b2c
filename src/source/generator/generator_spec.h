// What a generator: URI asks for. Pure parsing, no state.
//
// generator:KEY=VALUE&KEY=VALUE…, percent-encoded; "generator://?…" is the same.
//   preset=orders     customers, products and orders with matching keys and all common types;
//                     `rows` counts orders
//   rows=1000         rows of each table
//   seed=1            same seed, same rows, however they are split
//   tables=1          table_1, table_2 …; all with `columns`
//   name=table        prefix of the tables' names; with one table the whole name
//   columns=A,B       NAME:TYPE[/MODIFIER…]
//
// TYPE: int8 … int64, uint8 … uint64, float, double, bool, decimal(p,s), string, binary, date,
// time, timestamp, timestamptz, uuid, list<TYPE[/MODIFIER…]>, struct<NAME:TYPE[/MODIFIER…],…>
// MODIFIER: serial           1, 2, 3 … (or from min); the table's primary key
//           null=0.1         share of NULLs
//           nan=0.01         share of NaN and infinities (floats)
//           min=1, max=9     bounds, both included; dates as 2020-01-31
//           len=0-20         bytes of strings, characters if unicode, items of lists
//           skew             small numbers and short lengths are more likely
//           distinct=100     at most this many different values
//           unicode          also characters outside ASCII
//           choices=a|b|c    one of these strings
//
// Faults, for tests: fail_unit=3 (its ordinal), fail_times=2, fail_after_rows=100,
// fail_kind=transient|permanent|user|snapshot_lost; batch_delay_ms=50 makes reading slow.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <arrow/type.h>

#include "base/error.h"

namespace bulkhaul {

struct GeneratorColumn {
  std::string name;
  std::string type_text;  // as the user wrote the type
  std::shared_ptr<arrow::DataType> type;
  bool serial = false, skew = false, unicode = false;
  double null_fraction = 0, nan_fraction = 0;
  std::optional<int64_t> minimum, maximum;  // in the type's own unit; decimals in whole units
  int64_t length_min = 0, length_max = 20;
  int64_t distinct = 0;  // 0: no limit
  std::vector<std::string> choices;
  std::vector<GeneratorColumn> children;  // of lists (one) and structs
};

struct GeneratorTable {
  std::string name;
  int64_t rows = 0;
  uint64_t seed = 0;  // of this table
  std::vector<GeneratorColumn> columns;
};

struct GeneratorFault {
  int64_t unit = -1;  // ordinal; -1: none
  int64_t times = 1;
  int64_t after_rows = 0;
  ErrorKind kind = ErrorKind::kTransient;
};

struct GeneratorSpec {
  std::vector<GeneratorTable> tables;
  std::string description;  // names every value that decides the rows
  GeneratorFault fault;
  int64_t batch_delay_ms = 0;
};

// kUser with the place of the mistake.
Result<GeneratorSpec> ParseGeneratorUri(std::string_view uri);
// "id:int64/serial,name:string".
Result<std::vector<GeneratorColumn>> ParseGeneratorColumns(std::string_view text);
// With kSourceTypeKey; nullable false where null=0.
std::shared_ptr<arrow::Schema> GeneratorSchema(const std::vector<GeneratorColumn>& columns);
// Bytes of Arrow data of an average value.
double GeneratorWidth(const GeneratorColumn& column);

}  // namespace bulkhaul
