// Options that only some file formats have a use for.
#pragma once

#include <span>

#include "base/error.h"
#include "plan/options.h"
#include "source/files/data_file.h"

namespace bulkhaul::files {

struct FormatAndOptions {
  FileFormat format = FileFormat::kParquet;
  Options options;
};

// kUser when an option was given that none of the tables with it has a use for; a job's options may
// be for one of its tables.
Status CheckFormatOptions(std::span<const FormatAndOptions> tables);

}  // namespace bulkhaul::files
