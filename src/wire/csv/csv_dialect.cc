#include "wire/csv/csv_dialect.h"

#include <algorithm>
#include <map>
#include <vector>

#include <fmt/format.h>

#include "wire/csv/csv_scanner.h"

namespace bulkhaul::csv {
namespace {

constexpr size_t kRowsLookedAt = 100;

// How well a delimiter cuts the sample: fields of a row where rows agree, else near 0.
double ScoreOf(std::string_view sample, const CsvDialect& dialect) {
  std::vector<uint32_t> ends;
  CsvScanState state;
  int64_t rows = 0;
  ScanFields(sample, dialect, 0, &state, &ends, &rows);
  std::map<int, size_t> counts;
  int fields = 0;
  size_t looked_at = 0, begin = 0;
  for (const uint32_t end : ends) {
    ++fields;
    if (sample[end] != dialect.row_end) continue;
    const std::string_view row = sample.substr(begin, end - begin);
    begin = end + 1;
    if (!row.empty() && row != "\r") {
      ++counts[fields];
      if (++looked_at == kRowsLookedAt) break;
    }
    fields = 0;
  }
  if (looked_at == 0) return 0;
  const auto common =
      std::max_element(counts.begin(), counts.end(),
                       [](const auto& a, const auto& b) { return a.second < b.second; });
  if (common->first < 2) return 0;
  const double agree = static_cast<double>(common->second) / static_cast<double>(looked_at);
  return agree * agree * agree * (1 + 0.01 * std::min(common->first, 50));
}

// Whether a backslash stands before a quote inside quotes, where it could not close.
bool EscapesQuotes(std::string_view sample, const CsvDialect& dialect) {
  size_t found = 0;
  for (size_t i = 1; i + 1 < sample.size(); ++i) {
    if (sample[i] != dialect.quote || sample[i - 1] != '\\') continue;
    const char next = sample[i + 1];
    if (next == dialect.quote) continue;
    if (next != dialect.delimiter && next != '\r' && next != '\n') ++found;
  }
  return found > 0;
}

// Whether single quotes open as many fields as they close.
bool QuotesSingly(std::string_view sample, bool trim) {
  constexpr std::string_view kAround = ",;\t|\r\n";
  size_t opened = 0, closed = 0;
  for (size_t i = 0; i < sample.size(); ++i) {
    if (sample[i] != '\'') continue;
    size_t begin = i, end = i + 1;
    while (trim && begin > 0 && IsBlank(sample[begin - 1])) --begin;
    while (trim && end < sample.size() && IsBlank(sample[end])) ++end;
    opened += begin == 0 || kAround.find(sample[begin - 1]) != std::string_view::npos;
    closed += end == sample.size() || kAround.find(sample[end]) != std::string_view::npos;
  }
  return opened > 0 && opened == closed;
}

}  // namespace

CsvDialect DetectDialect(std::string_view sample, const DialectWishes& wishes, bool prefer_tab) {
  CsvDialect dialect;
  dialect.trim = wishes.trim;
  if (sample.find('\n') == std::string_view::npos && sample.find('\r') != std::string_view::npos) {
    dialect.row_end = '\r';
  }
  if (wishes.quote) {
    dialect.quote = *wishes.quote;
  } else if (sample.find('"') == std::string_view::npos) {
    if (QuotesSingly(sample, wishes.trim)) dialect.quote = '\'';
  }
  if (wishes.delimiter) {
    dialect.delimiter = *wishes.delimiter;
  } else {
    double best = 0;
    for (const char delimiter : {',', ';', '\t', '|'}) {
      CsvDialect tried = dialect;
      tried.delimiter = delimiter;
      double score = ScoreOf(sample, tried);
      if (prefer_tab && delimiter == '\t') score *= 2;
      if (score > best) {
        best = score;
        dialect.delimiter = delimiter;
      }
    }
    if (best == 0 && prefer_tab) dialect.delimiter = '\t';
  }
  if (wishes.escape) {
    dialect.escape = *wishes.escape == dialect.quote ? '\0' : *wishes.escape;
  } else if (dialect.quote != '\0' && EscapesQuotes(sample, dialect)) {
    dialect.escape = '\\';
  }
  return dialect;
}

Result<std::optional<char>> ParseCsvCharacter(std::string_view option, std::string_view text) {
  if (text == "auto") return std::optional<char>();
  if (text == "none") return std::optional<char>('\0');
  if (text == "tab" || text == "\\t") return std::optional<char>('\t');
  if (text.size() == 1 && text[0] != '\n' && text[0] != '\r') return std::optional<char>(text[0]);
  return UserError(fmt::format("{}: '{}' is not one character, tab, none or auto", option, text));
}

}  // namespace bulkhaul::csv
