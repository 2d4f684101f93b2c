// What the files of a dataset hold: schema, size, state.
#pragma once

#include <string>

#include "plan/contract.h"
#include "plan/values.h"
#include "source/files/table_state.h"
#include "source/source.h"

namespace bulkhaul::files {

// The dataset of the files that `pattern` names. kUser for what cannot be read as asked.
Result<Dataset> DescribeDataset(const DatasetId& id, const std::string& pattern,
                                const Options& options, Contracts* contracts,
                                const ColumnsThere& columns_there);

// What a flat column takes of Arrow memory for a row, with texts of `text_bytes` on average.
double RowMemoryBytes(const arrow::DataType& type, double text_bytes);

// Columns from folders named "key=value": whole numbers without leading zeros become int64, dates
// date32, all else text.
Result<arrow::FieldVector> PartitionFields(const std::vector<DataFile>& files);
// The value of the file's folder as `field` has it; NULL where it has none.
Result<std::shared_ptr<arrow::Scalar>> PartitionValue(const DataFile& file,
                                                      const arrow::Field& field);

// The columns and types that all have, in the order of the first; `missing_as_null` also takes
// columns that only some have. kUser when types have no common one.
Result<std::shared_ptr<arrow::Schema>> CommonSchema(
    const std::vector<std::pair<const DataFile*, std::shared_ptr<arrow::Schema>>>& schemas,
    bool missing_as_null);

}  // namespace bulkhaul::files
