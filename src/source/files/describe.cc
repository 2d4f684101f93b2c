#include "source/files/describe.h"

#include <algorithm>
#include <set>

#include <arrow/scalar.h>
#include <arrow/type_traits.h>
#include <arrow/util/key_value_metadata.h>
#include <fmt/format.h>

#include "base/text.h"
#include "plan/column_naming.h"
#include "plan/drift.h"
#include "plan/splitting.h"
#include "plan/type_name.h"
#include "source/files/csv_files.h"
#include "source/files/file_reader.h"
#include "source/files/json_files.h"
#include "source/files/split.h"
#include "source/files/text_stream.h"

namespace bulkhaul::files {
namespace {

constexpr char kHiveNull[] = "__HIVE_DEFAULT_PARTITION__";
// Small files share a unit of at most so many: each is opened and checked.
constexpr size_t kFilesOfGroupMax = 1000;
// Text that is unpacked to learn how closely it is packed.
constexpr int64_t kPackingProbeBytes = 4 << 20;
// Of a folder's value that is text.
constexpr double kFolderTextBytes = 16;

bool IsPlainInteger(const std::string& text) {
  if (text.size() > 18 || text.empty()) return false;
  const std::string_view digits = std::string_view(text).substr(text[0] == '-' ? 1 : 0);
  if (digits.empty() || (digits[0] == '0' && digits.size() > 1)) return false;
  return std::all_of(digits.begin(), digits.end(), [](char c) { return c >= '0' && c <= '9'; });
}

bool IsDate(const std::string& text) {
  return text.size() == 10 && arrow::Scalar::Parse(arrow::date32(), text).ok();
}

const std::string* PartitionText(const DataFile& file, const std::string& key) {
  for (const auto& [name, value] : file.partitions) {
    if (name == key && value != kHiveNull) return &value;
  }
  return nullptr;
}

// The files of which a sample is taken.
std::vector<const DataFile*> SampleOf(const std::vector<DataFile>& files, int64_t wanted) {
  const auto count = static_cast<int64_t>(files.size());
  if (wanted == 0 || wanted > count) wanted = count;
  std::vector<const DataFile*> sample;
  for (int64_t i = 0; i < wanted; ++i) {
    const int64_t place = wanted == 1 ? 0 : i * (count - 1) / (wanted - 1);
    sample.push_back(&files[static_cast<size_t>(place)]);
  }
  return sample;
}

// Files of a group are read by one unit. With a limit everything is one group: its rows are counted
// by one reader.
std::vector<size_t> GroupEnds(const std::vector<DataFile>& files, int64_t unit_bytes,
                              const Options& options) {
  const auto files_of_group_min = static_cast<size_t>(
      UnitCountFor(static_cast<int64_t>(files.size()), options.GetInt("units_max")));
  std::vector<size_t> ends;
  if (options.GetInt("limit") > 0) return {files.size()};
  size_t begin = 0;
  int64_t bytes = 0;
  for (size_t i = 0; i < files.size(); ++i) {
    const bool full = bytes + files[i].bytes > unit_bytes || i - begin >= kFilesOfGroupMax;
    if (i > begin && full && i - begin >= std::min(files_of_group_min, kFilesOfGroupMax)) {
      ends.push_back(i);
      begin = i;
      bytes = 0;
    }
    bytes += files[i].bytes;
  }
  ends.push_back(files.size());
  return ends;
}

// Of the file's own metadata comments stay, and what the type was where the rows were exported
// from: a database that they are loaded into may know it.
std::shared_ptr<arrow::Field> CleanField(const arrow::Field& field, const char* source_type) {
  auto type = PlainType(field.type());
  std::vector<std::string> keys = {kSourceTypeKey};
  std::vector<std::string> values = {source_type != nullptr ? source_type
                                                            : TypeName(*field.type())};
  if (field.HasMetadata()) {
    if (const auto known = field.metadata()->Get(kSourceTypeKey); known.ok()) values[0] = *known;
    const auto comment = field.metadata()->Get(kCommentKey);
    if (comment.ok()) {
      keys.emplace_back(kCommentKey);
      values.push_back(*comment);
    }
  }
  return arrow::field(field.name(), std::move(type), field.nullable(),
                      arrow::key_value_metadata(std::move(keys), std::move(values)));
}

// Schema and rows of formats that say themselves what they hold.
struct Description {
  std::shared_ptr<arrow::Schema> schema;
  std::string layout;
  int64_t rows = -1;
  std::map<std::string, std::string> found;  // TextFacts::found
  // Arrow memory for a byte of the files: of each column, and of what comes with any column.
  std::map<std::string, double> column_memory;
  double common_memory = 0;
};

// Text bytes for a byte of the file, from its begin.
Result<double> PackingOf(const DataFile& file) {
  if (file.codec == FileCodec::kNone) return 1.0;
  std::shared_ptr<int64_t> stored;
  ARROW_ASSIGN_OR_RAISE(auto stream, OpenStored(file, &stored));
  std::string buffer(kPackingProbeBytes, '\0');
  int64_t text = 0;
  while (text < kPackingProbeBytes) {
    ARROW_ASSIGN_OR_RAISE(const int64_t read, stream->Read(kPackingProbeBytes, buffer.data()));
    if (read == 0) break;
    text += read;
  }
  return static_cast<double>(text) / static_cast<double>(std::max<int64_t>(1, *stored));
}

// Of the sampled files together; a file that cannot be unpacked is told when it is read.
double PackingOf(const std::vector<const DataFile*>& sample) {
  double bytes = 0, text = 0;
  for (const DataFile* file : sample) {
    bytes += static_cast<double>(file->bytes);
    text += static_cast<double>(file->bytes) * PackingOf(*file).ValueOr(1);
  }
  return bytes > 0 ? text / bytes : 1;
}

Result<Description> DescribeBinary(const FileList& list, const Options& options) {
  const auto sample = SampleOf(list.files, options.GetInt("sample_files"));
  std::vector<std::pair<const DataFile*, std::shared_ptr<arrow::Schema>>> schemas;
  int64_t rows = 0, bytes = 0, total = 0;
  Description description;
  for (const DataFile* file : sample) {
    ARROW_ASSIGN_OR_RAISE(auto facts, list.format == FileFormat::kParquet ? DescribeParquet(*file)
                                                                          : DescribeArrow(*file));
    arrow::FieldVector fields;
    for (const auto& field : facts.schema->fields()) fields.push_back(CleanField(*field, nullptr));
    schemas.emplace_back(file, arrow::schema(std::move(fields)));
    rows = facts.rows < 0 || rows < 0 ? -1 : rows + facts.rows;
    bytes += file->bytes;
    for (const auto& [name, memory] : facts.column_memory_bytes) {
      description.column_memory[name] += memory;
    }
    description.common_memory += facts.common_memory_bytes;
  }
  const auto sampled = static_cast<double>(std::max<int64_t>(1, bytes));
  for (auto& [name, memory] : description.column_memory) memory /= sampled;
  description.common_memory /= sampled;
  for (const auto& file : list.files) total += file.bytes;
  if (rows >= 0) {
    description.rows =
        bytes == total
            ? rows
            : static_cast<int64_t>(static_cast<double>(rows) * static_cast<double>(total) /
                                   static_cast<double>(std::max<int64_t>(1, bytes)));
  }
  ARROW_ASSIGN_OR_RAISE(description.schema,
                        CommonSchema(schemas, options.GetString("missing_columns") == "null"));
  return description;
}

Result<Description> Describe(const FileList& list, const Options& options,
                             const GivenTypes& given) {
  if (list.format == FileFormat::kParquet || list.format == FileFormat::kArrow) {
    return DescribeBinary(list, options);
  }
  const auto sample = SampleOf(list.files, options.GetInt("sample_files"));
  ARROW_ASSIGN_OR_RAISE(const auto text, list.format == FileFormat::kCsv
                                             ? DescribeCsv(sample, options, given)
                                             : DescribeJson(sample, options, given));
  Description description;
  description.found = text.found;
  arrow::FieldVector fields;
  const char* source_type = list.format == FileFormat::kCsv ? "text" : nullptr;
  for (const auto& field : text.schema->fields()) fields.push_back(CleanField(*field, source_type));
  description.schema = arrow::schema(std::move(fields));
  description.layout = text.layout;
  if (text.row_bytes > 0) {
    double total = 0;
    for (const auto& file : list.files) total += static_cast<double>(file.bytes);
    const double rows_of_byte = PackingOf(sample) / text.row_bytes;
    description.rows = static_cast<int64_t>(total * rows_of_byte);
    for (const auto& [name, memory] : text.column_memory_bytes) {
      description.column_memory[name] = memory * rows_of_byte;
    }
  }
  return description;
}

// All rows of the columns that are read.
int64_t MemoryBytes(const Description& description, const ReadPlan& plan, const Dataset& dataset) {
  double of_byte = description.common_memory;
  for (const auto& field : plan.file_schema->fields()) {
    const auto found = description.column_memory.find(field->name());
    if (found != description.column_memory.end()) of_byte += found->second;
  }
  double bytes = of_byte * static_cast<double>(dataset.estimated_bytes);
  for (const auto& field : plan.read_schema->fields()) {
    if (plan.file_schema->GetFieldIndex(field->name()) >= 0) continue;
    bytes += RowMemoryBytes(*field->type(), kFolderTextBytes) *
             static_cast<double>(std::max<int64_t>(0, dataset.estimated_rows));
  }
  return static_cast<int64_t>(bytes);
}

// The folders' column as the type that is given for it, where every value is one of it.
bool GiveType(const std::vector<DataFile>& files, const std::shared_ptr<arrow::DataType>& type,
              std::shared_ptr<arrow::Field>* folder) {
  if (type == nullptr) return false;
  const auto given = (*folder)->WithType(type);
  for (const auto& file : files) {
    if (!PartitionValue(file, *given).ok()) return false;
  }
  *folder = given;
  return true;
}

// kUser for a folder's value that is none of the numbers or dates that `cast` makes of its column.
// It is the value of every row of the files in the folder: there is no row to put aside.
Status CheckFolderCast(const std::vector<DataFile>& files, const arrow::Field& folder,
                       const Options& options) {
  const std::string name = NewNames(options).Of(folder.name());
  for (const auto& [column, type_name] : options.GetPairs("cast")) {
    if (column != name) continue;
    const auto type = ParseTypeName(type_name);
    if (!type.ok()) continue;  // which the transform says
    const auto id = (*type)->id();
    if (!arrow::is_integer(id) && !arrow::is_floating(id) && id != arrow::Type::DATE32) continue;
    for (const auto& file : files) {
      if (PartitionValue(file, *folder.WithType(*type)).ok()) continue;
      return UserError(
          fmt::format(
              "{}: '{}', which its folder's name gives '{}', is no {} (cast: {}). cast: {}: "
              "string takes such names as text; name files in other folders apart",
              file.path, *PartitionText(file, folder.name()), folder.name(), type_name, column,
              column),
          "bad_value");
    }
  }
  return Status::OK();
}

std::shared_ptr<arrow::Schema> WithFound(const arrow::Schema& schema,
                                         const std::map<std::string, std::string>& found) {
  arrow::FieldVector fields;
  for (const auto& field : schema.fields()) {
    const auto own = found.find(field->name());
    fields.push_back(own == found.end() ? field : WithFinding(*field, own->second));
  }
  return arrow::schema(std::move(fields));
}

}  // namespace

double RowMemoryBytes(const arrow::DataType& type, double text_bytes) {
  constexpr double kValidity = 1.0 / 8;
  const int bits = type.bit_width();  // -1: not of one width
  return kValidity + (bits > 0 ? bits / 8.0 : sizeof(int32_t) + text_bytes);
}

Result<arrow::FieldVector> PartitionFields(const std::vector<DataFile>& files) {
  std::vector<std::string> keys;
  for (const auto& file : files) {
    for (const auto& [key, value] : file.partitions) {
      if (std::find(keys.begin(), keys.end(), key) == keys.end()) keys.push_back(key);
    }
  }
  arrow::FieldVector fields;
  for (const auto& key : keys) {
    bool integers = true, dates = true, nulls = false, any = false;
    for (const auto& file : files) {
      const std::string* text = PartitionText(file, key);
      if (text == nullptr) {
        nulls = true;
        continue;
      }
      any = true;
      integers = integers && IsPlainInteger(*text);
      dates = dates && IsDate(*text);
    }
    const auto type = !any       ? arrow::utf8()
                      : integers ? arrow::int64()
                      : dates    ? arrow::date32()
                                 : arrow::utf8();
    fields.push_back(
        arrow::field(key, type, nulls, arrow::key_value_metadata({kSourceTypeKey}, {"folder"})));
  }
  return fields;
}

Result<std::shared_ptr<arrow::Scalar>> PartitionValue(const DataFile& file,
                                                      const arrow::Field& field) {
  const std::string* text = PartitionText(file, field.name());
  if (text == nullptr) return arrow::MakeNullScalar(field.type());
  if (field.type()->id() == arrow::Type::STRING) return arrow::MakeScalar(*text);
  return arrow::Scalar::Parse(field.type(), *text);
}

Result<std::shared_ptr<arrow::Schema>> CommonSchema(
    const std::vector<std::pair<const DataFile*, std::shared_ptr<arrow::Schema>>>& schemas,
    bool missing_as_null) {
  arrow::FieldVector fields;
  std::vector<size_t> seen;
  for (const auto& [file, schema] : schemas) {
    for (const auto& [key, value] : file->partitions) {
      if (schema->GetFieldIndex(key) >= 0) return ColumnOfFolder(file->path, key);
    }
    for (const auto& field : schema->fields()) {
      const auto found = std::find_if(fields.begin(), fields.end(), [&](const auto& one) {
        return one->name() == field->name();
      });
      if (found == fields.end()) {
        fields.push_back(field);
        seen.push_back(1);
        continue;
      }
      ++seen[static_cast<size_t>(found - fields.begin())];
      auto options = arrow::Field::MergeOptions::Permissive();
      auto merged = (*found)->MergeWith(*field, options);
      if (!merged.ok()) {
        return UserError(fmt::format("column '{}' is {} in {} and {} in {}: name such files apart",
                                     field->name(), (*found)->type()->ToString(),
                                     schemas[0].first->path, field->type()->ToString(), file->path),
                         "type_conflict");
      }
      *found = *std::move(merged);
    }
  }
  for (size_t i = 0; i < fields.size(); ++i) {
    if (seen[i] == schemas.size()) continue;
    if (!missing_as_null) {
      for (const auto& [file, schema] : schemas) {
        if (schema->GetFieldIndex(fields[i]->name()) >= 0) continue;
        return UserError(fmt::format("{} has no column '{}', which other files of the table have; "
                                     "set missing_columns: null to take NULL for it, or name the "
                                     "tables apart",
                                     file->path, fields[i]->name()),
                         "missing_column");
      }
    }
    fields[i] = fields[i]->WithNullable(true);
  }
  return arrow::schema(std::move(fields));
}

Result<Dataset> DescribeDataset(const DatasetId& id, const std::string& pattern,
                                const Options& options, Contracts* contracts,
                                const ColumnsThere& columns_there) {
  ARROW_ASSIGN_OR_RAISE(auto list, ListFiles(pattern, options.GetString("source_format"),
                                             options.GetBool("hive_partitions")));
  const bool text = list.format == FileFormat::kCsv || list.format == FileFormat::kJson;
  const bool untyped = text || std::any_of(list.files.begin(), list.files.end(),
                                           [](const auto& f) { return !f.partitions.empty(); });
  std::shared_ptr<arrow::Schema> there;
  if (columns_there && untyped) {
    ARROW_ASSIGN_OR_RAISE(there, columns_there(id, options));
  }
  ARROW_ASSIGN_OR_RAISE(const auto given, GivenTypes::Make(options, id, contracts, there.get()));
  ARROW_ASSIGN_OR_RAISE(auto description, Describe(list, options, given));
  TableState state;
  state.format = list.format;
  state.layout = std::move(description.layout);
  arrow::FieldVector fields = description.schema->fields();
  ARROW_ASSIGN_OR_RAISE(auto folders, PartitionFields(list.files));
  for (auto& folder : folders) {
    if (description.schema->GetFieldIndex(folder->name()) >= 0) {
      return ColumnOfFolder(pattern, folder->name());
    }
    ARROW_RETURN_NOT_OK(CheckFolderCast(list.files, *folder, options));
    if (GiveType(list.files, given.Of(folder->name()), &folder)) continue;
    const bool seen = std::any_of(list.files.begin(), list.files.end(), [&](const auto& file) {
      return PartitionText(file, folder->name()) != nullptr;
    });
    description.found[folder->name()] = seen ? "" : kNothingSeen;
  }
  state.file_columns = static_cast<int>(fields.size());
  fields.insert(fields.end(), folders.begin(), folders.end());
  if (fields.empty()) {
    return UserError(pattern + ": no row that was looked at has a column: there is nothing to copy",
                     "no_columns");
  }
  state.full_schema = arrow::schema(std::move(fields));
  Dataset dataset;
  dataset.id = id;
  dataset.kind =
      fmt::format("{} file{}", FileFormatName(list.format), list.files.size() == 1 ? "" : "s");
  dataset.estimated_rows = description.rows;
  dataset.estimated_bytes = 0;
  for (const auto& file : list.files) dataset.estimated_bytes += file.bytes;
  ARROW_ASSIGN_OR_RAISE(auto plan, ReadPlan::Make(state, options));
  dataset.estimated_memory_bytes = MemoryBytes(description, *plan, dataset);
  state.group_ends = GroupEnds(
      list.files, UnitBytesOf(dataset, options.GetBytes("unit_bytes"), options.GetInt("units_max")),
      options);
  state.files = std::move(list.files);
  dataset.source_state = state.ToJson();
  dataset.schema = WithFound(*plan->schema, description.found);
  dataset.options = options;
  const bool casts = !options.GetPairs("cast").empty();
  dataset.refuses_rows = (text || casts) && RefusedMax(options) >= 0;
  return dataset;
}

}  // namespace bulkhaul::files
