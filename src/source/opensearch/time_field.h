// Whether a job's times can be those of a field. Pure.
#pragma once

#include <string>

#include "base/error.h"
#include "wire/json/mapping.h"

namespace bulkhaul::opensearch {

// False where there is no such date field and none is `needed`; kUser then, with the date fields
// that could be it.
Result<bool> FindTimeField(const search::MergedMapping& merged, const std::string& name,
                           bool needed, const std::string& table);

}  // namespace bulkhaul::opensearch
