#include "source/files/csv_files.h"

#include <algorithm>
#include <map>
#include <set>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "plan/column_naming.h"
#include "plan/drift.h"
#include "plan/type_name.h"
#include "source/files/csv_layout.h"
#include "source/files/describe.h"
#include "source/files/text_chunks.h"
#include "source/files/text_stream.h"

namespace bulkhaul::files {
namespace {

constexpr int64_t kHeadBytes = 64 << 10;

// The first row of the text, reading on until it ends. False: there is no row. `broken` as for
// csv::FirstRow.
Result<bool> TakeRow(TextChunks& chunks, const csv::CsvDialect& dialect,
                     std::vector<std::string>* fields, bool* broken = nullptr) {
  for (;;) {
    ARROW_ASSIGN_OR_RAISE(const size_t bytes, csv::FirstRow(chunks.text(), dialect, chunks.last(),
                                                            fields, nullptr, broken));
    if (bytes > 0) {
      chunks.Consume(bytes, dialect.row_end);
      return true;
    }
    if (chunks.last()) return false;
    ARROW_RETURN_NOT_OK(chunks.Fill());
  }
}

// What text turns out to be that is none.
const char* OtherKind(std::string_view begin) {
  if (begin.starts_with("PAR1")) return "a Parquet file: set source_format: parquet";
  if (begin.starts_with("ARROW1")) return "an Arrow file: set source_format: arrow";
  if (begin.starts_with("\x1f\x8b")) return "packed by gzip: name it .gz";
  if (begin.starts_with("\x28\xb5\x2f\xfd")) return "packed by zstd: name it .zst";
  if (begin.starts_with("PK\x03\x04")) {
    return "a zip archive, as workbooks (.xlsx) are: unpack it, or save the sheet as CSV";
  }
  return nullptr;
}

// Past blank lines to the names of the file's columns; none when it has no line.
Result<std::vector<std::string>> TakeHeader(TextChunks& chunks, const CsvLayout& layout) {
  std::vector<std::string> fields;
  for (;;) {
    ARROW_ASSIGN_OR_RAISE(const bool found, TakeRow(chunks, layout.dialect, &fields));
    if (!found) return std::vector<std::string>();
    if (fields.size() == 1 && fields[0].empty()) continue;
    for (const auto& field : fields) {
      if (IsValidUtf8(field)) continue;
      if (const char* other = OtherKind(fields[0])) {
        return UserError(fmt::format("this is no text but {}", other), "not_text");
      }
      return UserError(
          "the header is not valid UTF-8; set source_encoding (windows-1252, latin1, utf-16le)",
          "invalid_utf8");
    }
    return ColumnNames(std::move(fields));
  }
}

// The file's text from its header or first row on.
Result<std::unique_ptr<TextChunks>> OpenHead(const DataFile& file, const CsvLayout& layout,
                                             int64_t row_bytes_max) {
  ARROW_ASSIGN_OR_RAISE(
      auto chunks, TextChunks::Open({&file, 0, -1, 1}, layout.encoding, kHeadBytes, row_bytes_max));
  ARROW_RETURN_NOT_OK(TakeSeparatorLine(*chunks).status());
  return chunks;
}

// The names of the file's columns: those of its header, or made ones.
Result<std::vector<std::string>> NamesOf(const DataFile& file, const CsvLayout& layout,
                                         int64_t row_bytes_max) {
  ARROW_ASSIGN_OR_RAISE(auto chunks, OpenHead(file, layout, row_bytes_max));
  if (layout.header) return TakeHeader(*chunks, layout);
  std::vector<std::string> fields;
  ARROW_ASSIGN_OR_RAISE(const bool found, TakeRow(*chunks, layout.dialect, &fields));
  if (!found) return std::vector<std::string>();
  return ColumnNames(std::vector<std::string>(fields.size()));
}

// Which rule a row breaks; `type`: of its column.
std::string RuleOf(const csv::CsvRefused& refused, const csv::CsvType* type, int fields) {
  switch (refused.reason) {
    case csv::CsvRefused::Reason::kFields:
      return fmt::format("fields: {} instead of {}", refused.fields, fields);
    case csv::CsvRefused::Reason::kUtf8:
      return "utf-8";
    case csv::CsvRefused::Reason::kQuotes:
      return "quotes";
    case csv::CsvRefused::Reason::kMisfit:
      break;
  }
  if (type == nullptr) return "type";
  return "type: " + TypeName(*type->type) +
         (type->date_format.empty() ? "" : ", date_format: " + type->date_format);
}

class CsvPartReader : public PartReader {
 public:
  CsvPartReader(std::shared_ptr<const ReadPlan> plan, const DataFile& file, UnitContext& context)
      : plan_(std::move(plan)), file_(file), context_(context) {}

  Status Start(const FilePart& part) {
    ARROW_ASSIGN_OR_RAISE(const auto layout, CsvLayout::FromJson(plan_->state.layout));
    row_end_ = layout.dialect.row_end;
    ARROW_ASSIGN_OR_RAISE(const auto names, NamesOf(file_, layout, plan_->row_bytes_max));
    const int64_t chunk_bytes = TextChunkBytes(context_.batch_bytes_max);
    ARROW_ASSIGN_OR_RAISE(
        chunks_, TextChunks::Open(part, layout.encoding, chunk_bytes, plan_->row_bytes_max));
    if (names.empty()) return Status::OK();  // no line, no rows
    if (part.begin == 0) ARROW_RETURN_NOT_OK(TakeSeparatorLine(*chunks_).status());
    if (layout.header && part.begin == 0) {
      ARROW_RETURN_NOT_OK(TakeHeader(*chunks_, layout).status());
    }
    arrow::FieldVector found;
    for (const auto& name : names) found.push_back(arrow::field(name, arrow::utf8()));
    ARROW_RETURN_NOT_OK(CheckColumns(*plan_, file_, *arrow::schema(std::move(found))));
    std::vector<csv::CsvColumn> columns;
    for (const auto& field : plan_->file_schema->fields()) {
      const auto place = std::find(names.begin(), names.end(), field->name());
      if (place == names.end()) continue;
      csv::CsvColumn column;
      column.name = field->name();
      column.cast_name = NewNames(plan_->options).Of(field->name());
      column.type.type = field->type();
      column.field = static_cast<int>(place - names.begin());
      if (const auto own = layout.columns.find(field->name()); own != layout.columns.end()) {
        column.type.date_format = own->second.date_format;
        column.type.nulls = own->second.nulls;
        column.type.given = own->second.given;
        column.type.contract = own->second.contract;
      }
      types_[column.name] = column.type;
      columns.push_back(std::move(column));
    }
    csv::CsvReading reading = ReadingOf(plan_->options);
    reading.dialect = layout.dialect;
    reading.rows_before_errors = plan_->limit > 0;
    reading.larger_sample = plan_->larger_sample();
    reading.fields = fields_ = static_cast<int>(names.size());
    ARROW_ASSIGN_OR_RAISE(decoder_,
                          csv::CsvDecoder::Make(reading, std::move(columns), context_.pool));
    return Status::OK();
  }

  Result<std::shared_ptr<arrow::RecordBatch>> Next() override {
    if (decoder_ == nullptr) return nullptr;
    while (row_ >= decoder_->rows()) {
      // Rows set aside are passed on before more of them come.
      if (decoder_->has_refused()) {
        return arrow::RecordBatch::MakeEmpty(plan_->file_schema, context_.pool);
      }
      ARROW_ASSIGN_OR_RAISE(const bool more, IndexMore());
      if (!more) return nullptr;
    }
    int64_t count = std::min(context_.batch_rows_max, decoder_->rows() - row_);
    auto batch = decoder_->Decode(row_, count);
    // The limit may be reached before the row that is wrong.
    while (!batch.ok() && plan_->limit > 0 && count > 1) {
      count /= 2;
      batch = decoder_->Decode(row_, count);
    }
    if (!batch.ok()) return WithContext(batch.status(), file_.path);
    row_ += count;
    if (plan_->file_schema->num_fields() == (*batch)->num_columns()) {
      return arrow::RecordBatch::Make(plan_->file_schema, (*batch)->num_rows(),
                                      (*batch)->columns());
    }
    return Conform(*plan_, file_, **batch, context_.pool);
  }

  int64_t LineOf(int64_t row) const override { return decoder_->LineOfDecoded(row); }
  std::vector<RefusedRow> TakeRefused() override {
    std::vector<RefusedRow> rows;
    if (decoder_ == nullptr) return rows;
    for (auto& refused : decoder_->TakeRefused()) {
      RefusedRow row;
      row.place.line = refused.line;
      const auto type = types_.find(refused.column);
      row.rule = RuleOf(refused, type == types_.end() ? nullptr : &type->second, fields_);
      row.column = std::move(refused.column);
      row.value = std::move(refused.value);
      row.text = std::move(refused.text);
      rows.push_back(std::move(row));
    }
    return rows;
  }
  int64_t bytes_read() const override { return chunks_->bytes_read(); }
  std::map<std::string, int64_t> counters() const override {
    return decoder_ == nullptr ? std::map<std::string, int64_t>() : decoder_->counters();
  }

 private:
  // Finds the rows of the next piece; false at the end.
  Result<bool> IndexMore() {
    row_ = 0;
    chunks_->Consume(used_, row_end_);
    used_ = 0;
    do {
      if (context_.stop.stop_requested()) return CancelledError();
      if (chunks_->last() && chunks_->text().empty()) return false;
      // Behind the header there may be rows that nobody has looked for yet.
      if (!fresh_ || chunks_->text().empty()) ARROW_RETURN_NOT_OK(chunks_->Fill());
      fresh_ = false;
      if (context_.reservation != nullptr &&
          chunks_->buffered_bytes() > context_.reservation->bytes()) {
        context_.reservation->Resize(chunks_->buffered_bytes());
      }
      auto indexed = decoder_->Index(chunks_->text(), chunks_->last(), chunks_->line());
      if (!indexed.ok()) return WithContext(indexed.status(), file_.path);
      used_ = *indexed;
    } while (used_ == 0);
    // A row that is longer than the piece that came with it needs a long text.
    if (static_cast<int64_t>(used_) > plan_->row_bytes_max) {
      const int64_t row = decoder_->FirstRowLongerThan(plan_->row_bytes_max);
      if (row >= 0) return chunks_->TooLong(decoder_->LineOf(row));
      const int64_t line = decoder_->LineRefusedLongerThan(plan_->row_bytes_max);
      if (line >= 0) return chunks_->TooLong(line);
    }
    return true;
  }

  const std::shared_ptr<const ReadPlan> plan_;
  const DataFile& file_;
  UnitContext& context_;
  std::unique_ptr<TextChunks> chunks_;
  std::unique_ptr<csv::CsvDecoder> decoder_;
  std::map<std::string, csv::CsvType> types_;
  int fields_ = 0;
  char row_end_ = '\n';
  bool fresh_ = true;  // nothing is indexed yet
  size_t used_ = 0;    // bytes of the rows that are indexed
  int64_t row_ = 0;
};

// A file's columns and what their values have in common.
class Sampler {
 public:
  Sampler(const Options& options, const CsvWishes& wishes, const GivenTypes& given)
      : options_(options), wishes_(wishes), given_(given) {}

  // The first file decides how all are written.
  Status Add(const DataFile& file) {
    const int64_t row_bytes_max = options_.GetBytes("row_bytes_max");
    if (files_.empty()) {
      ARROW_RETURN_NOT_OK(DetectLayout(file, wishes_, row_bytes_max, &layout_));
    }
    ARROW_ASSIGN_OR_RAISE(auto chunks, OpenHead(file, layout_, row_bytes_max));
    ARROW_ASSIGN_OR_RAISE(auto names, layout_.header ? TakeHeader(*chunks, layout_)
                                                     : NamesOf(file, layout_, row_bytes_max));
    if (names.empty()) return Status::OK();
    std::set<std::string> once;
    for (const auto& name : names) {
      if (once.insert(name).second) continue;
      return UserError(fmt::format("{}: the column name '{}' occurs twice in the header; set "
                                   "source_header: false to name columns by their place",
                                   file.path, name),
                       "duplicate_column");
    }
    files_.emplace_back(&file, std::move(names));
    return AddRows(file.path, *chunks, files_.back().second);
  }

  Result<TextFacts> Finish() {
    TextFacts facts;
    for (const auto& [column, format] : wishes_.date_formats) {
      if (!files_.empty() && !inferences_.contains(column)) return NoColumn(column);
    }
    std::map<std::string, std::shared_ptr<arrow::DataType>> types;
    for (const auto& [name, inference] : inferences_) {
      const TypeTrial& trial = trials_[name];
      const bool holds = wishes_.ContractHolds(name, *inference, trial, given_.Lenient(name));
      ARROW_ASSIGN_OR_RAISE(auto type,
                            wishes_.TypeOf(name, *inference, holds ? trial.type() : nullptr));
      types[name] = type.type;
      if (!type.given) facts.found[name] = inference->seen() ? trial.misfit() : kNothingSeen;
      layout_.columns[name] = std::move(type);
    }
    std::vector<std::pair<const DataFile*, std::shared_ptr<arrow::Schema>>> schemas;
    for (const auto& [file, names] : files_) {
      arrow::FieldVector fields;
      for (const auto& name : names) fields.push_back(arrow::field(name, types[name]));
      schemas.emplace_back(file, arrow::schema(std::move(fields)));
    }
    if (schemas.empty()) {
      return UserError("the file is empty: nothing says which columns it has", "empty_file");
    }
    ARROW_ASSIGN_OR_RAISE(facts.schema,
                          CommonSchema(schemas, options_.GetString("missing_columns") == "null"));
    facts.layout = layout_.ToJson();
    if (rows_ > 0) facts.row_bytes = static_cast<double>(bytes_) / static_cast<double>(rows_);
    for (const auto& field : facts.schema->fields()) {
      facts.column_memory_bytes[field->name()] =
          RowMemoryBytes(*field->type(), static_cast<double>(text_bytes_[field->name()]) /
                                             static_cast<double>(std::max<int64_t>(1, rows_)));
    }
    return facts;
  }

 private:
  Status AddRows(const std::string& path, TextChunks& chunks,
                 const std::vector<std::string>& names) {
    std::vector<csv::ColumnInference*> columns;
    std::vector<TypeTrial*> trials;
    for (const auto& name : names) {
      auto& inference = inferences_[name];
      if (inference == nullptr) {
        inference = std::make_unique<csv::ColumnInference>(wishes_.InferenceOf(name));
      }
      columns.push_back(inference.get());
      const auto [trial, fresh] = trials_.try_emplace(name);
      if (const auto type = given_.Of(name); fresh && type != nullptr && csv::IsCsvType(*type)) {
        trial->second = TypeTrial(type);
      }
      trials.push_back(&trial->second);
    }
    // Rows that are left out say nothing of types.
    const bool refuses = RefusedMax(options_) >= 0;
    const bool pads = options_.GetString("ragged") == "pad";
    const bool leaves_out = refuses || options_.GetString("ragged") == "skip";
    std::vector<std::string> fields;
    for (int64_t row = 0; wishes_.sample_rows == 0 || row < wishes_.sample_rows; ++row) {
      const size_t before = chunks.text().size();
      const int64_t line = chunks.line();
      bool broken = false;
      auto found = TakeRow(chunks, layout_.dialect, &fields, refuses ? &broken : nullptr);
      // What is broken is said when the rows are read, with its place.
      if (!found.ok() || !*found) break;
      if (before > chunks.text().size()) {
        bytes_ += static_cast<int64_t>(before - chunks.text().size());
        ++rows_;
      }
      const size_t count = std::min(fields.size(), columns.size());
      if (fields.size() == 1 && fields[0].empty() && columns.size() > 1) continue;
      const bool padded = pads && fields.size() < columns.size();
      const bool ragged = fields.size() != columns.size() && !padded;
      if (broken || (ragged && leaves_out)) continue;
      for (size_t i = 0; i < count; ++i) {
        const std::string_view value = fields[i];
        text_bytes_[names[i]] += static_cast<int64_t>(value.size());
        if (value.empty() || wishes_.IsNull(value)) continue;
        columns[i]->Add(value);
        if (!csv::MayMeanNull(value)) trials[i]->Add(value, path, line);
      }
    }
    return Status::OK();
  }

  Status NoColumn(const std::string& column) const {
    std::vector<std::string> names;
    for (const auto& [name, inference] : inferences_) names.push_back(name);
    auto near = NearestName(column, names);
    for (const auto& name : names) {
      if (wishes_.new_names.Of(name) == column) near = name;
    }
    return UserError(fmt::format("date_formats: there is no column '{}'{}", column,
                                 near ? fmt::format("; did you mean '{}', as it is called in the "
                                                    "file?",
                                                    *near)
                                      : ""),
                     "unknown_column");
  }

  const Options& options_;
  const CsvWishes& wishes_;
  const GivenTypes& given_;
  CsvLayout layout_;
  std::vector<std::pair<const DataFile*, std::vector<std::string>>> files_;
  std::map<std::string, std::unique_ptr<csv::ColumnInference>> inferences_;
  std::map<std::string, TypeTrial> trials_;
  std::map<std::string, int64_t> text_bytes_;  // of each column, in the sample
  int64_t rows_ = 0, bytes_ = 0;
};

}  // namespace

Result<TextFacts> DescribeCsv(const std::vector<const DataFile*>& sample, const Options& options,
                              const GivenTypes& given) {
  ARROW_ASSIGN_OR_RAISE(const auto wishes, CsvWishes::Make(options));
  Sampler sampler(options, wishes, given);
  for (const DataFile* file : sample) {
    const Status added = sampler.Add(*file);
    if (added.ok()) continue;
    return MessageOf(added).starts_with(file->path) ? added : FileError(added, file->path);
  }
  auto facts = sampler.Finish();
  return facts.ok() ? facts : WithContext(facts.status(), sample[0]->path);
}

Result<std::unique_ptr<PartReader>> OpenCsv(std::shared_ptr<const ReadPlan> plan,
                                            const FilePart& part, UnitContext& context) {
  auto reader = std::make_unique<CsvPartReader>(std::move(plan), *part.file, context);
  const Status status = reader->Start(part);
  if (status.ok()) return reader;
  return MessageOf(status).starts_with(part.file->path) ? status
                                                        : FileError(status, part.file->path);
}

}  // namespace bulkhaul::files
