#include "run/unit_cache.h"

#include <chrono>

#include <arrow/ipc/reader.h>
#include <arrow/util/compression.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/hash.h"
#include "base/log.h"
#include "base/units.h"
#include "base/version.h"

namespace bulkhaul {
namespace {

using nlohmann::json;

// 500,000 log documents, 95 MB of Arrow data: zstd 1 takes 33 MB, 167 ms of CPU to write and 72 ms
// to read; zstd 3 34 MB, 265 and 78 ms; lz4 56 MB, 89 and 21 ms. Fetching them takes seconds.
constexpr int kZstdLevel = 1;

int64_t NowMs() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

// The label of an entry.
struct Label {
  std::string unit;
  std::string fingerprint;
  int64_t rows = 0;
  std::map<std::string, int64_t> counters;

  std::string ToJson() const {
    return json{
        {"unit", unit}, {"fingerprint", fingerprint}, {"rows", rows}, {"counters", counters}}
        .dump(-1, ' ', false, json::error_handler_t::replace);
  }
  static std::optional<Label> FromJson(const std::string& text) {
    const json value = json::parse(text, nullptr, false);
    if (!value.is_object()) return std::nullopt;
    try {
      return Label{value.at("unit"), value.at("fingerprint"), value.at("rows"),
                   value.at("counters")};
    } catch (const json::exception&) {
      return std::nullopt;
    }
  }
};

// Another version of the program may make other rows of the same documents.
std::string NameOf(const UnitContent& content) {
  return HashName(std::string(kVersion) + "\n" + content.address);
}

class KeptReader final : public UnitReader {
 public:
  KeptReader(UnitRange range, Label label, int64_t bytes,
             std::shared_ptr<arrow::ipc::RecordBatchStreamReader> rows, UnitContext& context)
      : range_(std::move(range)),
        label_(std::move(label)),
        bytes_(bytes),
        rows_(std::move(rows)),
        context_(context) {}

  std::shared_ptr<arrow::Schema> schema() const override { return rows_->schema(); }
  Status ReadNext(std::shared_ptr<arrow::RecordBatch>* batch) override {
    if (context_.stop.stop_requested()) return CancelledError();
    ARROW_RETURN_NOT_OK(rows_->ReadNext(batch));
    if (*batch != nullptr) {
      given_ += (*batch)->num_rows();
      return Status::OK();
    }
    if (given_ == label_.rows) return Status::OK();
    return BugError(fmt::format("{} rows of {} were kept, but the cache gave {}", label_.rows,
                                label_.unit, given_));
  }
  UnitRange covered() const override { return range_; }
  int64_t bytes_read() const override { return 0; }  // from the source
  std::map<std::string, int64_t> counters() const override {
    auto counters = label_.counters;
    counters[kCacheRows] = given_;
    counters[kCacheBytes] = bytes_;
    return counters;
  }

 private:
  const UnitRange range_;
  const Label label_;
  const int64_t bytes_;
  const std::shared_ptr<arrow::ipc::RecordBatchStreamReader> rows_;
  UnitContext& context_;
  int64_t given_ = 0;
};

Result<arrow::ipc::IpcWriteOptions> WriteOptions(UnitContext& context) {
  auto options = arrow::ipc::IpcWriteOptions::Defaults();
  options.memory_pool = context.pool;
  options.use_threads = false;
  ARROW_ASSIGN_OR_RAISE(options.codec,
                        arrow::util::Codec::Create(arrow::Compression::ZSTD, kZstdLevel));
  return options;
}

}  // namespace

Result<std::string> UnitCache::FolderOf(const Options& options) {
  const std::string& folder = options.GetString("cache_dir");
  if (!folder.empty()) return folder;
  return CacheFolder::DefaultPath();
}

Result<std::unique_ptr<UnitCache>> UnitCache::Open(const Options& options, Warn warn) {
  if (!options.GetBool("cache")) return nullptr;
  ARROW_ASSIGN_OR_RAISE(const auto path, FolderOf(options));
  auto folder = CacheFolder::Open(
      path, {options.GetBytes("cache_max_bytes"), options.GetDurationMs("cache_ttl")});
  if (!folder.ok()) return WithContext(folder.status(), "the cache");
  return std::unique_ptr<UnitCache>(
      new UnitCache(*std::move(folder), options.GetDurationMs("cache_settle"), std::move(warn)));
}

bool UnitCache::Settled(const UnitContent& content) const {
  return !content.address.empty() &&
         (content.ends_ms < 0 || content.ends_ms + settle_ms_ <= NowMs());
}

Result<std::unique_ptr<UnitReader>> UnitCache::Find(const UnitContent& content,
                                                    const WorkUnit& unit,
                                                    const std::shared_ptr<arrow::Schema>& schema,
                                                    UnitContext& context) {
  if (!Settled(content)) return nullptr;
  std::optional<Label> label;
  const auto fits = [&](const CacheEntry& entry) {
    label = Label::FromJson(entry.label);
    if (!label || label->fingerprint != content.fingerprint) return false;
    // Without a time of its own, what has not changed for so long counts as settled.
    return content.ends_ms >= 0 || entry.stored_ms + settle_ms_ <= NowMs();
  };
  auto found = folder_->Find(NameOf(content), fits);
  // Whatever is wrong with the cache, the source still has the rows.
  if (!found.ok()) {
    WarnOnce(found.status());
    return nullptr;
  }
  if (!*found) return nullptr;
  auto read_options = arrow::ipc::IpcReadOptions::Defaults();
  read_options.memory_pool = context.pool;
  read_options.use_threads = false;
  auto rows = arrow::ipc::RecordBatchStreamReader::Open((*found)->stream, read_options);
  if (!rows.ok() || !(*rows)->schema()->Equals(*schema, false)) {
    WarnOnce(rows.ok() ? PermanentError("kept rows of " + label->unit + " have other columns")
                       : rows.status());
    return nullptr;
  }
  return std::make_unique<KeptReader>(unit.range, *std::move(label), (*found)->bytes,
                                      *std::move(rows), context);
}

std::unique_ptr<RowKeeper> UnitCache::Begin(const UnitContent& content,
                                            const std::shared_ptr<arrow::Schema>& schema,
                                            UnitContext& context) {
  if (!Settled(content)) return nullptr;
  auto keeper = std::unique_ptr<RowKeeper>(new RowKeeper(*this, content));
  const auto open = [&]() -> Status {
    ARROW_ASSIGN_OR_RAISE(const auto options, WriteOptions(context));
    ARROW_ASSIGN_OR_RAISE(keeper->entry_, folder_->Begin(NameOf(content)));
    ARROW_ASSIGN_OR_RAISE(keeper->writer_,
                          arrow::ipc::MakeStreamWriter(keeper->entry_->stream(), schema, options));
    return Status::OK();
  };
  const Status status = open();
  if (!status.ok()) keeper->GiveUp(status);
  return keeper;
}

void RowKeeper::Add(const arrow::RecordBatch& batch) {
  if (entry_ == nullptr) return;
  const Status status = writer_->WriteRecordBatch(batch);
  if (!status.ok()) GiveUp(status);
}

void RowKeeper::GiveUp(const Status& reason) {
  cache_.WarnOnce(reason);
  writer_.reset();
  entry_.reset();
}

void UnitCache::Publish(RowKeeper& keeper, const UnitContent& after, int64_t rows,
                        const std::map<std::string, int64_t>& counters) {
  if (keeper.entry_ == nullptr) return;
  const UnitContent& before = keeper.content_;
  if (after.address != before.address || after.fingerprint != before.fingerprint ||
      (before.rows >= 0 && rows != before.rows)) {
    Log(LogLevel::kExtra,
        fmt::format("{} changed while it was read: its rows are not kept", before.label));
    return;
  }
  const Label label{before.label, before.fingerprint, rows, counters};
  const auto publish = [&]() -> Status {
    ARROW_RETURN_NOT_OK(keeper.writer_->Close());
    ARROW_ASSIGN_OR_RAISE(const bool kept, folder_->Publish(*keeper.entry_, label.ToJson()));
    if (kept) return Status::OK();
    return UserError(
        fmt::format("the {} rows of {} take {}, more than cache_max_bytes: they are "
                    "not kept; raise it, or ask for smaller units",
                    FormatCount(rows), before.label, FormatBytes(keeper.entry_->bytes())));
  };
  const Status status = publish();
  if (!status.ok()) keeper.GiveUp(status);
}

void UnitCache::WarnOnce(const Status& reason) {
  if (!warned_.exchange(true)) warn_(fmt::format("the cache: {}", MessageOf(reason)));
}

void UnitCache::SayWhyNot(const UnitContent& content) {
  if (content.reason.empty()) return;
  warn_("the cache: rows are not kept where " + content.reason);
}

Result<std::vector<KeptUnit>> KeptUnits(const CacheFolder& folder) {
  ARROW_ASSIGN_OR_RAISE(auto entries, folder.List());
  std::vector<KeptUnit> units;
  for (auto& entry : entries) {
    const auto label = Label::FromJson(entry.label);
    if (label) units.push_back({std::move(entry), label->unit, label->rows});
  }
  return units;
}

}  // namespace bulkhaul
