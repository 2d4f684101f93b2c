// Rows of finished units, kept between jobs (option group `cache`). Knows no source: a unit's
// address and fingerprint come from Session::Content(). Inside run/ only.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <arrow/ipc/writer.h>

#include "source/source.h"
#include "store/cache_folder.h"

namespace bulkhaul {

// Counters of a StagedResult by which the report knows what the cache did.
inline constexpr char kCacheCounters[] = "bulkhaul.cache_";  // how all begin
inline constexpr char kCacheHits[] = "bulkhaul.cache_hits";  // units
inline constexpr char kCacheMisses[] =
    "bulkhaul.cache_misses";  // units that were read and may be kept
inline constexpr char kCachePassed[] = "bulkhaul.cache_passed";  // units that may not be kept (yet)
inline constexpr char kCacheRows[] = "bulkhaul.cache_rows";      // taken from the cache
inline constexpr char kCacheBytes[] = "bulkhaul.cache_bytes";    // read from it

// Takes the rows of one unit while it is read. Nothing that goes wrong here is the unit's fault: it
// is said once, and the rows are not kept. Not thread-safe.
class RowKeeper {
 public:
  void Add(const arrow::RecordBatch& batch);

 private:
  friend class UnitCache;
  RowKeeper(class UnitCache& cache, UnitContent content)
      : cache_(cache), content_(std::move(content)) {}
  void GiveUp(const Status& reason);

  UnitCache& cache_;
  const UnitContent content_;
  std::unique_ptr<CacheEntryWriter> entry_;  // null once it was given up
  std::shared_ptr<arrow::ipc::RecordBatchWriter> writer_;
};

// Thread-safe.
class UnitCache {
 public:
  using Warn = std::function<void(const std::string&)>;
  // Null when the options do not ask for one. kUser when there is no place for it.
  static Result<std::unique_ptr<UnitCache>> Open(const Options& options, Warn warn);
  // The folder that the options name. kUser when they name none and there is no default.
  static Result<std::string> FolderOf(const Options& options);

  // Whether rows of the unit may be kept and given out: it has an address and its time is over.
  bool Settled(const UnitContent& content) const;
  // The unit's rows, when they are kept and are still the same; else null.
  Result<std::unique_ptr<UnitReader>> Find(const UnitContent& content, const WorkUnit& unit,
                                           const std::shared_ptr<arrow::Schema>& schema,
                                           UnitContext& context);
  // Null when the unit's rows are not to be kept.
  std::unique_ptr<RowKeeper> Begin(const UnitContent& content,
                                   const std::shared_ptr<arrow::Schema>& schema,
                                   UnitContext& context);
  // After the unit was read whole: keeps its rows if they are those of its fingerprint, before as
  // after.
  void Publish(RowKeeper& keeper, const UnitContent& after, int64_t rows,
               const std::map<std::string, int64_t>& counters);
  // Something is wrong with the cache: said once a job.
  void WarnOnce(const Status& reason);
  // Why the unit's rows cannot be kept, if there is a reason that the user should know.
  void SayWhyNot(const UnitContent& content);

 private:
  friend class RowKeeper;
  UnitCache(std::unique_ptr<CacheFolder> folder, int64_t settle_ms, Warn warn)
      : folder_(std::move(folder)), settle_ms_(settle_ms), warn_(std::move(warn)) {}

  const std::unique_ptr<CacheFolder> folder_;
  const int64_t settle_ms_;
  const Warn warn_;
  std::atomic<bool> warned_{false};
};

// What `cache ls` shows of an entry.
struct KeptUnit {
  CacheEntry entry;
  std::string unit;  // what was read, for people
  int64_t rows = 0;
};
Result<std::vector<KeptUnit>> KeptUnits(const CacheFolder& folder);

}  // namespace bulkhaul
