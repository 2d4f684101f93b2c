// Arrays, composites, ranges, multiranges, hstore.
// Source: array_send(), record_send(), range_send(), multirange_send(), hstore_send().
#include <limits>

#include <fmt/format.h>

#include "wire/pg_copy/binary_format.h"
#include "wire/pg_copy/bytes.h"
#include "wire/pg_copy/decode_functions.h"

namespace bulkhaul::pg {
namespace {

constexpr int32_t kArrayHeaderBytes = 12;
constexpr int32_t kArrayDimensionBytes = 8;

// Walks the bytes of one value.
struct Cursor {
  const uint8_t* place;
  const uint8_t* end;
  int64_t left() const { return end - place; }
};

bool TakeInt32(DecodeContext& context, Cursor& cursor, int32_t* number) {
  if (cursor.left() < 4) return context.Malformed("a nested value ends too early");
  *number = LoadI32(cursor.place);
  cursor.place += 4;
  return true;
}

// A length word and that many bytes; -1 for NULL.
bool DecodePart(DecodeContext& context, Cursor& cursor, ColumnNode& node) {
  int32_t size = 0;
  if (!TakeInt32(context, cursor, &size)) return false;
  if (size == -1) return AppendNullOrFail(context, node);
  if (size < 0 || size > cursor.left()) {
    return context.Malformed(
        fmt::format("a nested value of {} bytes where {} are left", size, cursor.left()));
  }
  if (!node.decode(context, node, cursor.place, size)) return false;
  cursor.place += size;
  return true;
}

bool ExpectEnd(DecodeContext& context, const Cursor& cursor) {
  if (cursor.left() == 0) return true;
  return context.Malformed(fmt::format("{} bytes behind a nested value's end", cursor.left()));
}

bool EnsureChildRows(DecodeContext& context, ColumnNode& child, int64_t more) {
  Status room = child.EnsureRows(child.length + more);
  return room.ok() || context.Fail(std::move(room));
}

void AppendListOf(ColumnNode& node, int64_t count) {
  node.offsets[node.length + 1] = node.offsets[node.length] + static_cast<int32_t>(count);
  ++node.length;
}

struct ArrayShape {
  int32_t dimensions;
  int32_t counts[kArrayDimensionsMax];
  int64_t total;
};

bool TakeShape(DecodeContext& context, const DecodePlan& plan, Cursor& cursor, ArrayShape* shape) {
  shape->total = 1;
  for (int32_t dimension = 0; dimension < shape->dimensions; ++dimension) {
    int32_t count = 0, lower_bound = 0;
    if (!TakeInt32(context, cursor, &count) || !TakeInt32(context, cursor, &lower_bound)) {
      return false;
    }
    if (lower_bound != 1 && !plan.vector_bounds) ++context.counters[kArrayLowerBoundsDropped];
    if (count < 1) return context.Malformed("an array dimension without elements");
    shape->counts[dimension] = count;
    shape->total *= count;
    // Each element has a length word at least.
    if (shape->total > cursor.left() / 4) {
      return context.Malformed("an array with more elements than bytes");
    }
  }
  return true;
}

bool WrongDimensions(DecodeContext& context, const DecodePlan& plan, int32_t dimensions) {
  return context.Fail(UserError(fmt::format(
      "an array of {} dimensions in a column declared with {}; PostgreSQL allows that, a list type "
      "does not: read the column as text (a query with column::text)",
      dimensions, plan.dimensions)));
}

}  // namespace

bool DecodeList(DecodeContext& context, ColumnNode& node, const uint8_t* bytes, int32_t size) {
  const DecodePlan& plan = *node.plan;
  if (size < kArrayHeaderBytes) return WrongSize(context, "array", size);
  Cursor cursor{bytes + kArrayHeaderBytes, bytes + size};
  ArrayShape shape{};
  shape.dimensions = LoadI32(bytes);
  const uint32_t has_null = LoadU32(bytes + 4);
  const uint32_t element_oid = LoadU32(bytes + 8);
  if (shape.dimensions < 0 || shape.dimensions > kArrayDimensionsMax || has_null > 1) {
    return context.Malformed("an array header with unknown dimensions or flags");
  }
  if (plan.child_oids[0] != 0 && element_oid != plan.child_oids[0]) {
    return context.Malformed(fmt::format("array elements of type oid {} where {} was planned",
                                         element_oid, plan.child_oids[0]));
  }
  if (shape.dimensions == 0) {
    AppendListOf(node, 0);
    return ExpectEnd(context, cursor);
  }
  if (shape.dimensions != plan.dimensions) {
    return WrongDimensions(context, plan, shape.dimensions);
  }
  if (!TakeShape(context, plan, cursor, &shape)) return false;
  ColumnNode* level = &node;
  int64_t lists = 1;
  for (int32_t dimension = 0; dimension < shape.dimensions; ++dimension) {
    if (dimension > 0 && !EnsureChildRows(context, *level, lists)) return false;
    for (int64_t list = 0; list < lists; ++list) AppendListOf(*level, shape.counts[dimension]);
    lists *= shape.counts[dimension];
    level = &level->children[0];
  }
  if (!EnsureChildRows(context, *level, shape.total)) return false;
  for (int64_t element = 0; element < shape.total; ++element) {
    if (!DecodePart(context, cursor, *level)) return false;
  }
  return ExpectEnd(context, cursor);
}

bool DecodeComposite(DecodeContext& context, ColumnNode& node, const uint8_t* bytes, int32_t size) {
  const DecodePlan& plan = *node.plan;
  Cursor cursor{bytes, bytes + size};
  int32_t fields = 0;
  if (!TakeInt32(context, cursor, &fields)) return false;
  if (fields != static_cast<int32_t>(node.children.size())) {
    return context.Malformed(fmt::format("a composite of {} fields where {} were planned", fields,
                                         node.children.size()));
  }
  for (int32_t field = 0; field < fields; ++field) {
    int32_t oid = 0;
    if (!TakeInt32(context, cursor, &oid)) return false;
    if (plan.child_oids[field] != 0 && static_cast<uint32_t>(oid) != plan.child_oids[field]) {
      return context.Malformed(fmt::format("field {} of type oid {} where {} was planned",
                                           plan.child_names[field], static_cast<uint32_t>(oid),
                                           plan.child_oids[field]));
    }
    if (!DecodePart(context, cursor, node.children[field])) {
      context.error = WithContext(context.error, "field " + plan.child_names[field]);
      return false;
    }
  }
  ++node.length;
  return ExpectEnd(context, cursor);
}

bool DecodeRange(DecodeContext& context, ColumnNode& node, const uint8_t* bytes, int32_t size) {
  if (size < 1) return WrongSize(context, "range", size);
  const uint8_t flags = bytes[0];
  Cursor cursor{bytes + 1, bytes + size};
  const bool empty = (flags & kRangeEmpty) != 0;
  // The upper bound shares its plan with the lower one: children 0 and 1.
  const uint8_t infinite[2] = {kRangeLowerInfinite, kRangeUpperInfinite};
  // What is not there is not included, whatever the flags say: a server keeps it so
  // (range_serialize in rangetypes.c).
  bool there[2] = {};
  for (int bound = 0; bound < 2; ++bound) {
    ColumnNode& child = node.children[bound];
    const bool absent = empty || (flags & infinite[bound]) != 0;
    const int64_t nulls_before = child.null_count;
    if (absent ? !AppendNullOrFail(context, child) : !DecodePart(context, cursor, child)) {
      return false;
    }
    there[bound] = child.null_count == nulls_before;
  }
  node.children[2].AppendBit(there[0] && (flags & kRangeLowerInclusive) != 0);
  node.children[3].AppendBit(there[1] && (flags & kRangeUpperInclusive) != 0);
  node.children[4].AppendBit(empty);
  ++node.length;
  return ExpectEnd(context, cursor);
}

bool DecodeMultirange(DecodeContext& context, ColumnNode& node, const uint8_t* bytes,
                      int32_t size) {
  Cursor cursor{bytes, bytes + size};
  int32_t ranges = 0;
  if (!TakeInt32(context, cursor, &ranges)) return false;
  if (ranges < 0 || ranges > cursor.left() / 4) {
    return context.Malformed("a multirange with more ranges than bytes");
  }
  if (!EnsureChildRows(context, node.children[0], ranges)) return false;
  AppendListOf(node, ranges);
  for (int32_t range = 0; range < ranges; ++range) {
    if (!DecodePart(context, cursor, node.children[0])) return false;
  }
  return ExpectEnd(context, cursor);
}

bool DecodeHstore(DecodeContext& context, ColumnNode& node, const uint8_t* bytes, int32_t size) {
  Cursor cursor{bytes, bytes + size};
  int32_t pairs = 0;
  if (!TakeInt32(context, cursor, &pairs)) return false;
  if (pairs < 0 || pairs > cursor.left() / 8) {
    return context.Malformed("an hstore with more pairs than bytes");
  }
  for (ColumnNode& child : node.children) {
    if (!EnsureChildRows(context, child, pairs)) return false;
  }
  AppendListOf(node, pairs);
  for (int32_t pair = 0; pair < pairs; ++pair) {
    if (cursor.left() >= 4 && LoadI32(cursor.place) < 0) {
      return context.Malformed("an hstore key that is NULL");
    }
    if (!DecodePart(context, cursor, node.children[0]) ||
        !DecodePart(context, cursor, node.children[1])) {
      return false;
    }
  }
  return ExpectEnd(context, cursor);
}

}  // namespace bulkhaul::pg
