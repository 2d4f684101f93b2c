// For tests of the decoder: decoding in chunks, columns, and types that a user made.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <arrow/api.h>
#include <gtest/gtest.h>

#include "wire/pg_copy/copy_decoder.h"
#include "wire/pg_copy/testing.h"

#define ASSERT_OK(expression)                           \
  do {                                                  \
    const ::arrow::Status assert_status = (expression); \
    ASSERT_TRUE(assert_status.ok()) << assert_status;   \
  } while (false)
#define ASSERT_JOIN_(left, right) left##right
#define ASSERT_JOIN(left, right) ASSERT_JOIN_(left, right)
// NOLINTBEGIN(bugprone-macro-parentheses): a declaration cannot stand in them.
#define ASSERT_OK_AND_ASSIGN(target, expression)                                               \
  auto ASSERT_JOIN(result_, __LINE__) = (expression);                                          \
  ASSERT_TRUE(ASSERT_JOIN(result_, __LINE__).ok()) << ASSERT_JOIN(result_, __LINE__).status(); \
  target = std::move(ASSERT_JOIN(result_, __LINE__)).ValueUnsafe()
// NOLINTEND(bugprone-macro-parentheses)

namespace bulkhaul::pg::testing {

inline ColumnSpec Column(std::string name, uint32_t oid, int32_t typmod = -1,
                         int32_t dimensions = 0) {
  ColumnSpec column;
  column.name = std::move(name);
  column.type = BuiltinType(oid);
  column.typmod = typmod;
  column.dimensions = dimensions;
  return column;
}

inline std::unique_ptr<CopyDecoder> DecoderOf(const std::vector<ColumnSpec>& columns,
                                              const MappingOptions& options = {},
                                              DecodeLimits limits = {}) {
  std::vector<ColumnMapping> mappings;
  for (const ColumnSpec& column : columns) {
    mappings.push_back(MapColumn(column, options).ValueOrDie());
  }
  return CopyDecoder::Make(std::move(mappings), limits, arrow::default_memory_pool()).ValueOrDie();
}

// A copy on the heap at its exact size, so that the address sanitizer sees each byte read beyond
// it.
inline Status FeedChunk(CopyDecoder& decoder, std::string_view chunk,
                        arrow::RecordBatchVector* batches) {
  std::vector<uint8_t> exact(chunk.begin(), chunk.end());
  exact.shrink_to_fit();
  std::span<const uint8_t> bytes(exact);
  while (!bytes.empty()) {
    ARROW_ASSIGN_OR_RAISE(const size_t taken, decoder.Feed(bytes));
    bytes = bytes.subspan(taken);
    if (decoder.batch_ready()) {
      ARROW_ASSIGN_OR_RAISE(auto batch, decoder.TakeBatch());
      batches->push_back(std::move(batch));
    }
  }
  return Status::OK();
}

inline Result<arrow::RecordBatchVector> DecodeAll(CopyDecoder& decoder, std::string_view stream,
                                                  size_t chunk_bytes = SIZE_MAX) {
  arrow::RecordBatchVector batches;
  while (!stream.empty()) {
    const std::string_view chunk = stream.substr(0, chunk_bytes);
    ARROW_RETURN_NOT_OK(FeedChunk(decoder, chunk, &batches));
    stream.remove_prefix(chunk.size());
  }
  ARROW_RETURN_NOT_OK(decoder.Finish());
  ARROW_ASSIGN_OR_RAISE(auto rest, decoder.TakeBatch());
  if (rest) batches.push_back(std::move(rest));
  for (const auto& batch : batches) ARROW_RETURN_NOT_OK(batch->ValidateFull());
  return batches;
}

inline Result<std::shared_ptr<arrow::Array>> DecodeOne(const ColumnSpec& column,
                                                       std::string_view field,
                                                       const MappingOptions& options = {}) {
  auto decoder = DecoderOf({column}, options);
  ARROW_ASSIGN_OR_RAISE(auto batches,
                        DecodeAll(*decoder, Stream(FieldCount(1) + std::string(field))));
  return batches.at(0)->column(0);
}

// Types that a user made, as the catalogue gave them on the server of the golden values.
inline TypePtr UserType(char kind, uint32_t oid, std::string name) {
  auto type = std::make_shared<TypeInfo>();
  type->oid = oid;
  type->schema = "public";
  type->typname = type->name = std::move(name);
  type->kind = kind;
  return type;
}
inline TypeInfo& Edit(const TypePtr& type) { return const_cast<TypeInfo&>(*type); }

inline TypePtr Mood() {
  TypePtr type = UserType('e', 16623, "mood");
  Edit(type).labels = {"sad", "ok", "happy äöü"};
  return type;
}
inline TypePtr Pair() {
  TypePtr type = UserType('c', 16631, "pair");
  Edit(type).fields = {{"a", BuiltinType(kInt4Oid), -1, 0},
                       {"b", BuiltinType(kTextOid), -1, 0},
                       {"c", BuiltinType(kNumericOid), ((6 << 16) | 2) + 4, 0}};
  return type;
}
inline TypePtr Positive() {
  TypePtr type = UserType('d', 16633, "positive");
  Edit(type).base = BuiltinType(kInt4Oid);
  return type;
}
inline TypePtr ArrayOf(TypePtr element, uint32_t oid) {
  TypePtr type = UserType('b', oid, element->name + "[]");
  Edit(type).category = 'A';
  Edit(type).element = std::move(element);
  return type;
}
inline TypePtr Hstore() {
  TypePtr type = UserType('b', 16390, "hstore");
  Edit(type).extension = "hstore";
  return type;
}
inline TypePtr IntsDomain() {
  TypePtr type = UserType('d', 16636, "ints");
  Edit(type).base = BuiltinType(1007);
  Edit(type).base_dimensions = 1;
  return type;
}
inline TypePtr Nest() {
  TypePtr type = UserType('c', 16639, "nest");
  Edit(type).fields = {{"p", Pair(), -1, 0},
                       {"d", Positive(), -1, 0},
                       {"m", Mood(), -1, 0},
                       {"xs", BuiltinType(kTextArrayOid), -1, 1}};
  return type;
}
inline TypePtr Citext() {
  TypePtr type = UserType('b', 16518, "citext");
  Edit(type).extension = "citext";
  return type;
}
inline TypePtr Textrange() {
  TypePtr type = UserType('r', 16643, "textrange");
  Edit(type).subtype = BuiltinType(kTextOid);
  return type;
}

inline ColumnSpec ColumnOf(TypePtr type) {
  ColumnSpec column;
  column.name = "c";
  column.type = std::move(type);
  return column;
}

}  // namespace bulkhaul::pg::testing
