// One function per kind of value, from the bytes of its typsend function into a column's buffers.
// Internal to wire/pg_copy; a file per type family. Before the call the node has room for one more
// value (EnsureRows); variable data makes its own room.
#pragma once

#include <string_view>

#include "wire/pg_copy/column_node.h"

namespace bulkhaul::pg {

// The table that column nodes are made from.
DecodeFunction DecodeFunctionFor(DecodeKind kind);

// A value that has no exact form in the column: NULL when `choice` says so, else kUser with
// `message`, which names the option.
bool AppendMisfit(DecodeContext& context, ColumnNode& node, OnMisfit choice, Counter nulled,
                  const std::string& message);
bool AppendNullOrFail(DecodeContext& context, ColumnNode& node);
bool WrongSize(DecodeContext& context, const char* type, int32_t size);

// decode_fixed.cc
bool DecodeBool(DecodeContext& context, ColumnNode& node, const uint8_t* bytes, int32_t size);
bool DecodeInt16(DecodeContext& context, ColumnNode& node, const uint8_t* bytes, int32_t size);
bool DecodeInt32(DecodeContext& context, ColumnNode& node, const uint8_t* bytes, int32_t size);
bool DecodeInt64(DecodeContext& context, ColumnNode& node, const uint8_t* bytes, int32_t size);
bool DecodeUuid(DecodeContext& context, ColumnNode& node, const uint8_t* bytes, int32_t size);
bool DecodeMoney(DecodeContext& context, ColumnNode& node, const uint8_t* bytes, int32_t size);

// decode_time.cc
bool DecodeDate(DecodeContext& context, ColumnNode& node, const uint8_t* bytes, int32_t size);
bool DecodeTime(DecodeContext& context, ColumnNode& node, const uint8_t* bytes, int32_t size);
bool DecodeTimetz(DecodeContext& context, ColumnNode& node, const uint8_t* bytes, int32_t size);
bool DecodeTimestamp(DecodeContext& context, ColumnNode& node, const uint8_t* bytes, int32_t size);
bool DecodeInterval(DecodeContext& context, ColumnNode& node, const uint8_t* bytes, int32_t size);

// decode_numeric.cc
bool DecodeDecimal128(DecodeContext& context, ColumnNode& node, const uint8_t* bytes, int32_t size);
bool DecodeDecimal256(DecodeContext& context, ColumnNode& node, const uint8_t* bytes, int32_t size);
bool DecodeNumericDouble(DecodeContext& context, ColumnNode& node, const uint8_t* bytes,
                         int32_t size);
bool DecodeNumericText(DecodeContext& context, ColumnNode& node, const uint8_t* bytes,
                       int32_t size);

// decode_text.cc
bool DecodeText(DecodeContext& context, ColumnNode& node, const uint8_t* bytes, int32_t size);
bool DecodeVersioned(DecodeContext& context, ColumnNode& node, const uint8_t* bytes, int32_t size);
bool DecodeBinary(DecodeContext& context, ColumnNode& node, const uint8_t* bytes, int32_t size);
bool DecodeChar(DecodeContext& context, ColumnNode& node, const uint8_t* bytes, int32_t size);
bool DecodeEnum(DecodeContext& context, ColumnNode& node, const uint8_t* bytes, int32_t size);
// `size` bytes of text already written behind data_size: checked and appended.
bool AppendWrittenText(DecodeContext& context, ColumnNode& node, int64_t size);

// decode_text_forms.cc
bool DecodeInet(DecodeContext& context, ColumnNode& node, const uint8_t* bytes, int32_t size);
bool DecodeMacaddr(DecodeContext& context, ColumnNode& node, const uint8_t* bytes, int32_t size);
bool DecodeBits(DecodeContext& context, ColumnNode& node, const uint8_t* bytes, int32_t size);
bool DecodeLsn(DecodeContext& context, ColumnNode& node, const uint8_t* bytes, int32_t size);
bool DecodeTid(DecodeContext& context, ColumnNode& node, const uint8_t* bytes, int32_t size);
// Appends a short text that is known to be ASCII.
bool AppendShortText(DecodeContext& context, ColumnNode& node, std::string_view text);

// decode_nested.cc
bool DecodeList(DecodeContext& context, ColumnNode& node, const uint8_t* bytes, int32_t size);
bool DecodeComposite(DecodeContext& context, ColumnNode& node, const uint8_t* bytes, int32_t size);
bool DecodeRange(DecodeContext& context, ColumnNode& node, const uint8_t* bytes, int32_t size);
bool DecodeMultirange(DecodeContext& context, ColumnNode& node, const uint8_t* bytes, int32_t size);
bool DecodeHstore(DecodeContext& context, ColumnNode& node, const uint8_t* bytes, int32_t size);

}  // namespace bulkhaul::pg
