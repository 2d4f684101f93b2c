#include "source/sqlite/pin.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cstdio>
#include <filesystem>

#include <fmt/format.h>
#include <sqlite3.h>

#include "base/hash.h"

namespace bulkhaul {
namespace {

constexpr int64_t kWalBytesHashedMax = int64_t{256} << 20;
constexpr int kTriesWithoutLock = 100;

// The read transaction begins with the first read, not with BEGIN.
Status BeginRead(Connection& connection) {
  ARROW_RETURN_NOT_OK(connection.Run("BEGIN"));
  return connection.QueryInt("SELECT count(*) FROM main.sqlite_schema").status();
}

Result<int64_t> DataVersion(Connection& connection) {
  return connection.QueryInt("PRAGMA main.data_version");
}

std::string StatText(const std::string& path) {
  struct stat info {};
  if (stat(path.c_str(), &info) != 0) return "none";
  return fmt::format("{}:{}:{}.{:09}", info.st_ino, info.st_size, info.st_mtim.tv_sec,
                     info.st_mtim.tv_nsec);
}

// Of size, time, change counter and the whole WAL. Reading the WAL by a descriptor of our own is
// safe; of the database file it would not be: closing it drops the process's POSIX locks, so its
// header is read through SQLite.
std::string Fingerprint(const Connection& connection, const std::string& path) {
  uint8_t counter[4] = {};
  connection.ReadFile(24, 4, counter);  // file change counter, fileformat2.html section 1.3.7
  std::string text = StatText(path);
  text += fmt::format("/{:02x}{:02x}{:02x}{:02x}", counter[0], counter[1], counter[2], counter[3]);
  const std::string wal = path + "-wal";
  struct stat info {};
  if (stat(wal.c_str(), &info) != 0 || info.st_size == 0) return text;
  text += "/" + StatText(wal);
  const auto hash = info.st_size <= kWalBytesHashedMax ? Xxh3OfFile(wal) : Result<uint64_t>(0);
  // A WAL too long to be hashed, or unreadable, never compares equal.
  if (!hash.ok() || info.st_size > kWalBytesHashedMax) return text + fmt::format("/{}", getpid());
  return text + "/" + HashText(*hash);
}

// Nobody can write without our being told: no WAL to miss, and neither file nor folder writable.
bool MayBeTakenAsImmutable(const std::string& path) {
  const auto folder = std::filesystem::absolute(path).parent_path();
  const auto writable = [](const std::string& name) {
    return faccessat(AT_FDCWD, name.c_str(), W_OK, AT_EACCESS) == 0;
  };
  return !writable(path) && !writable(folder) && !std::filesystem::exists(path + "-wal");
}

}  // namespace

Result<std::unique_ptr<Connection>> Pin::Open(OpenMode mode) const {
  return Connection::Open(settings_.path, mode, settings_.lock_timeout_ms);
}

Result<std::shared_ptr<Pin>> Pin::Take(const PinSettings& settings) {
  std::shared_ptr<Pin> pin(new Pin(settings));
  ARROW_ASSIGN_OR_RAISE(auto first, pin->Open(OpenMode::kReadOnly));
  const auto journal = first->QueryText("PRAGMA main.journal_mode");
  const auto readable = journal.ok() ? first->QueryInt("SELECT count(*) FROM main.sqlite_schema")
                                     : Result<int64_t>(journal.status());
  if (!readable.ok()) {
    const bool open_failed = CodeOf(readable.status()).starts_with("SQLITE_CANTOPEN") ||
                             CodeOf(readable.status()).starts_with("SQLITE_READONLY");
    if (!open_failed || !MayBeTakenAsImmutable(settings.path)) return readable.status();
    ARROW_RETURN_NOT_OK(pin->TakeImmutable());
    return pin;
  }
  if (!settings.consistent) {
    pin->mode_ = "none";
    pin->planner_ = std::move(first);
    pin->fingerprint_ = Fingerprint(*pin->planner_, settings.path);
    return pin;
  }
  const bool wal = *journal == "wal";
  first.reset();
  ARROW_RETURN_NOT_OK(wal ? pin->TakeWal() : pin->TakeRollback());
  return pin;
}

Status Pin::OpenAll() {
  pool_.clear();
  planner_.reset();
  ARROW_ASSIGN_OR_RAISE(planner_, Open(open_mode_));
  ARROW_RETURN_NOT_OK(BeginRead(*planner_));
  for (int64_t i = 0; i < settings_.connections; ++i) {
    ARROW_ASSIGN_OR_RAISE(auto connection, Open(open_mode_));
    ARROW_RETURN_NOT_OK(BeginRead(*connection));
    pool_.push_back(std::move(connection));
  }
  return Status::OK();
}

Status Pin::TakeImmutable() {
  mode_ = "immutable";
  open_mode_ = OpenMode::kImmutable;
  ARROW_RETURN_NOT_OK(OpenAll());
  fingerprint_ = Fingerprint(*planner_, settings_.path);
  return Status::OK();
}

Status Pin::TakeRollback() {
  mode_ = "rollback";
  // The first connection's shared lock keeps every commit out, so the others see the same.
  ARROW_RETURN_NOT_OK(OpenAll());
  fingerprint_ = Fingerprint(*planner_, settings_.path);
  return Status::OK();
}

Status Pin::TakeWal() {
  mode_ = "wal";
  ARROW_ASSIGN_OR_RAISE(monitor_, Open(OpenMode::kReadOnly));
  auto writer = Open(OpenMode::kReadWrite);
  Status locked = writer.status();
  if (writer.ok()) {
    // Only the lock is wanted: a checkpoint on close would change the user's files.
    sqlite3_db_config((*writer)->get(), SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
    locked = (*writer)->Run("BEGIN IMMEDIATE");
  }
  if (!locked.ok()) {
    const std::string code = CodeOf(locked);
    // Not allowed to write, or never given the lock between others' transactions.
    const bool without_lock = code.starts_with("SQLITE_READONLY") ||
                              code.starts_with("SQLITE_CANTOPEN") ||
                              code.starts_with("SQLITE_PERM") || code.starts_with("SQLITE_BUSY");
    return without_lock ? TakeWalWithoutLock() : locked;
  }
  ARROW_RETURN_NOT_OK(OpenAll());
  ARROW_ASSIGN_OR_RAISE(monitored_version_, DataVersion(*monitor_));
  fingerprint_ = Fingerprint(*planner_, settings_.path);
  return (*writer)->Run("ROLLBACK");
}

// Begins all transactions and asks whether anything was committed meanwhile (PRAGMA data_version).
// Begins anew while that is so.
Status Pin::TakeWalWithoutLock() {
  for (int i = 0; i < kTriesWithoutLock; ++i) {
    ARROW_ASSIGN_OR_RAISE(const int64_t before, DataVersion(*monitor_));
    ARROW_RETURN_NOT_OK(OpenAll());
    fingerprint_ = Fingerprint(*planner_, settings_.path);
    ARROW_ASSIGN_OR_RAISE(monitored_version_, DataVersion(*monitor_));
    if (monitored_version_ == before) return Status::OK();
  }
  return TransientError(
      settings_.path +
          ": is written to so often that no common view could be begun; give write "
          "access, so that writers can be held for a moment",
      "SQLITE_BUSY");
}

Result<std::unique_ptr<Connection>> Pin::OpenLate() {
  ARROW_ASSIGN_OR_RAISE(auto connection, Open(open_mode_));
  if (mode_ == "none") return connection;
  ARROW_RETURN_NOT_OK(BeginRead(*connection));
  if (mode_ != "wal") return connection;
  // Its transaction is at the view's commit when nothing was committed up to now.
  ARROW_ASSIGN_OR_RAISE(const int64_t version, DataVersion(*monitor_));
  if (version == monitored_version_) return connection;
  return UserError(
      fmt::format("{}: the view was taken for {} connections and cannot be joined any "
                  "more, because there were commits since; set workers",
                  settings_.path, settings_.connections));
}

Result<std::unique_ptr<Connection>> Pin::Acquire() {
  std::lock_guard lock(pool_mutex_);
  if (pool_.empty()) return OpenLate();
  auto connection = std::move(pool_.back());
  pool_.pop_back();
  return connection;
}

void Pin::GiveBack(std::unique_ptr<Connection> connection) {
  std::lock_guard lock(pool_mutex_);
  pool_.push_back(std::move(connection));
}

Status Pin::Check() const {
  // Without locks a change shows in the file's size or time; a prefix of the fingerprint.
  if (mode_ != "immutable" || fingerprint_.starts_with(StatText(settings_.path))) {
    return Status::OK();
  }
  return SnapshotLostError(settings_.path + " was changed while it was read");
}

}  // namespace bulkhaul
