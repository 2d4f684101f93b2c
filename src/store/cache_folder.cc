#include "store/cache_folder.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <optional>

#include <arrow/io/file.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "store/folders.h"

namespace bulkhaul {
namespace {

constexpr std::string_view kSuffix = ".rows", kTemporarySuffix = ".tmp";
// Nobody who still lives leaves a file that is being written alone for so long; whoever does only
// loses the entry.
constexpr int64_t kTemporaryAgeMs = 3'600'000;
constexpr int64_t kLabelBytesMax = 1 << 20;
constexpr std::array<char, 8> kHeadMagic = {'B', 'H', 'C', 'A', 'C', 'H', 'E', '1'};
constexpr std::array<char, 8> kTailMagic = {'B', 'H', 'C', 'E', 'N', 'D', '0', '1'};

// Integers as this machine writes them: a cache does not travel.
struct Head {
  std::array<char, 8> magic = kHeadMagic;
  int64_t uses = 0;  // changes later: counts as 0 in the checksum
};
struct Tail {
  int64_t label_bytes = 0;
  int64_t stored_ms = 0;
  uint64_t xxh3 = 0;  // of everything before it
  std::array<char, 8> magic = kTailMagic;
};
constexpr int64_t kHeadBytes = sizeof(Head), kTailBytes = sizeof(Tail);
constexpr int64_t kHashedTailBytes = offsetof(Tail, xxh3);

int64_t NowMs() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

int64_t Milliseconds(const timespec& time) {
  return int64_t{time.tv_sec} * 1000 + time.tv_nsec / 1'000'000;
}

class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  ~Descriptor() {
    if (number_ >= 0) close(number_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int number() const { return number_; }
  int Release() { return std::exchange(number_, -1); }

 private:
  int number_;
};

bool ReadAt(int file, void* into, int64_t bytes, int64_t at) {
  auto* out = static_cast<char*>(into);
  while (bytes > 0) {
    const ssize_t got = pread(file, out, static_cast<size_t>(bytes), at);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    out += got;
    at += got;
    bytes -= got;
  }
  return true;
}

struct Opened {
  CacheEntry entry;
  Tail tail;
};

// What head and tail say; nullopt when they are not those of an entry. The content is not looked
// at.
std::optional<Opened> ReadEnds(int file, const std::string& name) {
  struct stat status = {};
  Head head;
  Opened opened;
  if (fstat(file, &status) != 0 || status.st_size < kHeadBytes + kTailBytes) return std::nullopt;
  Tail& tail = opened.tail;
  if (!ReadAt(file, &head, kHeadBytes, 0) || head.magic != kHeadMagic ||
      !ReadAt(file, &tail, kTailBytes, status.st_size - kTailBytes) || tail.magic != kTailMagic ||
      tail.label_bytes < 0 ||
      tail.label_bytes > std::min(kLabelBytesMax, status.st_size - kHeadBytes - kTailBytes)) {
    return std::nullopt;
  }
  CacheEntry& entry = opened.entry;
  entry.label.resize(static_cast<size_t>(tail.label_bytes));
  if (!ReadAt(file, entry.label.data(), tail.label_bytes,
              status.st_size - kTailBytes - tail.label_bytes)) {
    return std::nullopt;
  }
  entry.name = name;
  entry.bytes = status.st_size;
  entry.uses = head.uses;
  entry.stored_ms = tail.stored_ms;
  entry.used_ms = Milliseconds(status.st_mtim);
  return opened;
}

bool ChecksumHolds(int file, const Opened& opened) {
  Xxh3 hash;
  const Head head;
  hash.Update(&head, kHeadBytes);
  std::string block(256 << 10, '\0');
  const int64_t end = opened.entry.bytes - kTailBytes + kHashedTailBytes;
  for (int64_t at = kHeadBytes; at < end;) {
    const int64_t bytes = std::min<int64_t>(static_cast<int64_t>(block.size()), end - at);
    if (!ReadAt(file, block.data(), bytes, at)) return false;
    hash.Update(block.data(), static_cast<size_t>(bytes));
    at += bytes;
  }
  return hash.Digest() == opened.tail.xxh3;
}

// Its time of change, which a write sets, is the time of its last use. A use that cannot be counted
// is no harm.
void CountUse(int file) {
  if (flock(file, LOCK_EX) != 0) return;
  int64_t uses = 0;
  if (ReadAt(file, &uses, sizeof(uses), offsetof(Head, uses))) {
    ++uses;
    [[maybe_unused]] const auto written = pwrite(file, &uses, sizeof(uses), offsetof(Head, uses));
  }
  flock(file, LOCK_UN);
}

// One file of the folder, whole or not.
struct File {
  std::string path;
  int64_t bytes = 0, used_ms = 0;
  bool temporary = false;
};

Result<std::vector<File>> FilesOf(const std::string& folder) {
  ARROW_ASSIGN_OR_RAISE(const auto names, ListFolder(folder));
  std::vector<File> files;
  for (const auto& name : names) {
    const bool temporary = name.ends_with(kTemporarySuffix);
    if (!temporary && !name.ends_with(kSuffix)) continue;
    struct stat status = {};
    const std::string path = folder + "/" + name;
    // Another process may have deleted it.
    if (lstat(path.c_str(), &status) != 0 || !S_ISREG(status.st_mode)) continue;
    files.push_back({path, status.st_size, Milliseconds(status.st_mtim), temporary});
  }
  return files;
}

Status Delete(const std::string& path) {
  if (unlink(path.c_str()) == 0 || errno == ENOENT) return Status::OK();
  return ErrnoError(errno, "remove", path);
}

}  // namespace

CacheEntryWriter::~CacheEntryWriter() {
  if (!published_) (void)file_->Abort();
}

Result<std::string> CacheFolder::DefaultPath() {
  const char* cache = std::getenv("XDG_CACHE_HOME");
  // The XDG base directory specification: relative paths are to be ignored.
  if (cache && *cache == '/') return std::string(cache) + "/bulkhaul";
  const char* home = std::getenv("HOME");
  if (!home || !*home) {
    return UserError(
        "neither XDG_CACHE_HOME nor HOME is set: give the cache a place with "
        "cache_dir");
  }
  return std::string(home) + "/.cache/bulkhaul";
}

Result<std::unique_ptr<CacheFolder>> CacheFolder::Open(std::string path, CacheLimits limits) {
  std::error_code error;
  const bool there = std::filesystem::is_directory(path, error);
  ARROW_RETURN_NOT_OK(MakeFolders(path));
  // Rows are as private as what they were read from. A folder that was there stays as it is.
  if (!there && chmod(path.c_str(), 0700) != 0) return ErrnoError(errno, "protect", path);
  auto folder = std::unique_ptr<CacheFolder>(new CacheFolder(std::move(path), limits));
  std::lock_guard lock(folder->mutex_);
  ARROW_RETURN_NOT_OK(folder->Trim());
  return folder;
}

Result<std::optional<CacheContent>> CacheFolder::Find(
    const std::string& name, const std::function<bool(const CacheEntry&)>& fits) {
  const std::string path = path_ + "/" + name + std::string(kSuffix);
  Descriptor file(open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW));
  if (file.number() < 0) {
    if (errno == ENOENT) return std::nullopt;
    return ErrnoError(errno, "open", path);
  }
  const auto opened = ReadEnds(file.number(), name);
  if (opened && !fits(opened->entry)) return std::nullopt;
  if (!opened || !ChecksumHolds(file.number(), *opened)) {
    ARROW_RETURN_NOT_OK(Delete(path));
    return PermanentError(
        fmt::format("the entry '{}' of the cache was damaged: it is deleted", path),
        "cache_damaged");
  }
  if (limits_.age_ms_max > 0 && opened->entry.stored_ms + limits_.age_ms_max < NowMs()) {
    ARROW_RETURN_NOT_OK(Delete(path));
    return std::nullopt;
  }
  CountUse(file.number());
  CacheContent content;
  content.entry = opened->entry;
  content.bytes = opened->entry.bytes - kHeadBytes - opened->tail.label_bytes - kTailBytes;
  ARROW_ASSIGN_OR_RAISE(auto whole, arrow::io::ReadableFile::Open(file.Release()));
  ARROW_ASSIGN_OR_RAISE(content.stream,
                        arrow::io::RandomAccessFile::GetStream(whole, kHeadBytes, content.bytes));
  return content;
}

Result<std::unique_ptr<CacheEntryWriter>> CacheFolder::Begin(const std::string& name) {
  ARROW_ASSIGN_OR_RAISE(auto file, DurableFile::Create(path_ + "/" + name + "-" + NewId() +
                                                       std::string(kTemporarySuffix)));
  auto writer = std::unique_ptr<CacheEntryWriter>(new CacheEntryWriter(name, std::move(file)));
  const Head head;
  ARROW_RETURN_NOT_OK(writer->file_->Write(&head, kHeadBytes));
  return writer;
}

Result<bool> CacheFolder::Publish(CacheEntryWriter& writer, std::string_view label) {
  DurableFile& file = *writer.file_;
  Tail tail;
  tail.label_bytes = static_cast<int64_t>(label.size());
  tail.stored_ms = NowMs();
  ARROW_RETURN_NOT_OK(file.Write(label.data(), tail.label_bytes));
  ARROW_RETURN_NOT_OK(file.Write(&tail, kHashedTailBytes));
  tail.xxh3 = file.xxh3();
  const auto* rest = reinterpret_cast<const char*>(&tail) + kHashedTailBytes;
  ARROW_RETURN_NOT_OK(file.Write(rest, kTailBytes - kHashedTailBytes));
  if (file.bytes() > limits_.bytes_max) return false;
  const int64_t bytes = file.bytes();
  ARROW_RETURN_NOT_OK(file.Close());
  const std::string path = path_ + "/" + writer.name_ + std::string(kSuffix);
  if (rename(file.path().c_str(), path.c_str()) != 0) return ErrnoError(errno, "publish", path);
  writer.published_ = true;
  // Not fsynced: a name that a crash takes back is a miss.
  std::lock_guard lock(mutex_);
  bytes_ += bytes;
  if (bytes_ > limits_.bytes_max) ARROW_RETURN_NOT_OK(Trim());
  return true;
}

Result<std::vector<CacheEntry>> CacheFolder::List() const {
  ARROW_ASSIGN_OR_RAISE(const auto files, FilesOf(path_));
  std::vector<CacheEntry> entries;
  for (const auto& file : files) {
    if (file.temporary) continue;
    const Descriptor descriptor(open(file.path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    if (descriptor.number() < 0) continue;
    const auto name = std::filesystem::path(file.path).stem().string();
    if (auto opened = ReadEnds(descriptor.number(), name)) {
      entries.push_back(std::move(opened->entry));
    }
  }
  return entries;
}

Result<CacheFolder::Cleared> CacheFolder::Clear(int64_t older_than_ms) {
  const int64_t limit = NowMs() - older_than_ms;
  ARROW_ASSIGN_OR_RAISE(const auto entries, List());
  ARROW_ASSIGN_OR_RAISE(const auto files, FilesOf(path_));
  Cleared cleared;
  for (const auto& file : files) {
    const auto name = std::filesystem::path(file.path).stem().string();
    const auto entry = std::find_if(entries.begin(), entries.end(),
                                    [&](const auto& one) { return one.name == name; });
    const bool known = !file.temporary && entry != entries.end();
    // Of a damaged entry, and of one that is not finished, only the last change is known.
    const int64_t age_from = known ? entry->stored_ms : file.used_ms;
    const bool abandoned = !file.temporary || file.used_ms + kTemporaryAgeMs < NowMs();
    if (age_from > limit || !(abandoned || older_than_ms == 0)) continue;
    ARROW_RETURN_NOT_OK(Delete(file.path));
    cleared.entries += file.temporary ? 0 : 1;
    cleared.bytes += file.bytes;
  }
  return cleared;
}

// Looks again, because other processes write and delete too.
Status CacheFolder::Trim() {
  ARROW_ASSIGN_OR_RAISE(auto files, FilesOf(path_));
  const int64_t now = NowMs();
  bytes_ = 0;
  std::erase_if(files, [&](const File& file) {
    const int64_t age_max = file.temporary ? kTemporaryAgeMs : limits_.age_ms_max;
    if (age_max > 0 && file.used_ms + age_max < now && Delete(file.path).ok()) return true;
    bytes_ += file.bytes;
    return file.temporary;
  });
  if (bytes_ <= limits_.bytes_max) return Status::OK();
  std::sort(files.begin(), files.end(),
            [](const File& a, const File& b) { return a.used_ms < b.used_ms; });
  for (const auto& file : files) {
    if (bytes_ <= limits_.bytes_max) break;
    ARROW_RETURN_NOT_OK(Delete(file.path));
    bytes_ -= file.bytes;
  }
  return Status::OK();
}

}  // namespace bulkhaul
