// Whether a column's values come once in a whole table, with bounded memory: each unit leaves its
// values' keys in sorted runs in a file, and the runs of all units are merged at the end.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <arrow/array.h>
#include <arrow/type.h>

#include "base/error.h"
#include "base/hash.h"
#include "transform/contract_rules.h"

namespace bulkhaul {

// Where one unit's keys of one column lie.
struct KeyRuns {
  std::string path;              // "" without keys
  std::vector<int64_t> lengths;  // keys of each run, one behind the other
  bool operator==(const KeyRuns&) const = default;
};

// The keys of one column of one unit. Values of at most 16 bytes are their own keys; of others the
// key is a 128-bit hash. NULLs are never equal. Not thread-safe.
class UniqueKeys {
 public:
  // `keys_max` are held in memory at a time; `path` is made when there is a key.
  UniqueKeys(std::string path, int64_t keys_max);
  // Removes the file unless it was finished.
  ~UniqueKeys();
  UniqueKeys(const UniqueKeys&) = delete;
  UniqueKeys& operator=(const UniqueKeys&) = delete;

  // kUser for a type whose values cannot be compared. Rows that are marked are left out; row i of
  // the array is row first_row + i of the marks and unit_row + i of the unit.
  static Status CheckType(const std::shared_ptr<arrow::DataType>& type, const std::string& column);
  Status Add(const arrow::Array& array, const RowMarks& marks, int64_t first_row, int64_t unit_row);
  // On the disk when it returns.
  Result<KeyRuns> Finish();

  struct Key {
    Hash128 value;
    int64_t row = 0;  // of the unit, from 0
  };

 private:
  Status Flush();

  const std::string path_;
  const size_t keys_max_;
  std::vector<Key> keys_;
  KeyRuns runs_;
  int descriptor_ = -1;
  bool finished_ = false;
};

// Two rows with the same value.
struct Duplicate {
  Hash128 key;
  size_t unit = 0, other_unit = 0;  // indexes of `units`
  int64_t row = 0, other_row = 0;
  int64_t values = 0;  // that come more than once, in all
};
// The first in the order of keys; nullopt when all are different. kPermanent when a file is gone.
Result<std::optional<Duplicate>> FindDuplicate(std::span<const KeyRuns> units, int64_t bytes_max);

// The value of a key as people write it; "" when only its hash is known.
std::string ValueOfKey(const Hash128& key, const std::shared_ptr<arrow::DataType>& type);

}  // namespace bulkhaul
