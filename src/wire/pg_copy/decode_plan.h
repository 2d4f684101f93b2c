// How a mapped column is decoded: a tree in the shape of the Arrow type. Internal to wire/pg_copy.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <arrow/array.h>
#include <arrow/type.h>

#include "wire/pg_copy/types.h"

namespace bulkhaul::pg {

enum class DecodeKind : uint8_t {
  kBool,
  kInt16,
  kInt32,
  kInt64,
  kUInt32,
  kUInt64,
  kFloat,
  kDouble,
  kNumericDecimal128,
  kNumericDecimal256,
  kNumericDouble,
  kNumericText,
  kMoney,
  kText,       // the bytes as sent, valid UTF-8
  kVersioned,  // one version byte 1, then text: jsonb, jsonpath
  kChar,       // "char"
  kBinary,
  kUuid,
  kDate,
  kTime,
  kTimetzText,
  kTimestamp,
  kInterval,
  kEnum,
  kInetText,
  kMacaddrText,  // macaddr and macaddr8
  kBitText,
  kLsnText,
  kTidText,
  kList,
  kComposite,
  kRange,
  kMultirange,
  kHstore,
};

// An enum's labels with a lookup that costs a few instructions. Immutable.
class EnumLabels {
 public:
  explicit EnumLabels(const std::vector<std::string>& labels);
  // The place in enumsortorder, or -1.
  int32_t Find(std::string_view label) const;
  const std::shared_ptr<arrow::Array>& dictionary() const { return dictionary_; }

 private:
  static uint64_t Hash(std::string_view label);

  std::vector<std::string> labels_;
  std::vector<int32_t> slots_;  // open addressing, a power of two; -1: free
  std::shared_ptr<arrow::Array> dictionary_;
};

using PlanPtr = std::shared_ptr<const DecodePlan>;

struct DecodePlan {
  DecodeKind kind = DecodeKind::kText;
  std::shared_ptr<arrow::DataType> type;
  int32_t precision = 0;  // of decimals
  int32_t scale = 0;
  OnMisfit misfit = OnMisfit::kError;
  OnInvalidUtf8 invalid_utf8 = OnInvalidUtf8::kError;
  bool cidr = false;
  bool may_make_null = false;        // an option may turn a value into NULL
  bool vector_bounds = false;        // int2vector, oidvector: the lower bound is 0 and says nothing
  int32_t dimensions = 1;            // lists: levels, all described by this one node and its `type`
  std::vector<PlanPtr> children;     // list: the element; composite: fields; range: the subtype;
                                     // multirange: the range
  std::vector<uint32_t> child_oids;  // as the server sends them; 0: not checked
  std::vector<std::string> child_names;  // of composites
  std::shared_ptr<const EnumLabels> labels;
};

}  // namespace bulkhaul::pg
