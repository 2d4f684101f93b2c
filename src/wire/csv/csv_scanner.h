// Where fields and rows of CSV text end: 64 bytes at a time, as masks with a bit a byte.
//
// A quote opens only at the begin of a field or directly behind one that closed (a doubled quote);
// elsewhere outside quotes it is an ordinary character. Where the dialect trims, blanks before it
// are no part of the field. An escape takes the next byte's meaning.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "wire/csv/csv_dialect.h"

namespace bulkhaul::csv {

// What one piece of text hands to the next. As it is made: at the begin of a row.
struct CsvScanState {
  bool in_quotes = false;
  bool may_open = true;  // a quote as the next byte opens
  bool escaped = false;
  bool at_begin = true;       // of a field, but for blanks where the dialect trims
  bool beyond_ascii = false;  // a byte with the high bit was seen

  // Behind a byte that ends a row: whether it did end one.
  bool AtRowBegin() const { return may_open && !in_quotes && !escaped; }
};

// Appends the places (plus `base`) of the bytes that end a field or row. `rows` counts row ends.
void ScanFields(std::string_view text, const CsvDialect& dialect, uint32_t base,
                CsvScanState* state, std::vector<uint32_t>* ends, int64_t* rows);

// The place of the first row end at or after `from`; npos when there is none, and then, as always,
// `state` is that behind what was looked at: the whole text, or up to that row end.
size_t ScanToRowEnd(std::string_view text, const CsvDialect& dialect, size_t from,
                    CsvScanState* state);

}  // namespace bulkhaul::csv
