// What the options of a table say about its columns.
#pragma once

#include "base/error.h"
#include "plan/options.h"
#include "wire/json/mapping.h"
#include "wire/json/page_layout.h"

namespace bulkhaul::opensearch {

// kUser for a name in metadata_columns that is none of them, with the nearest one. Pure.
Status CheckMetadataNames(const Options& options);

// But for what a sample of documents says (LayoutOptions::array_fields). Pure.
search::LayoutOptions LayoutWishes(const Options& options, const search::MergedMapping& merged);

}  // namespace bulkhaul::opensearch
