// One value of a document into one column. Internal to wire/json.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "wire/json/column_buffer.h"
#include "wire/json/json_tokens.h"
#include "wire/json/page_layout.h"

namespace bulkhaul::search {

enum Counter {
  kMisfitNulled,
  kArrayValuesDropped,
  kExcessDigitsTruncated,
  kUnmappedValues,
  kGeoThirdValueDropped,
  kCounterCount,
};

// A number or literal; or, quoted, the inside of a string, plain where nothing in it is escaped.
struct ScalarToken {
  std::string_view text;
  bool quoted = false, plain = false;
};

// Not thread-safe. `layout` outlives it.
class ValueDecoder {
 public:
  explicit ValueDecoder(const PageLayout& layout) : layout_(layout) {}

  // The fast way for what nearly all values are: the first of its row, a scalar as the servers
  // write them. False, and nothing done, for all others: AppendValue() takes them.
  bool TryAppend(int64_t row, ColumnBuffer* column, const ScalarToken& token);
  // The same at the cursor, which goes past the value.
  bool TryAppend(int64_t row, ColumnBuffer* column, TokenCursor* cursor);

  // The value at the cursor, which goes past it. Several calls for one row add up: objects in
  // arrays, "a.b" beside {"a": {"b"}}. Errors of values say neither document nor field: the caller
  // does, for IsValueError().
  Status AppendValue(int64_t row, ColumnBuffer* column, TokenCursor* cursor);
  // A string token, where no document is concerned.
  Result<std::string> TextOfToken(std::string_view token);

  int64_t buffered_bytes() const {
    return static_cast<int64_t>(scratch_.capacity() + json_.capacity());
  }

  std::array<int64_t, kCounterCount> counters{};

 private:
  Status AppendScalar(std::string_view token);
  Status AppendNumber(std::string_view text);
  template <typename Integer>
  Status AppendInteger(std::string_view text);
  template <typename Real>
  Status AppendReal(std::string_view text);
  Status AppendText(std::string_view token);
  Status AppendBool(std::string_view token, std::string_view text);
  Status AppendBase64(std::string_view text);
  Status AppendTimestamp(std::string_view text);
  Status AppendPoint(std::string_view text);
  Status AppendPointObject();
  Status AppendPointArray();
  Status ReadPointArray(double* latitude, double* longitude);
  Status AppendVector();
  Status AppendJson();
  Status AppendElements(int depth);
  // A value in a place of its own: the row, or an element of its list.
  Status AppendOne(int depth);
  Status AppendAtom();
  // Another value for a row that has one.
  Status AppendSurplus();
  Status DecodeText(std::string_view token, std::string_view* text);
  Status OrNull(Status status, uint32_t begin);

  const PageLayout& layout_;
  std::string scratch_;  // of text with escapes
  std::string json_;

  // The value in work.
  int64_t row_ = 0;
  ColumnBuffer* column_ = nullptr;
  TokenCursor* cursor_ = nullptr;
};

// A value that does not fit its column, as opposed to an answer that is broken.
Status ValueError(std::string message);
bool IsValueError(const Status& status);

// lat and lon of the forms that are text: "41.12,-71.34", "POINT (-71.34 41.12)", a geohash.
bool ParseGeoPoint(std::string_view text, double* latitude, double* longitude, bool* third_value);
// Standard base64, with or without its padding. `out` has room for 3 bytes for each 4 begun.
// The number of bytes, or -1.
int64_t DecodeBase64(std::string_view text, uint8_t* out);

}  // namespace bulkhaul::search
