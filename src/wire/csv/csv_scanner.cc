#include "wire/csv/csv_scanner.h"

#include <bit>
#include <cstring>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

namespace bulkhaul::csv {
namespace {

constexpr size_t kBlockBytes = 64;

struct Masks {
  uint64_t quote = 0, delimiter = 0, row_end = 0, beyond_ascii = 0;
};

#ifdef __SSE2__
[[gnu::always_inline]] inline Masks Classify(const char* block, const CsvDialect& dialect) {
  Masks masks;
  const __m128i quote = _mm_set1_epi8(dialect.quote);
  const __m128i delimiter = _mm_set1_epi8(dialect.delimiter);
  const __m128i row_end = _mm_set1_epi8(dialect.row_end);
  for (int part = 0; part < 4; ++part) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(block) + part);
    const auto bits = [&](const __m128i& matches) {
      return static_cast<uint64_t>(static_cast<uint32_t>(_mm_movemask_epi8(matches))) << part * 16;
    };
    masks.quote |= bits(_mm_cmpeq_epi8(bytes, quote));
    masks.delimiter |= bits(_mm_cmpeq_epi8(bytes, delimiter));
    masks.row_end |= bits(_mm_cmpeq_epi8(bytes, row_end));
    masks.beyond_ascii |= bits(bytes);
  }
  if (dialect.quote == '\0') masks.quote = 0;
  return masks;
}
#else
[[gnu::always_inline]] inline Masks Classify(const char* block, const CsvDialect& dialect) {
  Masks masks;
  for (size_t at = 0; at < kBlockBytes; ++at) {
    const char byte = block[at];
    const uint64_t bit = uint64_t{1} << at;
    if (byte == dialect.quote && dialect.quote != '\0') masks.quote |= bit;
    if (byte == dialect.delimiter) masks.delimiter |= bit;
    if (byte == dialect.row_end) masks.row_end |= bit;
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

// Calls `end(place, is_row_end)`; false from it stops, and the state is that behind that byte.
template <typename End>
bool ScanSlowly(std::string_view text, size_t base, const CsvDialect& dialect, CsvScanState* state,
                const End& end) {
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (static_cast<unsigned char>(c) > 0x7F) state->beyond_ascii = true;
    if (state->escaped) {
      state->escaped = false;
      state->may_open = state->at_begin = false;
    } else if (dialect.escape != '\0' && c == dialect.escape) {
      state->escaped = true;
    } else if (dialect.quote != '\0' && c == dialect.quote &&
               (state->in_quotes || state->may_open)) {
      state->may_open = state->in_quotes;
      state->in_quotes = !state->in_quotes;
      state->at_begin = false;
    } else if (!state->in_quotes) {
      const bool row = c == dialect.row_end;
      const bool ends = row || c == dialect.delimiter;
      state->at_begin = ends || (dialect.trim && state->at_begin && IsBlank(c));
      state->may_open = state->at_begin;
      if (ends && !end(base + i, row)) return false;
    }
  }
  return true;
}

// The bytes of a block that end a field or row, as masks; false when a quote stands where it does
// not open, so that counting quotes tells nothing.
[[gnu::always_inline]] inline bool EndsOf(const Masks& masks, CsvScanState* state, uint64_t* ends,
                                          uint64_t* row_ends) {
  uint64_t inside = state->in_quotes ? ~uint64_t{0} : 0;
  if (masks.quote != 0) inside ^= Parity(masks.quote);
  const uint64_t closing = masks.quote & ~inside;
  *ends = (masks.delimiter | masks.row_end) & ~inside;
  const uint64_t before_field = *ends | closing;
  const uint64_t may_open = before_field << 1 | static_cast<uint64_t>(state->may_open);
  if ((masks.quote & inside & ~may_open) != 0) {
    return false;
  }
  *row_ends = *ends & masks.row_end;
  state->may_open = before_field >> 63 != 0;
  state->in_quotes = inside >> 63 != 0;
  return true;
}

// After EndsOf(), for dialects that trim: whether only blanks stand behind the last field's end.
void LookForBlanks(const char* block, uint64_t ends, CsvScanState* state) {
  size_t at = kBlockBytes;
  while (at > 0 && IsBlank(block[at - 1]) && (ends >> (at - 1) & 1) == 0) --at;
  state->at_begin = !state->in_quotes && (at == 0 ? state->at_begin : (ends >> (at - 1) & 1) != 0);
  state->may_open |= state->at_begin;
}

}  // namespace

void ScanFields(std::string_view text, const CsvDialect& dialect, uint32_t base,
                CsvScanState* state, std::vector<uint32_t>* ends, int64_t* rows) {
  size_t count = ends->size();
  const auto slowly = [&](size_t begin, size_t length) {
    ScanSlowly(text.substr(begin, length), begin, dialect, state, [&](size_t place, bool row) {
      if (ends->size() == count) ends->resize(count * 2 + 64);
      (*ends)[count++] = base + static_cast<uint32_t>(place);
      *rows += row;
      return true;
    });
  };
  size_t begin = 0;
  if (dialect.escape == '\0') {
    for (; begin + kBlockBytes <= text.size(); begin += kBlockBytes) {
      if (ends->size() < count + kBlockBytes) ends->resize(ends->size() * 2 + 1024);
      const Masks masks = Classify(text.data() + begin, dialect);
      uint64_t found, row_ends;
      if (!EndsOf(masks, state, &found, &row_ends)) {
        slowly(begin, kBlockBytes);
        continue;
      }
      if (dialect.trim) LookForBlanks(text.data() + begin, found, state);
      state->beyond_ascii |= masks.beyond_ascii != 0;
      *rows += std::popcount(row_ends);
      uint32_t* out = ends->data() + count;
      count += static_cast<size_t>(std::popcount(found));
      const uint32_t place = base + static_cast<uint32_t>(begin);
      while (found != 0) {
        *out++ = place + static_cast<uint32_t>(std::countr_zero(found));
        found &= found - 1;
      }
    }
  }
  slowly(begin, text.size() - begin);
  ends->resize(count);
}

size_t ScanToRowEnd(std::string_view text, const CsvDialect& dialect, size_t from,
                    CsvScanState* state) {
  size_t result = std::string_view::npos;
  const auto slowly = [&](size_t begin, size_t length) {
    return ScanSlowly(text.substr(begin, length), begin, dialect, state,
                      [&](size_t place, bool row) {
                        if (!row || place < from) return true;
                        result = place;
                        return false;
                      });
  };
  size_t begin = 0;
  if (dialect.escape == '\0') {
    for (; begin + kBlockBytes <= text.size(); begin += kBlockBytes) {
      const Masks masks = Classify(text.data() + begin, dialect);
      const CsvScanState before = *state;
      uint64_t found, row_ends;
      const bool known = EndsOf(masks, state, &found, &row_ends);
      // The block with the row end is looked through byte by byte, for the state behind it.
      if (known && (row_ends == 0 || begin + kBlockBytes <= from)) {
        if (dialect.trim) LookForBlanks(text.data() + begin, found, state);
        state->beyond_ascii |= masks.beyond_ascii != 0;
        continue;
      }
      *state = before;
      if (!slowly(begin, kBlockBytes)) return result;
    }
  }
  slowly(begin, text.size() - begin);
  return result;
}

}  // namespace bulkhaul::csv
