#include "source/generator/generator_source.h"

#include <algorithm>
#include <atomic>
#include <charconv>
#include <chrono>
#include <condition_variable>
#include <mutex>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "base/units.h"
#include "source/generator/generate_column.h"
#include "source/generator/generator_spec.h"

namespace bulkhaul {
namespace {

constexpr int64_t kDefaultUnitBytes = int64_t{64} << 20;

// Range bounds are row numbers from 0; "" stands for the first row and for the end.
int64_t RowOf(const std::string& bound, int64_t otherwise) {
  int64_t row = otherwise;
  std::from_chars(bound.data(), bound.data() + bound.size(), row);
  return row;
}

double RowWidth(const std::vector<GeneratorColumn>& columns) {
  double width = 0;
  for (const auto& column : columns) width += GeneratorWidth(column);
  return std::max(width, 0.125);
}

// Waits, but returns at once when a stop is asked for.
void Delay(int64_t milliseconds, std::stop_token stop) {
  if (milliseconds == 0) return;
  std::mutex mutex;
  std::condition_variable_any wake;
  std::unique_lock lock(mutex);
  wake.wait_for(lock, stop, std::chrono::milliseconds(milliseconds), [] { return false; });
}

// A table as one dataset reads it: the chosen columns, each with its place among all columns.
struct SelectedTable {
  const GeneratorTable* table = nullptr;
  std::vector<size_t> columns;
  int64_t rows = 0;  // with limit
  double row_width = 1;
  std::shared_ptr<arrow::Schema> schema;
};

class GeneratorReader : public UnitReader {
 public:
  // `failures_left` may be null.
  GeneratorReader(SelectedTable selected, WorkUnit unit, UnitContext& context,
                  const GeneratorSpec& spec, std::atomic<int64_t>* failures_left)
      : selected_(std::move(selected)),
        unit_(std::move(unit)),
        context_(context),
        spec_(spec),
        failures_left_(failures_left) {
    first_row_ = row_ = RowOf(unit_.range.begin, 0);
    end_ = std::min(RowOf(unit_.range.end, selected_.rows), selected_.rows);
    const double rows = static_cast<double>(context_.batch_bytes_max) / selected_.row_width;
    batch_rows_ = std::clamp<int64_t>(static_cast<int64_t>(rows), 1, context_.batch_rows_max);
  }

  std::shared_ptr<arrow::Schema> schema() const override { return selected_.schema; }

  Status ReadNext(std::shared_ptr<arrow::RecordBatch>* batch) override {
    batch->reset();
    Delay(spec_.batch_delay_ms, context_.stop);
    if (context_.stop.stop_requested()) return CancelledError();
    ARROW_RETURN_NOT_OK(MaybeFail());
    if (row_ >= end_) return Status::OK();
    const int64_t count = std::min(batch_rows_, end_ - row_);
    arrow::ArrayVector arrays;
    hashes_.resize(static_cast<size_t>(count));
    for (const size_t column : selected_.columns) {
      RowHashes(selected_.table->seed, column, row_, hashes_);
      ARROW_ASSIGN_OR_RAISE(auto array, GenerateColumn(selected_.table->columns[column], hashes_,
                                                       row_, context_.pool));
      arrays.push_back(std::move(array));
    }
    *batch = arrow::RecordBatch::Make(selected_.schema, count, std::move(arrays));
    const auto bytes = static_cast<int64_t>(selected_.row_width * static_cast<double>(count));
    bytes_read_ += bytes;
    row_ += count;
    if (context_.bytes_read != nullptr) *context_.bytes_read += bytes;
    return Status::OK();
  }

  UnitRange covered() const override { return unit_.range; }
  int64_t bytes_read() const override { return bytes_read_; }

 private:
  Status MaybeFail() {
    if (failures_left_ == nullptr) return Status::OK();
    if (row_ - first_row_ < spec_.fault.after_rows && row_ < end_) return Status::OK();
    if (failures_left_->fetch_sub(1) <= 0) return Status::OK();
    return MakeError(spec_.fault.kind,
                     fmt::format("generator: unit {} of {} fails because fail_unit asks for it",
                                 unit_.ordinal, unit_.dataset.ToString()),
                     "FAIL_UNIT");
  }

  const SelectedTable selected_;
  const WorkUnit unit_;
  UnitContext& context_;
  const GeneratorSpec& spec_;
  std::atomic<int64_t>* const failures_left_;
  int64_t first_row_ = 0, row_ = 0, end_ = 0, batch_rows_ = 1, bytes_read_ = 0;
  std::vector<uint64_t> hashes_;
};

class GeneratorSource;

class GeneratorSession : public Session {
 public:
  GeneratorSession(GeneratorSource& source, std::span<const Dataset> datasets)
      : source_(source), datasets_(datasets) {}
  Result<std::unique_ptr<UnitReader>> Read(const WorkUnit& unit, UnitContext& context) override;

 private:
  GeneratorSource& source_;
  const std::span<const Dataset> datasets_;
};

// Constant after construction, but for the atomic.
class GeneratorSource : public Source {
 public:
  explicit GeneratorSource(GeneratorSpec spec)
      : spec_(std::move(spec)), failures_left_(spec_.fault.times) {}

  SourceTraits Traits() const override {
    return {.name = "generator", .consistent_snapshot = true, .kept_snapshot = true};
  }

  Result<std::vector<Dataset>> Discover(const Selector& selector) override {
    if (!selector.queries.empty()) return UserError("a generator has no queries: name its tables");
    std::vector<Dataset> datasets;
    std::vector<DatasetId> available;
    for (const auto& table : spec_.tables) {
      const DatasetId id{"", table.name};
      available.push_back(id);
      if (!selector.Selects(id)) continue;
      ARROW_ASSIGN_OR_RAISE(auto dataset, Describe(table, selector.OptionsFor(id)));
      datasets.push_back(std::move(dataset));
    }
    ARROW_RETURN_NOT_OK(selector.CheckNamed(available));
    std::sort(datasets.begin(), datasets.end(),
              [](const Dataset& a, const Dataset& b) { return a.id < b.id; });
    return datasets;
  }

  Result<Snapshot> Pin(std::span<const Dataset>) override {
    Snapshot snapshot;
    snapshot.id = spec_.description;
    snapshot.consistent = true;
    snapshot.taken_at = FormatUtc(std::chrono::system_clock::now());
    snapshot.description = "generator " + spec_.description;
    return snapshot;
  }

  // The rows depend on nothing but the description.
  Status Adopt(const Snapshot& snapshot) override { return CheckPin(snapshot); }
  Status CheckPin(const Snapshot& snapshot) override {
    if (snapshot.id == spec_.description) return Status::OK();
    return SnapshotLostError("the generator now makes other rows: " + spec_.description +
                             " instead of " + snapshot.id);
  }
  void Release(const Snapshot&) noexcept override {}

  Result<UnitPage> Split(const Snapshot&, const Dataset& dataset, const SplitHint& hint,
                         std::string_view cursor) override {
    ARROW_ASSIGN_OR_RAISE(const auto selected, Select(dataset));
    const auto rows_of = [&](int64_t bytes) {
      return static_cast<int64_t>(static_cast<double>(bytes) / selected.row_width);
    };
    int64_t unit_rows = hint.unit_rows > 0    ? hint.unit_rows
                        : hint.unit_bytes > 0 ? rows_of(hint.unit_bytes)
                                              : rows_of(kDefaultUnitBytes);
    const int64_t units_max = std::max<int64_t>(1, hint.units_max);
    unit_rows = std::max({int64_t{1}, unit_rows, (selected.rows + units_max - 1) / units_max});
    const int64_t units = dataset.options.GetString("split") == "none"
                              ? 1
                              : std::max<int64_t>(1, (selected.rows + unit_rows - 1) / unit_rows);
    int64_t ordinal = 0;
    std::from_chars(cursor.data(), cursor.data() + cursor.size(), ordinal);
    UnitPage page;
    const int64_t page_end = std::min(units, ordinal + std::max<int64_t>(1, hint.page_units_max));
    for (; ordinal < page_end; ++ordinal) {
      WorkUnit unit;
      unit.dataset = dataset.id;
      unit.ordinal = ordinal;
      const int64_t begin = ordinal * unit_rows;
      const int64_t end = ordinal + 1 == units ? selected.rows : begin + unit_rows;
      if (ordinal > 0) unit.range.begin = std::to_string(begin);
      if (ordinal + 1 < units) unit.range.end = std::to_string(end);
      unit.estimated_rows = end - begin;
      unit.estimated_bytes =
          static_cast<int64_t>(static_cast<double>(end - begin) * selected.row_width);
      page.units.push_back(std::move(unit));
    }
    if (ordinal < units) page.next_cursor = std::to_string(ordinal);
    return page;
  }

  Result<std::unique_ptr<Session>> Open(const Snapshot& snapshot, std::span<const Dataset> datasets,
                                        WorkerContext&) override {
    ARROW_RETURN_NOT_OK(CheckPin(snapshot));
    return std::make_unique<GeneratorSession>(*this, datasets);
  }

  Result<std::unique_ptr<UnitReader>> Read(const Dataset& dataset, const WorkUnit& unit,
                                           UnitContext& context) {
    ARROW_ASSIGN_OR_RAISE(auto selected, Select(dataset));
    const bool fails = unit.ordinal == spec_.fault.unit;
    return std::make_unique<GeneratorReader>(std::move(selected), unit, context, spec_,
                                             fails ? &failures_left_ : nullptr);
  }

 private:
  Result<SelectedTable> Select(const Dataset& dataset) const {
    SelectedTable selected;
    for (const auto& table : spec_.tables) {
      if (table.name == dataset.id.name) selected.table = &table;
    }
    if (selected.table == nullptr) {
      return PermanentError("the generator makes no table '" + dataset.id.name + "'");
    }
    return Select(*selected.table, dataset.options);
  }

  static Result<SelectedTable> Select(const GeneratorTable& table, const Options& options) {
    SelectedTable selected;
    selected.table = &table;
    if (!options.GetString("where").empty()) {
      return UserError("a generator knows no SQL: 'where' is not possible");
    }
    const int64_t limit = options.GetInt("limit");
    selected.rows = limit > 0 ? std::min(limit, table.rows) : table.rows;
    std::vector<std::string> names;
    for (const auto& column : table.columns) names.push_back(column.name);
    StringList wanted = options.GetList("columns");
    if (wanted.empty()) wanted = names;
    std::vector<GeneratorColumn> columns;
    for (const auto& name : wanted) {
      const auto found = std::find(names.begin(), names.end(), name);
      if (found == names.end()) {
        const auto nearest = NearestName(name, names);
        return UserError(fmt::format("table '{}' has no column '{}'{}", table.name, name,
                                     nearest ? ", do you mean '" + *nearest + "'?" : ""));
      }
      selected.columns.push_back(static_cast<size_t>(found - names.begin()));
      columns.push_back(table.columns[selected.columns.back()]);
    }
    selected.schema = GeneratorSchema(columns);
    selected.row_width = RowWidth(columns);
    return selected;
  }

  static Result<Dataset> Describe(const GeneratorTable& table, Options options) {
    ARROW_ASSIGN_OR_RAISE(const auto selected, Select(table, options));
    Dataset dataset;
    dataset.id = {"", table.name};
    dataset.kind = "table";
    dataset.schema = selected.schema;
    for (const size_t column : selected.columns) {
      if (table.columns[column].serial) dataset.primary_key = {table.columns[column].name};
    }
    dataset.estimated_rows = selected.rows;
    dataset.estimated_bytes =
        static_cast<int64_t>(static_cast<double>(selected.rows) * selected.row_width);
    dataset.options = std::move(options);
    return dataset;
  }

  const GeneratorSpec spec_;
  std::atomic<int64_t> failures_left_;
};

Result<std::unique_ptr<UnitReader>> GeneratorSession::Read(const WorkUnit& unit,
                                                           UnitContext& context) {
  for (const auto& dataset : datasets_) {
    if (dataset.id == unit.dataset) return source_.Read(dataset, unit, context);
  }
  return BugError("the session was not opened for " + unit.dataset.ToString());
}

}  // namespace

Result<std::unique_ptr<Source>> MakeGeneratorSource(const JobSpec& spec, const JobId&) {
  ARROW_ASSIGN_OR_RAISE(auto parsed, ParseGeneratorUri(spec.source_uri));
  return std::make_unique<GeneratorSource>(std::move(parsed));
}

}  // namespace bulkhaul
