// Where the tokens of a JSON text begin: 64 bytes at a time, as masks with a bit a byte.
// Source of the method: G. Langdale and D. Lemire, "Parsing gigabytes of JSON per second", VLDB
// Journal 28, 2019, section 3.1. simdjson itself cannot be linked: libparquet of the Arrow wheel
// exports another version of it under the same names.
#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>

#include <fmt/format.h>

#include "base/text.h"
#include "wire/json/json_tokens.h"

#ifdef __x86_64__
#include <immintrin.h>
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

// Bit n: whether an odd number of bits up to n are set.
uint64_t Parity(uint64_t bits) {
  for (int shift = 1; shift < 64; shift *= 2) bits ^= bits << shift;
  return bits;
}

#ifdef __x86_64__
// What every x86-64 processor has.
struct Sse2 {
  [[gnu::always_inline]] static BlockMasks Classify(const char* block) {
    BlockMasks masks;
    for (int part = 0; part < 4; ++part) {
      const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(block) + part);
      const auto is = [&](const __m128i& values, char wanted) {
        return _mm_cmpeq_epi8(values, _mm_set1_epi8(wanted));
      };
      const auto bits = [&](const __m128i& matches) {
        return static_cast<uint64_t>(static_cast<uint32_t>(_mm_movemask_epi8(matches)))
               << part * 16;
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
  static uint64_t Parity(uint64_t bits) { return search::Parity(bits); }
};

#define BULKHAUL_AVX2 [[gnu::target("avx2,bmi,pclmul,popcnt")]]
struct Avx2 {
  BULKHAUL_AVX2 static __m256i Is(__m256i bytes, char wanted) {
    return _mm256_cmpeq_epi8(bytes, _mm256_set1_epi8(wanted));
  }
  BULKHAUL_AVX2 static uint64_t Bits(__m256i low, __m256i high) {
    return static_cast<uint32_t>(_mm256_movemask_epi8(low)) |
           static_cast<uint64_t>(static_cast<uint32_t>(_mm256_movemask_epi8(high))) << 32;
  }
  BULKHAUL_AVX2 static __m256i Structural(__m256i bytes) {
    const __m256i folded = _mm256_or_si256(bytes, _mm256_set1_epi8(0x20));
    return _mm256_or_si256(_mm256_or_si256(Is(folded, '{'), Is(folded, '}')),
                           _mm256_or_si256(Is(bytes, ':'), Is(bytes, ',')));
  }
  BULKHAUL_AVX2 static __m256i White(__m256i bytes) {
    return _mm256_or_si256(_mm256_or_si256(Is(bytes, ' '), Is(bytes, '\t')),
                           _mm256_or_si256(Is(bytes, '\n'), Is(bytes, '\r')));
  }
  BULKHAUL_AVX2 static __m256i Control(__m256i bytes) {
    return _mm256_cmpeq_epi8(_mm256_min_epu8(bytes, _mm256_set1_epi8(0x1F)), bytes);
  }
  BULKHAUL_AVX2 static BlockMasks Classify(const char* block) {
    const __m256i low = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(block));
    const __m256i high = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(block) + 1);
    BlockMasks masks;
    masks.quote = Bits(Is(low, '"'), Is(high, '"'));
    masks.backslash = Bits(Is(low, '\\'), Is(high, '\\'));
    masks.structural = Bits(Structural(low), Structural(high));
    masks.white = Bits(White(low), White(high));
    masks.control = Bits(Control(low), Control(high));
    masks.beyond_ascii = Bits(low, high);
    return masks;
  }
  BULKHAUL_AVX2 static uint64_t Parity(uint64_t bits) {
    // A product without carries with all ones.
    return static_cast<uint64_t>(_mm_cvtsi128_si64(
        _mm_clmulepi64_si128(_mm_set_epi64x(0, static_cast<int64_t>(bits)), _mm_set1_epi8(-1), 0)));
  }
};
#else
struct AnyProcessor {
  [[gnu::always_inline]] static BlockMasks Classify(const char* block) {
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
  static uint64_t Parity(uint64_t bits) { return search::Parity(bits); }
};
#endif

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
  template <typename Processor>
  [[gnu::always_inline]] uint64_t TokenStarts(const BlockMasks& masks, uint64_t* strings) {
    const uint64_t behind = masks.backslash == 0 && escaped == 0 ? 0 : Escaped(masks.backslash);
    const uint64_t quotes = masks.quote & ~behind;
    *strings = Processor::Parity(quotes) ^ in_string;
    in_string = static_cast<uint64_t>(static_cast<int64_t>(*strings) >> 63);
    const uint64_t inside_or_last_quote = *strings ^ quotes;
    const uint64_t scalar = ~(masks.structural | masks.white);
    const uint64_t unquoted = scalar & ~quotes;
    const uint64_t continued = unquoted << 1 | in_scalar;
    in_scalar = unquoted >> 63;
    return (masks.structural | (scalar & ~continued)) & ~inside_or_last_quote;
  }
};

// What is found in a text besides its tokens.
struct Findings {
  uint64_t beyond_ascii = 0, control_in_string = 0;
  bool open_string = false;
};

// Appends where the tokens begin to `positions`, which holds only them and grows by blocks.
template <typename Processor>
[[gnu::always_inline]] inline uint32_t FindTokens(std::string_view text,
                                                  std::vector<uint32_t>* positions,
                                                  Findings* findings) {
  uint32_t count = 0;
  Scan scan;
  for (size_t begin = 0; begin < text.size(); begin += kBlockBytes) {
    if (positions->size() < count + kBlockBytes) {
      positions->resize(std::max<size_t>(1024, positions->size() * 2));
    }
    BlockMasks masks;
    if (text.size() - begin >= kBlockBytes) {
      masks = Processor::Classify(text.data() + begin);
    } else {
      char last[kBlockBytes];
      std::memset(last, ' ', sizeof(last));
      std::memcpy(last, text.data() + begin, text.size() - begin);
      masks = Processor::Classify(last);
    }
    uint64_t strings;
    uint64_t starts = scan.TokenStarts<Processor>(masks, &strings);
    findings->beyond_ascii |= masks.beyond_ascii;
    findings->control_in_string |= masks.control & strings;
    uint32_t* const out = positions->data() + count;
    // Eight at a time, whether or not there are: fewer branches than bits. Those too many are
    // overwritten by the next block's, or lie beyond the count.
    const int found = std::popcount(starts);
    for (int first = 0; first < found; first += 8) {
      for (int next = first; next < first + 8; ++next) {
        out[next] = static_cast<uint32_t>(begin) + static_cast<uint32_t>(std::countr_zero(starts));
        starts &= starts - 1;
      }
    }
    count += static_cast<uint32_t>(found);
  }
  findings->open_string = scan.in_string != 0;
  return count;
}

#ifdef __x86_64__
BULKHAUL_AVX2 [[gnu::flatten]] uint32_t FindTokensByAvx2(std::string_view text,
                                                         std::vector<uint32_t>* positions,
                                                         Findings* findings) {
  return FindTokens<Avx2>(text, positions, findings);
}
#endif

uint32_t FindTokensHere(std::string_view text, std::vector<uint32_t>* positions,
                        Findings* findings) {
#ifdef __x86_64__
  static const bool has_avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") &&
                               __builtin_cpu_supports("pclmul") && __builtin_cpu_supports("popcnt");
  if (has_avx2) return FindTokensByAvx2(text, positions, findings);
  return FindTokens<Sse2>(text, positions, findings);
#else
  return FindTokens<AnyProcessor>(text, positions, findings);
#endif
}

}  // namespace

Status TokenIndex::Build(std::string_view text) {
  if (text.size() > kTextBytesMax) {
    return PermanentError(fmt::format("the answer has {} bytes, more than 2 GiB", text.size()));
  }
  const auto refuse = [&](const char* why) {
    return TransientError(fmt::format("the answer of {} bytes is no JSON: {}", text.size(), why));
  };
  if (positions_.size() > kPositionsKeptMax) std::vector<uint32_t>().swap(positions_);
  Findings findings;
  count_ = FindTokensHere(text, &positions_, &findings);
  if (findings.open_string) return refuse("it ends inside a string");
  if (findings.control_in_string != 0) return refuse("a string holds a control character");
  if (findings.beyond_ascii != 0 && !IsValidUtf8(text)) return refuse("it is not valid UTF-8");
  return Status::OK();
}

}  // namespace bulkhaul::search
