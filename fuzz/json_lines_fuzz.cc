// Any bytes as JSON lines: an error that names the file or valid Arrow data, and the same rows when
// the file is read in two parts, or each line as a file of its own.
//
// Input: one byte of options, one byte that says where the file is cut, then the text.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <arrow/api.h>
#include <sys/mman.h>
#include <unistd.h>

#include "die.h"
#include "source/files/given_types.h"
#include "source/files/json_files.h"

namespace {

using namespace bulkhaul;
using namespace bulkhaul::files;

// A file in memory with another text each time.
class TextFile {
 public:
  TextFile() : file_(memfd_create("json", 0)) {
    if (file_ < 0) Die("no file in memory");
    data.path = "/proc/self/fd/" + std::to_string(file_);
  }
  const DataFile& With(std::string_view text) {
    data.bytes = static_cast<int64_t>(text.size());
    if (ftruncate(file_, 0) != 0 ||
        pwrite(file_, text.data(), text.size(), 0) != static_cast<ssize_t>(text.size())) {
      Die("the file in memory is full");
    }
    return data;
  }
  DataFile data;

 private:
  const int file_;
};

Options PickOptions(uint8_t choice) {
  Options options;
  const auto set = [&](const char* name, const char* text) {
    if (!options.SetFromText(name, text).ok()) Die(std::string("no option ") + name);
  };
  set("source_encoding", "utf-8");
  if (choice & 1) set("sample_rows", "2");
  if (choice & 2) set("type_mismatch", "null");
  if (choice & 4) set("invalid_utf8", choice & 8 ? "null" : "replace");
  if (choice & 16) set("cast", "a=string");
  return options;
}

// Appends the rows of a part; false when it cannot be read.
bool Append(const std::shared_ptr<const ReadPlan>& plan, const FilePart& part,
            arrow::RecordBatchVector* batches) {
  UnitContext context;
  context.pool = arrow::default_memory_pool();
  context.batch_rows_max = 3;
  const auto check = [&](const Status& status) {
    if (MessageOf(status).find(part.file->path) == std::string::npos) {
      Die("an error that names no file: " + status.ToString());
    }
    return false;
  };
  const auto reader = OpenJson(plan, part, context);
  if (!reader.ok()) return check(reader.status());
  for (;;) {
    const auto batch = (*reader)->Next();
    if (!batch.ok()) return check(batch.status());
    if (*batch == nullptr) return true;
    const Status valid = (*batch)->ValidateFull();
    if (!valid.ok()) Die("invalid batch: " + valid.ToString());
    batches->push_back(*batch);
  }
}

void Compare(const std::shared_ptr<arrow::Schema>& schema, const arrow::RecordBatchVector& one,
             const arrow::RecordBatchVector& other, const char* what) {
  const auto first = arrow::Table::FromRecordBatches(schema, one).ValueOrDie();
  const auto second = arrow::Table::FromRecordBatches(schema, other).ValueOrDie();
  if (!first->Equals(*second, arrow::EqualOptions::Defaults().nans_equal(true))) {
    Die(what + std::string("\n") + first->ToString() + "\n" + second->ToString());
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 3) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 2, size - 2);
  static TextFile whole_file, line_file;
  const DataFile& file = whole_file.With(text);
  const Options options = PickOptions(data[0]);
  const auto facts = DescribeJson({&file}, options, GivenTypes());
  if (!facts.ok()) {
    if (!MessageOf(facts.status()).starts_with(file.path)) Die(facts.status().ToString());
    return 0;
  }
  TableState state;
  state.format = FileFormat::kJson;
  state.full_schema = facts->schema;
  state.file_columns = facts->schema->num_fields();
  state.files = {file};
  state.group_ends = {1};
  state.layout = facts->layout;
  const auto plan = ReadPlan::Make(std::move(state), options);
  if (!plan.ok()) return 0;
  const auto& schema = (*plan)->file_schema;

  arrow::RecordBatchVector whole;
  const bool read = Append(*plan, {&file, 0, -1, 1}, &whole);

  const auto cuts = FindJsonCuts(
      facts->layout, file, {static_cast<int64_t>(data[1] * text.size() / 256)}, std::stop_token());
  if (!cuts.ok()) Die("no cuts: " + cuts.status().ToString());
  if (!cuts->empty()) {
    const TextCut cut = cuts->front();
    arrow::RecordBatchVector parts;
    const bool both = Append(*plan, {&file, 0, cut.offset, 1}, &parts) &&
                      Append(*plan, {&file, cut.offset, -1, cut.line}, &parts);
    if (both != read) Die(read ? "it cannot be read in parts" : "only its parts can be read");
    if (read) Compare(schema, whole, parts, "other rows in two parts");
  }

  arrow::RecordBatchVector lines;
  bool each = true;
  for (size_t begin = 0; each && begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size() - 1) + 1;
    each = Append(*plan, {&line_file.With(text.substr(begin, end - begin)), 0, -1, 1}, &lines);
    begin = end;
  }
  if (each != read) Die(read ? "its lines cannot be read" : "only its lines can be read");
  if (read) Compare(schema, whole, lines, "other rows line by line");
  return 0;
}
