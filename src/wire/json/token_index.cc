// Where the tokens of a JSON text begin: 64 bytes at a time, as masks with a bit a byte.
// Source of the method: G. Langdale and D. Lemire, "Parsing gigabytes of JSON per second", VLDB
// Journal 28, 2019, section 3.1. simdjson itself cannot be linked: libparquet of the Arrow wheel
// exports another version of it under the same names.
#include <bit>
#include <cstring>
#include <limits>

#include <fmt/format.h>

#include "base/text.h"
#include "wire/json/json_tokens.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

namespace bulkhaul::search {

namespace {

constexpr size_t kBlockBytes = 64;
constexpr size_t kTextBytesMax = size_t{2} << 30;
// Positions that one huge text has made are given up.
constexpr size_t kPositionsKeptMax = size_t{1} << 20;

// One bit a byte of a block.
struct BlockMasks {
  uint64_t quote = 0, backslash = 0;
  uint64_t structural = 0;  // {}[]:,
  uint64_t white = 0;       // space, tab, line feed, carriage return
  uint64_t control = 0;     // below 0x20
  uint64_t beyond_ascii = 0;
};

#ifdef __SSE2__
[[gnu::always_inline]] inline BlockMasks Classify(const char* block) {
  BlockMasks masks;
  for (int part = 0; part < 4; ++part) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(block) + part);
    const auto is = [&](const __m128i& values, char wanted) {
      return _mm_cmpeq_epi8(values, _mm_set1_epi8(wanted));
    };
    const auto bits = [&](const __m128i& matches) {
      return static_cast<uint64_t>(static_cast<uint32_t>(_mm_movemask_epi8(matches))) << part * 16;
    };
    // '[' and '{', ']' and '}' differ in the bit of 0x20.
    const __m128i folded = _mm_or_si128(bytes, _mm_set1_epi8(0x20));
    masks.quote |= bits(is(bytes, '"'));
    masks.backslash |= bits(is(bytes, '\\'));
    masks.structural |= bits(_mm_or_si128(_mm_or_si128(is(folded, '{'), is(folded, '}')),
                                          _mm_or_si128(is(bytes, ':'), is(bytes, ','))));
    masks.white |= bits(_mm_or_si128(_mm_or_si128(is(bytes, ' '), is(bytes, '\t')),
                                     _mm_or_si128(is(bytes, '\n'), is(bytes, '\r'))));
    masks.control |= bits(_mm_cmpeq_epi8(_mm_min_epu8(bytes, _mm_set1_epi8(0x1F)), bytes));
    masks.beyond_ascii |= bits(bytes);
  }
  return masks;
}
#else
[[gnu::always_inline]] inline BlockMasks Classify(const char* block) {
  BlockMasks masks;
  for (size_t at = 0; at < kBlockBytes; ++at) {
    const char byte = block[at];
    const uint64_t bit = uint64_t{1} << at;
    if (byte == '"') masks.quote |= bit;
    if (byte == '\\') masks.backslash |= bit;
    if (byte != '\0' && std::strchr("{}[]:,", byte) != nullptr) masks.structural |= bit;
    if (byte == ' ' || byte == '\t' || byte == '\n' || byte == '\r') masks.white |= bit;
    if (static_cast<unsigned char>(byte) < 0x20) masks.control |= bit;
    if (static_cast<unsigned char>(byte) > 0x7F) masks.beyond_ascii |= bit;
  }
  return masks;
}
#endif

// Bit n: whether an odd number of bits up to n are set.
uint64_t Parity(uint64_t bits) {
  for (int shift = 1; shift < 64; shift *= 2) bits ^= bits << shift;
  return bits;
}

// What one block hands to the next.
struct Scan {
  uint64_t escaped = 0;    // 1: the next byte stands behind a backslash that escapes it
  uint64_t in_string = 0;  // all ones: the next byte is inside a string
  uint64_t in_scalar = 0;  // 1: the byte before belongs to a number or literal

  // The bytes that stand behind a backslash that escapes them.
  uint64_t Escaped(uint64_t backslash) {
    uint64_t behind = escaped;
    uint64_t open = backslash & ~escaped;
    escaped = 0;
    while (open != 0) {
      const int place = std::countr_zero(open);
      if (place == 63) {
        escaped = 1;
        break;
      }
      behind |= uint64_t{2} << place;
      open &= ~(uint64_t{3} << place);
    }
    return behind;
  }

  // The bytes at which tokens begin. `strings`: the insides of strings with their first quotes.
  uint64_t TokenStarts(const BlockMasks& masks, uint64_t* strings) {
    const uint64_t behind = masks.backslash == 0 && escaped == 0 ? 0 : Escaped(masks.backslash);
    const uint64_t quotes = masks.quote & ~behind;
    *strings = Parity(quotes) ^ in_string;
    in_string = static_cast<uint64_t>(static_cast<int64_t>(*strings) >> 63);
    const uint64_t inside_or_last_quote = *strings ^ quotes;
    const uint64_t scalar = ~(masks.structural | masks.white);
    const uint64_t unquoted = scalar & ~quotes;
    const uint64_t continued = unquoted << 1 | in_scalar;
    in_scalar = unquoted >> 63;
    return (masks.structural | (scalar & ~continued)) & ~inside_or_last_quote;
  }
};

}  // namespace

Status TokenIndex::Build(std::string_view text) {
  if (text.size() > kTextBytesMax) {
    return PermanentError(fmt::format("the answer has {} bytes, more than 2 GiB", text.size()));
  }
  const auto refuse = [&](const char* why) {
    return TransientError(fmt::format("the answer of {} bytes is no JSON: {}", text.size(), why));
  };
  if (positions_.size() > kPositionsKeptMax) std::vector<uint32_t>().swap(positions_);
  count_ = 0;
  Scan scan;
  uint64_t beyond_ascii = 0, control_in_string = 0;
  for (size_t begin = 0; begin < text.size(); begin += kBlockBytes) {
    if (positions_.size() < count_ + kBlockBytes) {
      positions_.resize(std::max<size_t>(1024, positions_.size() * 2));
    }
    BlockMasks masks;
    if (text.size() - begin >= kBlockBytes) {
      masks = Classify(text.data() + begin);
    } else {
      char last[kBlockBytes];
      std::memset(last, ' ', sizeof(last));
      std::memcpy(last, text.data() + begin, text.size() - begin);
      masks = Classify(last);
    }
    uint64_t strings;
    uint64_t starts = scan.TokenStarts(masks, &strings);
    beyond_ascii |= masks.beyond_ascii;
    control_in_string |= masks.control & strings;
    uint32_t* out = positions_.data() + count_;
    while (starts != 0) {
      *out++ = static_cast<uint32_t>(begin) + static_cast<uint32_t>(std::countr_zero(starts));
      starts &= starts - 1;
    }
    count_ = static_cast<uint32_t>(out - positions_.data());
  }
  if (scan.in_string != 0) return refuse("it ends inside a string");
  if (control_in_string != 0) return refuse("a string holds a control character");
  if (beyond_ascii != 0 && !IsValidUtf8(text)) return refuse("it is not valid UTF-8");
  return Status::OK();
}

}  // namespace bulkhaul::search
