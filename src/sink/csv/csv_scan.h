// Counts the records of a CSV file that this sink has written.
#pragma once

#include <string>

#include "sink/part_format.h"

namespace bulkhaul {

// Reads the whole file, unpacked when its name or first bytes say gzip or zstd. `described_options`
// is the format_options of the export's metadata. kPermanent when a quoted field is not closed or a
// record has another number of fields than the first.
Result<PartContent> ScanCsvFile(const std::string& path, const std::string& described_options);

}  // namespace bulkhaul
