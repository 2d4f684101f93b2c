#include "wire/csv/csv_encoder.h"

#include <cstring>
#include <string_view>

#include <fmt/format.h>

#include "wire/csv/csv_column.h"

namespace bulkhaul {
namespace {

using csv::Column;

// Every character that the text of a kPlain value may hold. Another delimiter cannot clash.
constexpr std::string_view kPlainCharacters =
    "0123456789+-.:abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ\\ ";

constexpr uint64_t Repeat(char byte) {
  return 0x0101'0101'0101'0101ull * static_cast<uint8_t>(byte);
}
// Not zero when one of the eight bytes is zero.
constexpr uint64_t ZeroBytes(uint64_t word) {
  return (word - 0x0101'0101'0101'0101ull) & ~word & 0x8080'8080'8080'8080ull;
}

class Encoder : public CsvEncoder {
 public:
  Encoder(std::vector<std::string> names, std::vector<std::unique_ptr<Column>> columns,
          const CsvFormatOptions& options)
      : names_(std::move(names)),
        columns_(std::move(columns)),
        options_(options),
        quote_all_(options.quote == CsvFormatOptions::Quote::kAll),
        quote_texts_(options.quote != CsvFormatOptions::Quote::kNeeded),
        // Only then may a plain value need quotes.
        check_plain_(!options.null_text.empty() ||
                     kPlainCharacters.find(options.delimiter) != std::string_view::npos) {}

  void AppendHeader(CsvBuffer* out) const override {
    if (!options_.header) return;
    for (size_t i = 0; i < names_.size(); ++i) {
      if (i > 0) out->Append(options_.delimiter);
      AppendText(names_[i], quote_texts_, out);
    }
    out->Append('\n');
  }

  Status AppendRows(const arrow::RecordBatch& batch, int64_t offset, int64_t rows,
                    CsvBuffer* out) override {
    for (size_t i = 0; i < columns_.size(); ++i) {
      columns_[i]->Bind(*batch.column(static_cast<int>(i)));
    }
    for (int64_t row = offset; row < offset + rows; ++row) {
      for (size_t i = 0; i < columns_.size(); ++i) {
        if (i > 0) out->Append(options_.delimiter);
        AppendField(*columns_[i], row, out);
      }
      out->Append('\n');
    }
    return Status::OK();
  }

 private:
  void AppendField(const Column& column, int64_t row, CsvBuffer* out) {
    if (column.IsNull(row)) return out->Append(options_.null_text);
    switch (column.kind()) {
      case Column::Kind::kText:
        return AppendText(column.View(row), quote_texts_, out);
      case Column::Kind::kNested:
        scratch_.Clear();
        column.Text(row, &scratch_);
        return AppendText(scratch_.view(), quote_texts_, out);
      case Column::Kind::kPlain:
        break;
    }
    if (!quote_all_ && !check_plain_) return column.Text(row, out);
    scratch_.Clear();
    column.Text(row, &scratch_);
    AppendText(scratch_.view(), quote_all_, out);
  }

  void AppendText(std::string_view text, bool quote, CsvBuffer* out) const {
    if (!quote && !NeedsQuotes(text)) return out->Append(text);
    out->Append('"');
    while (true) {
      const size_t inner = text.find('"');
      if (inner == std::string_view::npos) break;
      out->Append(text.substr(0, inner + 1));
      out->Append('"');
      text.remove_prefix(inner + 1);
    }
    out->Append(text);
    out->Append('"');
  }

  bool NeedsQuotes(std::string_view text) const {
    if (text == options_.null_text) return true;
    const char* data = text.data();
    size_t left = text.size();
    for (; left >= 8; data += 8, left -= 8) {
      uint64_t word;
      std::memcpy(&word, data, 8);
      const uint64_t found = ZeroBytes(word ^ Repeat('"')) | ZeroBytes(word ^ Repeat('\n')) |
                             ZeroBytes(word ^ Repeat('\r')) |
                             ZeroBytes(word ^ Repeat(options_.delimiter));
      if (found != 0) return true;
    }
    for (; left > 0; ++data, --left) {
      if (*data == '"' || *data == '\n' || *data == '\r' || *data == options_.delimiter) {
        return true;
      }
    }
    return false;
  }

  const std::vector<std::string> names_;
  const std::vector<std::unique_ptr<Column>> columns_;
  const CsvFormatOptions options_;
  const bool quote_all_;
  const bool quote_texts_;
  const bool check_plain_;
  CsvBuffer scratch_;
};

}  // namespace

Result<std::unique_ptr<CsvEncoder>> CsvEncoder::Make(const std::shared_ptr<arrow::Schema>& schema,
                                                     const CsvFormatOptions& options) {
  std::vector<std::unique_ptr<Column>> columns;
  for (const auto& field : schema->fields()) {
    auto column = csv::MakeColumn(*field->type());
    if (!column.ok()) {
      return WithContext(column.status(), fmt::format("column '{}'", field->name()));
    }
    columns.push_back(column.MoveValueUnsafe());
  }
  return std::make_unique<Encoder>(schema->field_names(), std::move(columns), options);
}

}  // namespace bulkhaul
