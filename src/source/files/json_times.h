// Dates and times in JSON, which has no type for them: texts that say themselves what they are; and
// decimals, where a contract wants them.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>

#include <arrow/memory_pool.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>

#include "base/error.h"

namespace bulkhaul::files {

class JsonCasts;

// The schema with text for every date, time and decimal, nested ones too.
std::shared_ptr<arrow::Schema> TimesAsText(const arrow::Schema& schema);

// What the texts of a sample have in common: all dates (yyyy-MM-dd), all times without a zone, or
// all with one (ISO 8601). Not thread-safe.
class JsonTimes {
 public:
  // A batch without dates and times of its own.
  void Add(const arrow::RecordBatch& batch);
  // `schema` with date32, timestamp or timestamp in UTC for those texts; `kept` stay as they are.
  std::shared_ptr<arrow::Schema> Decide(const arrow::Schema& schema,
                                        const std::set<std::string>& kept) const;

 private:
  struct Texts {
    bool any = false, dates = true, plain = true, zoned = true, nanoseconds = false;
  };
  void Add(const std::string& path, const arrow::Array& array);
  std::shared_ptr<arrow::DataType> Decide(const std::string& path,
                                          const std::shared_ptr<arrow::DataType>& type) const;

  std::map<std::string, Texts> texts_;  // by the path of the field
};

// A text that is not what its column has.
struct TextMisfit {
  std::string path, value, type;
};

struct TextReading {
  int64_t* misfits = nullptr;             // counts texts that become NULL; nullptr: they are errors
  const std::set<std::string>& contract;  // columns that have their type by a contract
  const JsonCasts& casts;
  std::string larger_sample;    // ReadPlan's, for messages
  TextMisfit* first = nullptr;  // takes the one that is an error
};
// A batch of TimesAsText(`schema`) as one of `schema`. A text that is not what the column has is
// NULL or kPermanent, naming column and value.
Result<std::shared_ptr<arrow::RecordBatch>> TextAsTimes(
    const arrow::RecordBatch& batch, const std::shared_ptr<arrow::Schema>& schema,
    const TextReading& reading, arrow::MemoryPool* pool);

}  // namespace bulkhaul::files
