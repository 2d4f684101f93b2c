// Folders on a local file system: made, synced, renamed and removed so that a crash loses nothing.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"

namespace bulkhaul {

// What a name points to, whatever the name becomes.
struct FileId {
  uint64_t device = 0;
  uint64_t inode = 0;
  bool operator==(const FileId&) const = default;
};

// The folder that the path's last name lies in; "" when the path has no other.
std::string ParentOf(const std::string& path);

// nullopt when there is nothing; a symbolic link is followed.
Result<std::optional<FileId>> FindFileId(const std::string& path);

// fsync of the folder itself, which makes the names in it durable.
Status SyncFolder(const std::string& path);
// fsync of a file that another library wrote.
Status SyncFile(const std::string& path);
// Makes what is missing of the path, each new folder durable in its parent.
Status MakeFolders(const std::string& path);
// Removes file or folder with everything in it; not following links. What is not there is no error.
Status RemoveTree(const std::string& path);
// Names in the folder, sorted, without "." and "..".
Result<std::vector<std::string>> ListFolder(const std::string& path);
Result<bool> IsEmptyFolder(const std::string& path);

// A second name for a file; where the file system has no hard links, the file is moved.
Status LinkOrMove(const std::string& from, const std::string& to);

enum class RenameOutcome { kDone, kDestinationExists, kDestinationMissing };

// renameat2(RENAME_NOREPLACE). Where the file system does not know the flag: gives a file its
// second name by link(2), which replaces nothing, and takes the first; claims the name of a folder
// by mkdir, then renames over the empty folder, which POSIX makes atomic and refuses once the
// folder is not empty. Source: rename(2).
Result<RenameOutcome> RenameNoReplace(const std::string& from, const std::string& to);
// renameat2(RENAME_EXCHANGE): both names swap in one step. kUser where the file system cannot.
Result<RenameOutcome> RenameExchange(const std::string& from, const std::string& to);
// Plain rename over a folder that must be empty; kDestinationExists when it is not.
Result<RenameOutcome> RenameOverEmpty(const std::string& from, const std::string& to);
// Plain rename of a file over a file.
Result<RenameOutcome> RenameOverFile(const std::string& from, const std::string& to);
// Whether RenameExchange works among the entries of this folder; tries it on two temporary folders.
Result<bool> CanExchange(const std::string& folder);

}  // namespace bulkhaul
