// Text as sent, bytes, enums. Text is checked to be UTF-8: a server whose encoding is SQL_ASCII
// sends whatever was stored.
#include <arrow/api.h>
#include <arrow/util/utf8.h>
#include <fmt/format.h>

#include "wire/pg_copy/bytes.h"
#include "wire/pg_copy/decode_functions.h"

namespace bulkhaul::pg {
namespace {

constexpr uint64_t kHighBits = 0x8080808080808080ULL;
// Above this the C library's copy is the faster one.
constexpr int32_t kShortTextBytesMax = 128;

uint64_t LoadWord(const uint8_t* bytes) {
  uint64_t word;
  std::memcpy(&word, bytes, sizeof(word));
  return word;
}

// All ones in the `count` first bytes of a word, 0 to 8.
uint64_t LowBytes(int64_t count) {
  return count >= 8 ? ~uint64_t{0} : (uint64_t{1} << (8 * count)) - 1;
}

// At least seven bytes behind the text must be readable.
bool IsAscii(const uint8_t* text, int64_t size) {
  uint64_t seen = 0;
  for (; size >= 8; text += 8, size -= 8) seen |= LoadWord(text);
  if (size > 0) seen |= LoadWord(text) << (64 - 8 * size);
  return (seen & kHighBits) == 0;
}

// Copies in steps of 16 bytes, up to 15 too many on both sides, and looks at what it copies: a look
// at the copy would wait for the stores.
bool CopyIfAscii(uint8_t* out, const uint8_t* text, int64_t size) {
  uint64_t seen = 0;
  uint64_t words[2];
  for (; size > 16; text += 16, out += 16, size -= 16) {
    std::memcpy(words, text, 16);
    std::memcpy(out, words, 16);
    seen |= words[0] | words[1];
  }
  std::memcpy(words, text, 16);
  std::memcpy(out, words, 16);
  const int64_t first = std::min<int64_t>(size, 8);
  seen |= words[0] & LowBytes(first);
  seen |= words[1] & LowBytes(size - first);
  return (seen & kHighBits) == 0;
}

bool IsUtf8(const uint8_t* text, int64_t size) {
  static const bool ready = (arrow::util::InitializeUTF8(), true);
  return ready && arrow::util::ValidateUTF8(text, size);
}

// Bytes of the character at `text`, or 0 and in *bad how many bytes belong to the broken one: the
// longest start of a character, as the Unicode standard advises for U+FFFD (chapter 3.9).
int CharacterBytes(const uint8_t* text, int64_t size, int* bad) {
  *bad = 1;
  const uint8_t lead = text[0];
  if (lead < 0x80) return 1;
  const int length = lead >= 0xc2 && lead <= 0xdf   ? 2
                     : lead >= 0xe0 && lead <= 0xef ? 3
                     : lead >= 0xf0 && lead <= 0xf4 ? 4
                                                    : 0;
  if (length == 0) return 0;
  for (int place = 1; place < length; ++place) {
    if (place >= size) return 0;
    uint8_t low = 0x80, high = 0xbf;
    if (place == 1 && lead == 0xe0) low = 0xa0;
    if (place == 1 && lead == 0xed) high = 0x9f;
    if (place == 1 && lead == 0xf0) low = 0x90;
    if (place == 1 && lead == 0xf4) high = 0x8f;
    if (text[place] < low || text[place] > high) return 0;
    *bad = place + 1;
  }
  return length;
}

std::string Replaced(const uint8_t* text, int64_t size) {
  std::string result;
  for (int64_t place = 0; place < size;) {
    int bad = 0;
    const int good = CharacterBytes(text + place, size - place, &bad);
    if (good > 0) {
      result.append(reinterpret_cast<const char*>(text + place), good);
    } else {
      result += "\xef\xbf\xbd";
    }
    place += good > 0 ? good : bad;
  }
  return result;
}

int64_t FirstInvalidByte(const uint8_t* text, int64_t size) {
  int bad = 0;
  for (int64_t place = 0; place < size;) {
    const int good = CharacterBytes(text + place, size - place, &bad);
    if (good == 0) return place;
    place += good;
  }
  return size;
}

bool AppendInvalid(DecodeContext& context, ColumnNode& node, int64_t size) {
  const uint8_t* const text = node.data + node.data_size;
  switch (node.plan->invalid_utf8) {
    case OnInvalidUtf8::kNull:
      ++context.counters[kInvalidUtf8Nulled];
      return AppendNullOrFail(context, node);
    case OnInvalidUtf8::kReplace: {
      ++context.counters[kInvalidUtf8Replaced];
      const std::string replaced = Replaced(text, size);
      context.expanded_bytes += std::max<int64_t>(0, replaced.size() - size);
      Status room = node.EnsureData(replaced.size());
      if (!room.ok()) return context.Fail(std::move(room));
      std::memcpy(node.data + node.data_size, replaced.data(), replaced.size());
      node.AppendWritten(replaced.size());
      return true;
    }
    case OnInvalidUtf8::kError:
      break;
  }
  const int64_t place = FirstInvalidByte(text, size);
  return context.Fail(UserError(fmt::format(
      "text that is not UTF-8: byte 0x{:02x} at offset {}; set the option invalid_utf8 to replace "
      "or null",
      place < size ? text[place] : 0, place)));
}

}  // namespace

bool AppendWrittenText(DecodeContext& context, ColumnNode& node, int64_t size) {
  const uint8_t* const text = node.data + node.data_size;
  if (!IsAscii(text, size) && !IsUtf8(text, size)) [[unlikely]] {
    return AppendInvalid(context, node, size);
  }
  node.AppendWritten(size);
  return true;
}

bool DecodeText(DecodeContext& context, ColumnNode& node, const uint8_t* bytes, int32_t size) {
  if (node.data_size + size + ColumnNode::kDataSlack > node.data_capacity) [[unlikely]] {
    Status room = node.EnsureData(size);
    if (!room.ok()) return context.Fail(std::move(room));
  }
  uint8_t* const out = node.data + node.data_size;
  if (size > kShortTextBytesMax || context.input_end - bytes < size + ColumnNode::kDataSlack) {
    std::memcpy(out, bytes, size);
    return AppendWrittenText(context, node, size);
  }
  if (!CopyIfAscii(out, bytes, size)) [[unlikely]]
    return AppendWrittenText(context, node, size);
  node.AppendWritten(size);
  return true;
}

bool DecodeVersioned(DecodeContext& context, ColumnNode& node, const uint8_t* bytes, int32_t size) {
  // Source: jsonb_send() and jsonpath_send(): a version byte, always 1 so far, then the text.
  if (size < 1) return WrongSize(context, "jsonb or jsonpath", size);
  if (bytes[0] != 1) {
    return context.Malformed(fmt::format("version {} of jsonb or jsonpath", bytes[0]));
  }
  return DecodeText(context, node, bytes + 1, size - 1);
}

bool DecodeBinary(DecodeContext& context, ColumnNode& node, const uint8_t* bytes, int32_t size) {
  Status room = node.EnsureData(size);
  if (!room.ok()) return context.Fail(std::move(room));
  std::memcpy(node.data + node.data_size, bytes, size);
  node.AppendWritten(size);
  return true;
}

bool DecodeChar(DecodeContext& context, ColumnNode& node, const uint8_t* bytes, int32_t size) {
  if (size != 1) return WrongSize(context, "\"char\"", size);
  // As charout() prints since PostgreSQL 16: nothing for zero, \ooo above ASCII.
  if (bytes[0] == 0) return AppendShortText(context, node, {});
  if (bytes[0] >= 0x80) {
    const std::string escaped = fmt::format("\\{:03o}", bytes[0]);
    return AppendShortText(context, node, escaped);
  }
  return AppendShortText(context, node, {reinterpret_cast<const char*>(bytes), 1});
}

bool DecodeEnum(DecodeContext& context, ColumnNode& node, const uint8_t* bytes, int32_t size) {
  const std::string_view label(reinterpret_cast<const char*>(bytes), size);
  const int32_t index = node.plan->labels->Find(label);
  if (index < 0) [[unlikely]] {
    return context.Fail(PermanentError(
        fmt::format("the enum label '{}' is not one of those that the catalogue had when the job "
                    "was planned; start the job again",
                    label.substr(0, 64))));
  }
  node.AppendFixed(index);
  return true;
}

EnumLabels::EnumLabels(const std::vector<std::string>& labels) : labels_(labels) {
  size_t slots = 2;
  while (slots < labels_.size() * 2) slots *= 2;
  slots_.assign(slots, -1);
  for (size_t index = 0; index < labels_.size(); ++index) {
    size_t slot = Hash(labels_[index]) & (slots - 1);
    while (slots_[slot] >= 0) slot = (slot + 1) & (slots - 1);
    slots_[slot] = static_cast<int32_t>(index);
  }
  std::vector<int32_t> offsets = {0};
  std::string text;
  for (const std::string& label : labels_) {
    text += label;
    offsets.push_back(static_cast<int32_t>(text.size()));
  }
  dictionary_ = std::make_shared<arrow::StringArray>(static_cast<int64_t>(labels_.size()),
                                                     arrow::Buffer::FromVector(std::move(offsets)),
                                                     arrow::Buffer::FromString(std::move(text)));
}

int32_t EnumLabels::Find(std::string_view label) const {
  for (size_t slot = Hash(label) & (slots_.size() - 1); slots_[slot] >= 0;
       slot = (slot + 1) & (slots_.size() - 1)) {
    if (labels_[slots_[slot]] == label) return slots_[slot];
  }
  return -1;
}

uint64_t EnumLabels::Hash(std::string_view label) {
  // FNV-1a; labels have at most 63 bytes.
  uint64_t hash = 0xcbf29ce484222325ULL;
  for (const char letter : label) hash = (hash ^ static_cast<uint8_t>(letter)) * 0x100000001b3ULL;
  return hash ^ (hash >> 32);
}

}  // namespace bulkhaul::pg
