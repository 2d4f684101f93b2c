// A folder of entries that anything may delete at any time: kept results under names that are the
// hash of what they are the result of. Several processes share one folder.
//
// An entry is one file: a head with its number of uses, the content, a label (text of the owner),
// and a tail with a checksum of all that. It gets its name by a rename when it is whole and on the
// disk, so that a kill leaves none that is half written; one that was damaged afterwards is found
// by its checksum and never given out.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <arrow/io/interfaces.h>

#include "base/error.h"
#include "store/durable_file.h"

namespace bulkhaul {

struct CacheLimits {
  int64_t bytes_max = int64_t{20} << 30;  // of all entries; the least recently used go first
  int64_t age_ms_max = 0;                 // 0: none
};

struct CacheEntry {
  std::string name;
  std::string label;
  int64_t bytes = 0;  // of the file
  int64_t uses = 0;
  int64_t stored_ms = 0;  // since 1970
  int64_t used_ms = 0;    // when it was stored or last given out
};

// An entry that was found whole.
struct CacheContent {
  CacheEntry entry;
  std::shared_ptr<arrow::io::InputStream> stream;  // stays readable when the entry is deleted
  int64_t bytes = 0;                               // in the stream
};

// An entry that is being written. Destroyed before it is published, it leaves nothing.
class CacheEntryWriter {
 public:
  ~CacheEntryWriter();
  arrow::io::OutputStream* stream() const { return file_.get(); }
  int64_t bytes() const { return file_->bytes(); }

 private:
  friend class CacheFolder;
  CacheEntryWriter(std::string name, std::shared_ptr<DurableFile> file)
      : name_(std::move(name)), file_(std::move(file)) {}
  const std::string name_;
  const std::shared_ptr<DurableFile> file_;
  bool published_ = false;
};

// Thread-safe.
class CacheFolder {
 public:
  // $XDG_CACHE_HOME/bulkhaul, else ~/.cache/bulkhaul. kUser when neither variable is set.
  static Result<std::string> DefaultPath();
  // Makes the folder, for this user alone; deletes what is too old or too much.
  static Result<std::unique_ptr<CacheFolder>> Open(std::string path, CacheLimits limits);

  // The entry, counted as used; nullopt when there is none, it is too old, or `fits` refuses it by
  // its label. kPermanent when it is damaged: it is deleted then.
  Result<std::optional<CacheContent>> Find(const std::string& name,
                                           const std::function<bool(const CacheEntry&)>& fits);
  Result<std::unique_ptr<CacheEntryWriter>> Begin(const std::string& name);
  // Replaces an entry of the same name, then deletes what is too much. False: the entry alone is
  // larger than all may be.
  Result<bool> Publish(CacheEntryWriter& writer, std::string_view label);

  // Whole entries by name; damaged ones are left out.
  Result<std::vector<CacheEntry>> List() const;
  struct Cleared {
    int64_t entries = 0, bytes = 0;
  };
  // Entries stored at least so long ago; 0: all, and what killed writers left.
  Result<Cleared> Clear(int64_t older_than_ms);
  const std::string& path() const { return path_; }

 private:
  CacheFolder(std::string path, CacheLimits limits) : path_(std::move(path)), limits_(limits) {}
  Status Trim();

  const std::string path_;
  const CacheLimits limits_;
  std::mutex mutex_;
  int64_t bytes_ =
      0;  // guarded by mutex_: of all entries as of the last look, and those made since
};

}  // namespace bulkhaul
