#include "commit/job_lock.h"

#include <cerrno>
#include <chrono>
#include <filesystem>
#include <thread>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>
#include <nlohmann/json.hpp>

#include "base/units.h"

namespace bulkhaul {
namespace {

LockOwner ReadOwner(int descriptor) {
  char text[1024];
  const ssize_t length = pread(descriptor, text, sizeof(text), 0);
  LockOwner owner;
  if (length <= 0) return owner;
  const auto json = nlohmann::json::parse(text, text + length, nullptr, false);
  if (!json.is_object()) return owner;
  owner.pid = json.value("pid", int64_t{0});
  owner.host = json.value("host", "");
  owner.since = json.value("since", "");
  return owner;
}

Status WriteOwner(int descriptor, const std::string& path) {
  char host[256] = "";
  gethostname(host, sizeof(host) - 1);
  const std::string text =
      nlohmann::json{
          {"pid", getpid()}, {"host", host}, {"since", FormatUtc(std::chrono::system_clock::now())}}
          .dump();
  if (ftruncate(descriptor, 0) != 0 ||
      pwrite(descriptor, text.data(), text.size(), 0) != static_cast<ssize_t>(text.size())) {
    return ErrnoError(errno, "write", path);
  }
  return Status::OK();
}

// LockOwnerOf() in another process holds a shared lock for an instant, so one refusal proves
// little.
bool TryLock(int descriptor) {
  for (int tries = 5; tries > 0; --tries) {
    if (flock(descriptor, LOCK_EX | LOCK_NB) == 0) return true;
    if (errno != EWOULDBLOCK) return false;
    if (tries > 1) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  errno = EWOULDBLOCK;
  return false;
}

}  // namespace

Result<std::unique_ptr<JobLock>> JobLock::Take(const std::string& job_folder) {
  std::error_code error;
  std::filesystem::create_directories(job_folder, error);
  if (error) return ErrnoError(error.value(), "create the job's folder", job_folder);
  const std::string path = job_folder + "/lock";
  const int descriptor = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (descriptor < 0) return ErrnoError(errno, "open", path);
  std::unique_ptr<JobLock> lock(new JobLock(descriptor));
  if (!TryLock(descriptor)) {
    if (errno != EWOULDBLOCK) return ErrnoError(errno, "lock", path);
    const LockOwner owner = ReadOwner(descriptor);
    return UserError(
        fmt::format("job '{}' is run by process {} on host {} since {}: wait for it, or stop it "
                    "with 'bulkhaul cancel'",
                    std::filesystem::path(job_folder).filename().string(), owner.pid, owner.host,
                    owner.since),
        "locked");
  }
  ARROW_RETURN_NOT_OK(WriteOwner(descriptor, path));
  return lock;
}

JobLock::~JobLock() { close(descriptor_); }

Result<std::optional<LockOwner>> LockOwnerOf(const std::string& job_folder) {
  const std::string path = job_folder + "/lock";
  const int descriptor = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) {
    if (errno == ENOENT) return std::nullopt;
    return ErrnoError(errno, "open", path);
  }
  std::optional<LockOwner> owner;
  // A shared lock that is granted proves that there is no owner; it is dropped at once.
  if (flock(descriptor, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
    owner = ReadOwner(descriptor);
  }
  close(descriptor);
  return owner;
}

}  // namespace bulkhaul
