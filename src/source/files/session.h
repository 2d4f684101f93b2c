// Reads units of files.
#pragma once

#include <map>
#include <memory>
#include <span>
#include <string>

#include "source/files/file_reader.h"
#include "source/source.h"

namespace bulkhaul::files {

// Path → what the file looked like when the job took hold of it. Immutable.
using Fingerprints = std::map<std::string, std::string, std::less<>>;

// `datasets` outlive the session.
std::unique_ptr<Session> MakeFilesSession(std::span<const Dataset> datasets,
                                          std::shared_ptr<const Fingerprints> fingerprints);

// kPermanent when the file is not what it was.
Status CheckUnchanged(const Fingerprints& fingerprints, const std::string& path);

}  // namespace bulkhaul::files
