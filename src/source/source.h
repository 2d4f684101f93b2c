// Room 2: where rows come from. One folder a source; registry.cc names them all.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include <arrow/record_batch.h>

#include "base/error.h"
#include "plan/context.h"
#include "plan/job_spec.h"
#include "plan/values.h"

namespace bulkhaul {

// What a source can do, as data. A job that asks for more is refused at plan time.
struct SourceTraits {
  std::string name;                  // "postgres"
  bool consistent_snapshot = false;  // Pin() gives one view for all datasets of a job
  bool kept_snapshot = false;        // the view can outlive the process (keep_snapshot)
  bool queries = false;              // datasets may be queries
  int64_t connections_max = -1;      // free slots for sessions now; -1: no limit known
  int workers_default = 0;           // sessions at the same time by default; 0: from the cores
  // Above workers_default: by default the runner begins with that many and finds out how many up to
  // this pay; it lowers them on failures that Overloaded() names.
  int workers_max = 0;
  bool checks_rows = false;        // CheckRows() has something to say
  bool places_rows = false;        // UnitReader::PlaceOf() has something to say
  bool refuses_rows = false;       // datasets may set rows aside (Dataset::refuses_rows)
  bool describes_content = false;  // Session::Content() has something to say
  bool states_tell_rows = false;   // datasets with the same source_state have the same rows
  bool retries_requests = false;   // by what RetryBy() gave it
  // What it looks at of those options that not everyone does (SubjectOf, plan/option_table.h):
  // groups or single names.
  std::vector<std::string> options;
};

// What tells a unit's rows apart from all others, and by which it shows that they changed. Rows
// that were read under one address and one fingerprint may be given out again under the same.
struct UnitContent {
  // Everything that decides the rows but the data itself: what is read, by which query, into which
  // columns. Without secrets. "": the unit's rows cannot be kept, and `reason` says why.
  std::string address;
  // Of the data, as the server shows it now: another one when any row came, changed or went.
  std::string fingerprint;
  int64_t rows = 0;  // by the same look; -1: not known
  // From when on no further rows are expected, in milliseconds since 1970: the end of the unit's
  // time. -1: not known.
  int64_t ends_ms = -1;
  std::string label;  // for people: what is read
  std::string reason;
};

// What CheckRows() found.
struct RowFindings {
  std::vector<std::string> wrong;  // axes (UnitRange::axis) of which not all rows were read
  std::vector<std::string> notes;  // what cannot be held to a count, said in the report
};

// How a dataset is to be cut. Zero: the source decides.
struct SplitHint {
  int64_t unit_bytes = 0;  // of source storage
  int64_t unit_rows = 0;   // wins over unit_bytes
  int64_t units_max = 10'000;
  int64_t page_units_max = 10'000;  // units in one UnitPage
};

struct UnitPage {
  std::vector<WorkUnit> units;
  std::string next_cursor;           // "" when this was the last page
  std::vector<UnitRange> retracted;  // ranges given out before that no longer hold (streams)
};

// Streams one unit's rows. Not thread-safe; used and destroyed on the session's thread.
class UnitReader : public arrow::RecordBatchReader {
 public:
  // The range whose rows were all given out; complete once ReadNext() has given nullptr.
  virtual UnitRange covered() const = 0;
  // Bytes received from the source so far.
  virtual int64_t bytes_read() const = 0;
  // Where row `row` of the batch that ReadNext() gave last comes from; file "" and line -1 where
  // that is not known; row -1: the file alone. The line is only looked up for rows that something
  // is said about.
  virtual RowPlace PlaceOf(int64_t row) const { return {}; }
  // Rows set aside before or within the batch that ReadNext() gave last; each once. A batch without
  // rows may come with them. Only where Dataset::refuses_rows.
  virtual std::vector<RefusedRow> TakeRefused() { return {}; }
  // Values that options changed, by name ("infinity_clamped").
  virtual std::map<std::string, int64_t> counters() const { return {}; }
};

// One connection inside the snapshot, kept from unit to unit. Not thread-safe.
class Session {
 public:
  virtual ~Session() = default;
  // The batches' schema is the dataset's, without findings (plan/drift.h). One reader at a time;
  // the session is usable again when the reader is destroyed, also after an error or half way,
  // unless ok() says no.
  virtual Result<std::unique_ptr<UnitReader>> Read(const WorkUnit& unit, UnitContext& context) = 0;
  // Looks at what Read() would read, without reading it; not while there is a reader. Only called
  // with SourceTraits::describes_content.
  virtual Result<UnitContent> Content(const WorkUnit& unit, UnitContext& context) {
    return UnitContent();
  }
  // False when the connection is gone: the runner opens another.
  virtual bool ok() const { return true; }
};

// Calls `action` until it succeeds, fails for good, or the job's retries are used up; waits between
// the tries. `what` is done, for people. Thread-safe.
using Retry = std::function<Status(const std::string& what, const std::function<Status()>& action)>;

// The columns at the destination of a dataset's rows (Sink::ColumnsThere); nullptr: none are there.
using ColumnsThere = std::function<Result<std::shared_ptr<arrow::Schema>>(const DatasetId& id,
                                                                          const Options& options)>;

// Thread-safe after it is made. Errors are classified (base/error.h); a source never retries and
// never sleeps: run/ does, or is asked to.
class Source {
 public:
  virtual ~Source() = default;
  virtual SourceTraits Traits() const = 0;
  // Called at most once, before the other calls: Discover, Pin and Split end with kCancelled soon
  // after a stop is requested. A source that never waits for anybody may ignore it.
  virtual void StopOn(std::stop_token stop) {}
  // Called at most once, before the calls below. A source whose Discover, Split, ChangedAxes and
  // CheckRows are many requests has each of them that may be repeated tried again by `retry`, and
  // says retries_requests: the runner then repeats no Discover or Split as a whole.
  virtual void RetryBy(Retry retry) {}
  // Called at most once, before Discover(). A source whose columns have no types of their own takes
  // those of the destination, for what neither `cast` nor a contract gives.
  virtual void TypesFrom(ColumnsThere columns_there) {}
  // Schema, keys and sizes of everything selected, in one round trip for thousands, ordered by id.
  // kUser when a table named without a glob is not there.
  virtual Result<std::vector<Dataset>> Discover(const Selector& selector) = 0;
  // A consistent view of these datasets, held until Release() or the process ends; with
  // consistency: none a Snapshot that says so.
  virtual Result<Snapshot> Pin(std::span<const Dataset> datasets) = 0;
  // Takes over a kept snapshot after a restart. kSnapshotLost when it is gone.
  virtual Status Adopt(const Snapshot& snapshot) {
    return SnapshotLostError("this source's snapshots end with the process");
  }
  // kSnapshotLost when the view is gone. Cheap; the runner calls it every few seconds.
  virtual Status CheckPin(const Snapshot& snapshot) = 0;
  virtual void Release(const Snapshot& snapshot) noexcept = 0;
  // For a view that is not consistent, when a job goes on: axes of the dataset (UnitRange::axis)
  // whose rows may be others now than when it was planned. What was read of them is read again.
  virtual Result<std::vector<std::string>> ChangedAxes(const Snapshot& snapshot,
                                                       const Dataset& dataset) {
    return std::vector<std::string>();
  }
  // After the last unit of a dataset that is read without a limit: whether the rows read of each
  // axis are all that the source has. An error when not, with those axes in `found`: resume reads
  // them again. Only called with SourceTraits::checks_rows.
  virtual Status CheckRows(const Snapshot& snapshot, const Dataset& dataset,
                           const std::map<std::string, int64_t>& rows, RowFindings* found) {
    return Status::OK();
  }
  // Whether this failure of a session says that the source has too much to do. Pure.
  virtual bool Overloaded(const Status& failure) const { return false; }
  // Units that cover all rows once, no overlap. Start with an empty cursor.
  virtual Result<UnitPage> Split(const Snapshot& snapshot, const Dataset& dataset,
                                 const SplitHint& hint, std::string_view cursor) = 0;
  // `datasets` are all that the session will read; they outlive it.
  virtual Result<std::unique_ptr<Session>> Open(const Snapshot& snapshot,
                                                std::span<const Dataset> datasets,
                                                WorkerContext& context) = 0;
};

}  // namespace bulkhaul
