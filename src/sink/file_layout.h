// Where a job's files lie below its destination.
#pragma once

#include <map>
#include <mutex>
#include <string>

#include "base/error.h"
#include "plan/job_spec.h"
#include "plan/values.h"

namespace bulkhaul {

// Constant but for the names it has given out, which a mutex guards: thread-safe.
//
// organized  root/<output_name>/                 staging in root/.bulkhaul/<job>/
// by-schema  root/<schema>/<output_name>/        the same
// direct     root/ is the one table's folder     staging beside it, in <parent>/.bulkhaul/<job>/
// file       root is the one table's file        the same; nothing else is left beside it
// With commit: job the root as a whole is published at the end, so staging is beside it too.
class FileLayout {
 public:
  // Local paths and file:// URIs only, else kUser.
  static Result<std::unique_ptr<FileLayout>> Make(const JobSpec& spec, const JobId& job);

  // The folder (layout: file: the file) of a dataset as wished, before the conflict rule. Two
  // datasets never get one folder: a second one, or one that differs only in case, gets a suffix
  // made from its id. kUser for a second dataset in the layouts for one.
  Result<std::string> DatasetFolder(const DatasetPlan& plan) const;

  const std::string& root() const { return root_; }
  bool direct() const { return direct_; }
  bool file() const { return file_; }
  bool job_commit() const { return job_commit_; }
  // Folder that holds .bulkhaul and .archive.
  const std::string& base() const { return base_; }
  std::string workspace() const { return Workspace(job_); }
  std::string Workspace(const JobId& job) const;
  std::string staged() const { return workspace() + "/staged"; }
  std::string assembly() const { return workspace() + "/publish"; }
  // With commit: job, the folder that becomes the root.
  std::string job_folder() const { return workspace() + "/job"; }
  std::string archive() const { return base_ + "/.archive"; }
  std::string manifest_name() const;

 private:
  FileLayout() = default;
  Result<std::string> WishedFolder(const DatasetPlan& plan) const;

  JobId job_;
  std::string root_;
  std::string base_;
  bool direct_ = false;
  bool file_ = false;
  bool by_schema_ = false;
  bool job_commit_ = false;
  mutable std::mutex mutex_;
  mutable std::map<std::string, std::string> owners_;   // folder in small letters → dataset
  mutable std::map<std::string, std::string> folders_;  // dataset → folder
};

}  // namespace bulkhaul
