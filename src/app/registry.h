// The only place that names every source and sink.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "duckdb/attachments.h"
#include "plan/job_spec.h"
#include "sink/part_format.h"
#include "sink/sink.h"
#include "source/source.h"

namespace bulkhaul {

// By the URI's scheme or the file's extension: postgres://, sqlite:///path, path.db, generator:.
// The password, if any, is in spec.source_uri. Opens nothing yet.
Result<std::unique_ptr<Source>> MakeSource(const JobSpec& spec, const JobId& job);
// By `format`, else the destination's extension or scheme, else parquet.
Result<std::unique_ptr<Sink>> MakeSink(const JobSpec& spec, const JobId& job);
std::vector<std::string> SourceNames();
std::vector<std::string> SinkNames();
// By the name that an export's metadata gives: "parquet". kUser for another one.
Result<std::unique_ptr<PartFormat>> MakePartFormat(std::string_view name);

// Files that are one table, so that a table's name cannot choose among them: a file or a glob.
bool IsOneTableOfFiles(const std::string& source_uri);
// Whether its name ends like that of a file of rows: ".csv", ".parquet.gz", ….
bool IsNamedLikeAFile(const std::string& path);
// What the name of a file that is to be written says: of ".csv.gz", csv and gzip.
struct FileNaming {
  std::string format;
  std::string compression = "";  // "": the name does not say
  std::string delimiter = "";    // the same
};
// nullopt where no sink writes such a file.
std::optional<FileNaming> NamingOfFile(std::string_view path);
// The endings that NamingOfFile() knows, for messages.
std::string WritableEndings();
// Whether MakeSource() makes a source of files.
bool IsFilesSource(const JobSpec& spec);
// The files that such a job reads, by table. Looks for them, not into them.
Result<std::vector<duckdb::FileTable>> FileTablesOf(const JobSpec& spec);
// postgres://… or libpq's host=… form.
bool IsPostgres(const std::string& uri);

// Child processes that sources start from this same program, by a verb that no help shows. Gives
// the exit code, or nullopt when `verb` is not one of them. Called before threads are started.
std::optional<int> RunChildVerb(std::string_view verb);

}  // namespace bulkhaul
