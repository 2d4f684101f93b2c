// One job, one owner.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/error.h"
#include "commit/job_index.h"

namespace bulkhaul {

// An advisory lock (flock) on <job folder>/lock, held until destroyed or the process ends, however
// it ends: the kernel drops it with the last descriptor, and the descriptor is not inherited
// through exec. Pid and host in the file are for messages only.
class JobLock {
 public:
  ~JobLock();
  JobLock(const JobLock&) = delete;
  JobLock& operator=(const JobLock&) = delete;
  // Makes the folder when it is not there. kUser with the owner's pid and host when another
  // process, or this one, holds the lock.
  static Result<std::unique_ptr<JobLock>> Take(const std::string& job_folder);

 private:
  explicit JobLock(int descriptor) : descriptor_(descriptor) {}
  const int descriptor_;
};

// Who holds the lock now; nullopt when nobody does.
Result<std::optional<LockOwner>> LockOwnerOf(const std::string& job_folder);

}  // namespace bulkhaul
