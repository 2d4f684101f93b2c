#include "source/files/session.h"

#include <algorithm>
#include <utility>

#include <arrow/array/util.h>
#include <arrow/scalar.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "plan/option_table.h"
#include "source/files/csv_files.h"
#include "source/files/describe.h"
#include "source/files/json_files.h"
#include "source/files/split.h"

namespace bulkhaul::files {
namespace {

Result<std::unique_ptr<PartReader>> OpenPart(const std::shared_ptr<const ReadPlan>& plan,
                                             const FilePart& part, UnitContext& context) {
  switch (plan->state.format) {
    case FileFormat::kParquet:
      return OpenParquet(plan, part, context);
    case FileFormat::kArrow:
      return OpenArrow(plan, part, context);
    case FileFormat::kCsv:
      return OpenCsv(plan, part, context);
    case FileFormat::kJson:
      return OpenJson(plan, part, context);
  }
  return BugError("a file of no format");
}

class FilesReader : public UnitReader {
 public:
  FilesReader(std::shared_ptr<const ReadPlan> plan, std::vector<FilePart> parts, UnitRange range,
              std::shared_ptr<const Fingerprints> fingerprints, UnitContext& context)
      : plan_(std::move(plan)),
        parts_(std::move(parts)),
        range_(std::move(range)),
        fingerprints_(std::move(fingerprints)),
        context_(context),
        rows_left_(plan_->limit > 0 ? plan_->limit : -1) {}

  std::shared_ptr<arrow::Schema> schema() const override { return plan_->schema; }
  UnitRange covered() const override { return range_; }
  int64_t bytes_read() const override {
    return bytes_before_ + (reader_ ? reader_->bytes_read() : 0);
  }
  std::map<std::string, int64_t> counters() const override {
    auto counters = counters_;
    if (reader_) {
      for (const auto& [name, count] : reader_->counters()) counters[name] += count;
    }
    return counters;
  }

  RowPlace PlaceOf(int64_t row) const override {
    if (next_ == 0 || reader_ == nullptr) return {};
    return {path(), row < 0 ? -1 : reader_->LineOf(RowBeforeWhere(row))};
  }

  std::vector<RefusedRow> TakeRefused() override { return std::exchange(refused_, {}); }

  Status ReadNext(std::shared_ptr<arrow::RecordBatch>* out) override {
    out->reset();
    while (next_ < parts_.size() || reader_ != nullptr) {
      if (context_.stop.stop_requested()) return CancelledError();
      if (rows_left_ == 0) return Status::OK();
      if (reader_ == nullptr) {
        ARROW_RETURN_NOT_OK(OpenNext());
        continue;
      }
      auto read = reader_->Next();
      if (!read.ok()) return Blamed(read.status());
      if (*read == nullptr) {
        ARROW_RETURN_NOT_OK(CloseFile());
        continue;
      }
      for (auto& row : reader_->TakeRefused()) {
        row.place.file = path();
        refused_.push_back(std::move(row));
      }
      ARROW_ASSIGN_OR_RAISE(*out, Shaped(*std::move(read)));
      if (context_.bytes_read != nullptr) *context_.bytes_read = bytes_read();
      if ((*out)->num_rows() == 0 && refused_.empty()) continue;
      if (rows_left_ > 0) {
        *out = (*out)->Slice(0, rows_left_);
        rows_left_ -= (*out)->num_rows();
      }
      return Status::OK();
    }
    out->reset();
    return Status::OK();
  }

 private:
  const std::string& path() const { return parts_[next_ - 1].file->path; }

  // Of the batch that the file's reader gave.
  int64_t RowBeforeWhere(int64_t row) const {
    if (chosen_ == nullptr) return row;
    const auto& chosen = static_cast<const arrow::BooleanArray&>(*chosen_);
    int64_t at = 0;
    for (; at < chosen.length(); ++at) {
      if (chosen.IsValid(at) && chosen.Value(at) && row-- == 0) break;
    }
    return at;
  }

  Status OpenNext() {
    const FilePart& part = parts_[next_++];
    folder_values_.clear();
    std::vector<ColumnBounds> bounds;
    for (const auto& field : plan_->read_schema->fields()) {
      if (plan_->file_schema->GetFieldIndex(field->name()) >= 0) continue;
      ARROW_ASSIGN_OR_RAISE(auto value, PartitionValue(*part.file, *field));
      if (value->is_valid) bounds.push_back({field->name(), value, value, /*nulls=*/false});
      folder_values_.push_back(std::move(value));
    }
    if (plan_->where && !bounds.empty()) {
      ARROW_ASSIGN_OR_RAISE(const bool may, plan_->where->MayMatch(bounds));
      if (!may) {
        ++counters_["files_skipped"];
        return Status::OK();
      }
    }
    ARROW_RETURN_NOT_OK(CheckUnchanged(*fingerprints_, part.file->path));
    auto opened = OpenPart(plan_, part, context_);
    if (!opened.ok()) return Blamed(opened.status());
    reader_ = *std::move(opened);
    return Status::OK();
  }

  Status CloseFile() {
    ARROW_RETURN_NOT_OK(CheckUnchanged(*fingerprints_, path()));
    bytes_before_ += reader_->bytes_read();
    for (const auto& [name, count] : reader_->counters()) counters_[name] += count;
    reader_.reset();
    return Status::OK();
  }

  // A file that was changed under our hands explains any failure.
  Status Blamed(const Status& status) const {
    if (KindOf(status) == ErrorKind::kCancelled) return status;
    const Status unchanged = CheckUnchanged(*fingerprints_, path());
    return unchanged.ok() ? status : unchanged;
  }

  // With the folders' columns, without rows that `where` leaves out, and with the columns asked
  // for.
  Result<std::shared_ptr<arrow::RecordBatch>> Shaped(std::shared_ptr<arrow::RecordBatch> batch) {
    if (!folder_values_.empty()) {
      auto columns = batch->columns();
      for (const auto& value : folder_values_) {
        ARROW_ASSIGN_OR_RAISE(auto column,
                              arrow::MakeArrayFromScalar(*value, batch->num_rows(), context_.pool));
        columns.push_back(std::move(column));
      }
      batch = arrow::RecordBatch::Make(plan_->read_schema, batch->num_rows(), std::move(columns));
    }
    if (plan_->where) {
      ARROW_ASSIGN_OR_RAISE(batch, plan_->where->Filter(batch, context_.pool, &chosen_));
    }
    arrow::ArrayVector outputs;
    for (const int index : plan_->outputs) outputs.push_back(batch->column(index));
    return arrow::RecordBatch::Make(plan_->schema, batch->num_rows(), std::move(outputs));
  }

  const std::shared_ptr<const ReadPlan> plan_;
  const std::vector<FilePart> parts_;
  const UnitRange range_;
  const std::shared_ptr<const Fingerprints> fingerprints_;
  UnitContext& context_;
  int64_t rows_left_;  // of the limit; -1: none
  size_t next_ = 0;
  std::unique_ptr<PartReader> reader_;
  std::vector<std::shared_ptr<arrow::Scalar>> folder_values_;
  std::shared_ptr<arrow::Array> chosen_;  // by `where`, of the last batch; null: all
  std::vector<RefusedRow> refused_;
  std::map<std::string, int64_t> counters_;
  int64_t bytes_before_ = 0;
};

// What decides a unit's rows but for the files: their place in them, their columns and types, and
// every option that is about files or values.
std::string AddressOf(const ReadPlan& plan, const WorkUnit& unit) {
  nlohmann::json address = {{"source", "files"},
                            {"begin", unit.range.begin},
                            {"end", unit.range.end},
                            {"format", FileFormatName(plan.state.format)},
                            {"layout", plan.state.layout},
                            {"read", SchemaToJson(*plan.read_schema)},
                            {"columns", SchemaToJson(*plan.schema)}};
  const auto given = nlohmann::json::parse(plan.options.ToJson(), nullptr, false);
  for (const auto& option : OptionTable()) {
    const std::string_view group = option.group;
    const bool decides = group == "Selection" || group == "Values" || group == "Files";
    if (decides && given.contains(option.name))
      address["options"][option.name] = given[option.name];
  }
  return address.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

class FilesSession : public Session {
 public:
  FilesSession(std::span<const Dataset> datasets, std::shared_ptr<const Fingerprints> fingerprints)
      : datasets_(datasets), fingerprints_(std::move(fingerprints)) {}

  Result<std::unique_ptr<UnitReader>> Read(const WorkUnit& unit, UnitContext& context) override {
    ARROW_RETURN_NOT_OK(Plan(unit));
    std::string now;
    const auto known = fingerprints_->find(unit.range.axis);
    if (known != fingerprints_->end()) {
      now = known->second;
      ARROW_RETURN_NOT_OK(CheckUnchanged(*fingerprints_, known->first));
    }
    ARROW_ASSIGN_OR_RAISE(auto parts, PartsOf(plan_->state, unit, now, context.stop));
    return std::make_unique<FilesReader>(plan_, std::move(parts), unit.range, fingerprints_,
                                         context);
  }

  Result<UnitContent> Content(const WorkUnit& unit, UnitContext&) override {
    ARROW_RETURN_NOT_OK(Plan(unit));
    ARROW_ASSIGN_OR_RAISE(const auto files, FilesOf(plan_->state, unit));
    UnitContent content;
    content.rows = -1;
    content.label = unit.range.axis;
    if (!unit.range.begin.empty() || !unit.range.end.empty()) {
      content.label += fmt::format(" [{}, {})", unit.range.begin, unit.range.end);
    }
    content.address = AddressOf(*plan_, unit);
    for (const DataFile& file : files) {
      ARROW_ASSIGN_OR_RAISE(const auto look, LookAt(file.path));
      content.address += '\0' + file.path;
      content.fingerprint += look.fingerprint + '\n';
      content.ends_ms = std::max(content.ends_ms, look.changed_ms);
    }
    return content;
  }

 private:
  // Makes plan_ that of the unit's dataset.
  Status Plan(const WorkUnit& unit) {
    const auto dataset = std::find_if(datasets_.begin(), datasets_.end(),
                                      [&](const auto& one) { return one.id == unit.dataset; });
    if (dataset == datasets_.end()) {
      return BugError("the session was not opened for " + unit.dataset.ToString());
    }
    // Of thousands of files the state is long: it is read once.
    if (plan_ == nullptr || planned_ != &*dataset) {
      ARROW_ASSIGN_OR_RAISE(auto state, TableState::FromJson(dataset->source_state));
      ARROW_ASSIGN_OR_RAISE(plan_, ReadPlan::Make(std::move(state), dataset->options));
      planned_ = &*dataset;
    }
    return Status::OK();
  }

  const std::span<const Dataset> datasets_;
  const std::shared_ptr<const Fingerprints> fingerprints_;
  const Dataset* planned_ = nullptr;
  std::shared_ptr<const ReadPlan> plan_;
};

}  // namespace

Status CheckUnchanged(const Fingerprints& fingerprints, const std::string& path) {
  const auto known = fingerprints.find(path);
  if (known == fingerprints.end()) return BugError(path + " was not planned");
  ARROW_ASSIGN_OR_RAISE(const auto now, FingerprintOf(path));
  if (now == known->second) return Status::OK();
  return PermanentError(
      path + " was changed while the job ran (inode, size or time differ): resume reads it again",
      "file_changed");
}

std::unique_ptr<Session> MakeFilesSession(std::span<const Dataset> datasets,
                                          std::shared_ptr<const Fingerprints> fingerprints) {
  return std::make_unique<FilesSession>(datasets, std::move(fingerprints));
}

}  // namespace bulkhaul::files
