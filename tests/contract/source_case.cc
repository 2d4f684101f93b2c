#include "source_case.h"

#include <fstream>
#include <stdexcept>

#include <arrow/api.h>
#include <arrow/io/file.h>
#include <arrow/ipc/writer.h>
#include <parquet/arrow/writer.h>
#include <sqlite3.h>

#include <fmt/format.h>

#include "source/files/files_source.h"
#include "source/generator/generator_source.h"
#include "source/opensearch/http_client.h"
#include "source/opensearch/opensearch_source.h"
#include "source/postgres/postgres_source.h"
#include "source/sqlite/sqlite_source.h"
#include "tests/support/postgres_server.h"
#include "tests/support/search_server.h"

namespace bulkhaul {
namespace {

const std::vector<std::string> kOddNames = {
    "plain",          "with \"quotes\"", "it's",        "new\nline",
    "🚚 emoji ümlaut", "select",          "a/b",         "../x",
    "dot.dot",        "semi;colon--",    "[brackets]*", "back\\slash",
    "percent%20name"};

std::string Quoted(const std::string& name) {
  std::string quoted = "\"";
  for (const char c : name) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + "\"";
}

JobSpec PrepareSqlite(const std::string& folder, const std::string& table_sql, bool wal) {
  const std::string path = folder + "/source.db";
  sqlite3* database = nullptr;
  if (sqlite3_open(path.c_str(), &database) != SQLITE_OK) throw std::runtime_error("open");
  std::string sql = wal ? "PRAGMA journal_mode = wal;" : "";
  sql += "BEGIN;" + table_sql + "CREATE TABLE empty (id INTEGER PRIMARY KEY, name TEXT);";
  for (const auto& name : kOddNames) {
    sql += "CREATE TABLE " + Quoted(name) + " (" + Quoted(name) + " INTEGER, b TEXT);";
    sql += "INSERT INTO " + Quoted(name) + " VALUES (1, 'x'), (2, NULL), (3, 'z');";
  }
  sql += "COMMIT;";
  char* error = nullptr;
  if (sqlite3_exec(database, sql.c_str(), nullptr, nullptr, &error) != SQLITE_OK) {
    throw std::runtime_error(error);
  }
  sqlite3_close(database);
  JobSpec job;
  job.source_uri = "sqlite://" + path;
  return job;
}

const std::string kRowsSql =
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000) ";

SourceCase Sqlite(const std::string& name, std::string sql, bool wal) {
  SourceCase source;
  source.name = name;
  source.prepare = [sql = std::move(sql), wal](const std::string& folder) {
    return PrepareSqlite(folder, sql, wal);
  };
  source.make = [](const JobSpec& job) { return MakeSqliteSource(job, "contract"); };
  source.table = "things";
  source.rows = 5000;
  source.column = "name";
  source.empty_table = "empty";
  source.odd_names = kOddNames;
  return source;
}

SourceCase Generator() {
  SourceCase source;
  source.name = "generator";
  source.prepare = [](const std::string&) {
    JobSpec job;
    job.source_uri =
        "generator:name=things&rows=5000&seed=7&columns=id:int64/serial,name:string/null=0.1/"
        "unicode,value:double/nan=0.01,price:decimal(12,2),tags:list<string>/null=0.2,at:timestamp";
    return job;
  };
  source.make = [](const JobSpec& job) { return MakeGeneratorSource(job, "contract"); };
  source.table = "things";
  source.rows = 5000;
  source.column = "name";
  return source;
}

// About 40 rows a page, so that units of pages can be small.
const std::string kPostgresColumns =
    ", name text, value float8, data bytea, made timestamptz, padding text";
const std::string kPostgresValues =
    ", CASE WHEN i % 10 > 0 THEN 'name ' || i END, i / 3.0, CASE WHEN i % 7 > 0 THEN "
    "decode(repeat('00', i % 30), 'hex') END, to_timestamp(i * 1000), repeat('x', 150) "
    "FROM generate_series(1, 5000) AS i;";

JobSpec PreparePostgres(const std::string& table_sql, const std::string& split_by) {
  auto& server = test::PostgresServer::Shared();
  const std::string database = server.NewDatabase();
  test::PostgresClient client(server.Uri(database));
  client.Execute(table_sql);
  client.Execute("CREATE TABLE empty (id int PRIMARY KEY, name text)");
  for (const auto& name : kOddNames) {
    client.Execute("CREATE TABLE " + Quoted(name) + " (" + Quoted(name) + " int, b text)");
    client.Execute("INSERT INTO " + Quoted(name) + " VALUES (1, 'x'), (2, NULL), (3, 'z')");
  }
  client.Execute("ANALYZE");
  JobSpec job;
  job.source_uri = server.Uri(database);
  if (!split_by.empty()) {
    if (!job.options.SetFromText("split", "key").ok()) throw std::runtime_error("split");
    if (!job.options.SetFromText("split_by", split_by).ok()) throw std::runtime_error("split_by");
  }
  return job;
}

SourceCase Postgres(const std::string& name, std::string sql, std::string split_by = "") {
  SourceCase source;
  source.name = name;
  const bool by_pages = split_by.empty();
  source.prepare = [sql = std::move(sql), split_by = std::move(split_by)](const std::string&) {
    return PreparePostgres(sql, split_by);
  };
  source.make = [](const JobSpec& job) { return MakePostgresSource(job, "contract"); };
  source.table = "things";
  source.rows = 5000;
  source.column = "name";
  source.empty_table = "empty";
  if (by_pages) source.odd_names = kOddNames;  // they have no such key
  return source;
}

// Names that a file can have.
std::vector<std::string> FileNames() {
  auto names = kOddNames;
  std::erase_if(names, [](const auto& name) { return name.find('/') != std::string::npos; });
  return names;
}

SourceCase Files(const std::string& name, const std::string& extension,
                 std::function<void(const std::string& path, int64_t rows)> write) {
  SourceCase source;
  source.name = name;
  source.prepare = [extension, write = std::move(write)](const std::string& folder) {
    JobSpec job;
    job.source_uri = folder;
    const auto add = [&](const std::string& table, int64_t rows) {
      write(folder + "/" + table + extension, rows);
      job.tables.push_back({table + extension, Options(), true});
    };
    add("things", 5000);
    if (extension != ".jsonl") add("empty", 0);
    for (const auto& odd : FileNames()) add(odd, 3);
    return job;
  };
  source.make = [](const JobSpec& job) { return MakeFilesSource(job, "contract"); };
  source.table = "things";
  source.rows = 5000;
  source.column = "name";
  source.empty_table = "empty";
  source.odd_names = FileNames();
  return source;
}

void WriteCsv(const std::string& path, int64_t rows) {
  std::ofstream out(path, std::ios::binary);
  out << "id,name,value,made\r\n";
  for (int64_t i = 1; i <= rows; ++i) {
    out << i << ',';
    if (i % 10 > 0) out << "\"name, \"\"" << i << "\"\"\nsecond line\"";
    out << ',' << static_cast<double>(i) / 4 << ",2024-01-0" << i % 9 + 1 << "\r\n";
  }
}

void WriteJson(const std::string& path, int64_t rows) {
  std::ofstream out(path, std::ios::binary);
  for (int64_t i = 1; i <= rows; ++i) {
    out << "{\"id\": " << i << ", \"tags\": [" << i % 3 << "]";
    if (i % 10 > 0) out << ", \"name\": \"name \\n " << i << "\"";
    out << ", \"value\": " << static_cast<double>(i) / 4 << "}\n";
  }
}

std::shared_ptr<arrow::RecordBatch> FileRows(int64_t rows) {
  arrow::Int64Builder id;
  arrow::StringBuilder name;
  arrow::DoubleBuilder value;
  for (int64_t i = 1; i <= rows; ++i) {
    if (!id.Append(i).ok() || !value.Append(static_cast<double>(i) / 4).ok() ||
        !(i % 10 > 0 ? name.Append("name " + std::to_string(i)) : name.AppendNull()).ok()) {
      throw std::runtime_error("append");
    }
  }
  return arrow::RecordBatch::Make(
      arrow::schema({arrow::field("id", arrow::int64(), false), arrow::field("name", arrow::utf8()),
                     arrow::field("value", arrow::float64())}),
      rows, {id.Finish().ValueOrDie(), name.Finish().ValueOrDie(), value.Finish().ValueOrDie()});
}

void WriteParquet(const std::string& path, int64_t rows) {
  const auto table = arrow::Table::FromRecordBatches({FileRows(rows)}).ValueOrDie();
  auto out = arrow::io::FileOutputStream::Open(path).ValueOrDie();
  if (!parquet::arrow::WriteTable(*table, arrow::default_memory_pool(), out, /*chunk_size=*/60)
           .ok() ||
      !out->Close().ok()) {
    throw std::runtime_error(path);
  }
}

void WriteArrow(const std::string& path, int64_t rows) {
  const auto batch = FileRows(rows);
  auto out = arrow::io::FileOutputStream::Open(path).ValueOrDie();
  auto writer = arrow::ipc::MakeFileWriter(out, batch->schema()).ValueOrDie();
  for (int64_t row = 0; row < rows; row += 60) {
    if (!writer->WriteRecordBatch(*batch->Slice(row, 60)).ok()) throw std::runtime_error(path);
  }
  if (!writer->Close().ok() || !out->Close().ok()) throw std::runtime_error(path);
}

SourceCase JsonFiles() {
  SourceCase source = Files("files_json", ".jsonl", WriteJson);
  source.empty_table = "";  // a file without rows says nothing of its columns
  return source;
}

// What index names may hold beside letters.
const std::vector<std::string> kOddIndices = {
    "plain", "it's", "🚚emoji-ümlaut", "select", "dot.dot",        "semi;colon--",
    "[b]",   "$(x)", "a&b=c",         "x+y",    "percent%20name", "percent%y"};

void FillIndex(opensearch::HttpClient& client, const std::string& index, int documents) {
  const auto ask = [&](const char* method, const std::string& path, std::string body) {
    const auto answer = client.Request({.method = method, .path = path, .body = std::move(body)});
    if (!answer.ok()) throw std::runtime_error(answer.status().ToString());
  };
  const std::string path = "/" + opensearch::PercentEncode(index);
  ask("PUT", path, R"({"settings":{"number_of_replicas":0},"mappings":{"properties":{
      "@timestamp":{"type":"date"},"id":{"type":"long"},"name":{"type":"keyword"},
      "value":{"type":"double"},"lines":{"type":"nested","properties":{"n":{"type":"long"}}}}}})");
  if (documents == 0) return;
  std::string lines;
  for (int i = 0; i < documents; ++i) {
    lines += "{\"create\":{}}\n" +
             fmt::format(R"({{"@timestamp":{},"id":{}{},"value":{},"lines":[{{"n":{}}}]}})",
                         1'700'000'000'000 + int64_t{i} * 60'000, i,
                         i % 10 > 0 ? fmt::format(",\"name\":\"name {}\"", i) : "", i / 3.0, i) +
             "\n";
  }
  ask("POST", path + "/_bulk?refresh=true", std::move(lines));
}

JobSpec PrepareSearch() {
  const std::string& server = test::SharedSearchServer();
  static const bool filled = [&] {
    opensearch::ConnectionSettings settings;
    settings.hosts = {{"127.0.0.1", std::atoi(server.substr(server.rfind(':') + 1).c_str())}};
    const auto client = opensearch::HttpClient::Make(settings).ValueOrDie();
    FillIndex(*client, "things", 5000);
    FillIndex(*client, "empty", 0);
    for (const auto& name : kOddIndices) FillIndex(*client, name, 3);
    return true;
  }();
  JobSpec job;
  if (filled) job.source_uri = "opensearch" + server.substr(server.find("://"));
  return job;
}

// Without sanitizers: tests/faults reads from nodes with them.
[[maybe_unused]] SourceCase Search() {
  SourceCase source;
  source.name = "opensearch";
  source.prepare = [](const std::string&) { return PrepareSearch(); };
  source.make = [](const JobSpec& job) { return MakeOpenSearchSource(job, "contract"); };
  source.table = "things";
  source.rows = 5000;
  source.column = "name";
  source.empty_table = "empty";
  source.odd_names = kOddIndices;
  return source;
}

SourceCase EmptyGenerator() {
  SourceCase source = Generator();
  source.name = "empty_generator";
  source.prepare = [](const std::string&) {
    JobSpec job;
    job.source_uri = "generator:name=things&rows=0&columns=id:int64,name:string";
    return job;
  };
  source.rows = 0;
  source.empty_table = "things";
  return source;
}

}  // namespace

std::vector<SourceCase> SourceCases() {
  const std::string columns = ", name TEXT, value REAL, data BLOB, made DATETIME";
  const std::string values =
      ", CASE WHEN i % 10 THEN 'name ' || i END, i / 3.0, CASE WHEN i % 7 THEN "
      "zeroblob(i % 30) END, datetime(i * 1000, 'unixepoch') FROM n;";
  return {
    Generator(), EmptyGenerator(), Files("files_csv", ".csv", WriteCsv), JsonFiles(),
        Files("files_parquet", ".parquet", WriteParquet),
        Files("files_arrow", ".arrow", WriteArrow),
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
        Search(),
#endif
        Postgres("postgres_pages", "CREATE TABLE things (id int PRIMARY KEY" + kPostgresColumns +
                                       "); INSERT INTO things SELECT i" + kPostgresValues),
        Postgres("postgres_partitions",
                 "CREATE TABLE things (id int" + kPostgresColumns +
                     ") PARTITION BY RANGE (id); CREATE TABLE low PARTITION OF things FOR VALUES "
                     "FROM (MINVALUE) TO (1700); CREATE TABLE high PARTITION OF things DEFAULT; "
                     "INSERT INTO things SELECT i" +
                     kPostgresValues),
        // A key in clusters, with NULLs and one value that repeats.
        Postgres(
            "postgres_key",
            "CREATE TABLE things (id bigint" + kPostgresColumns +
                "); INSERT INTO things SELECT CASE i % 20 WHEN 0 THEN NULL WHEN 1 THEN 7 WHEN 2 "
                "THEN i "
                "- 9000000000 ELSE i * 1000007::bigint END" +
                kPostgresValues,
            "id"),
        Sqlite("sqlite_rowid",
               "CREATE TABLE things (id INTEGER PRIMARY KEY" + columns + ");" + kRowsSql +
                   "INSERT INTO things SELECT i" + values,
               false),
        Sqlite("sqlite_wal",
               "CREATE TABLE things (id INTEGER PRIMARY KEY" + columns + ");" + kRowsSql +
                   "INSERT INTO things SELECT i" + values,
               true),
        // Three clusters of rowids, one of them negative, with wide gaps between them.
        Sqlite("sqlite_sparse_rowid",
               "CREATE TABLE things (id INTEGER PRIMARY KEY" + columns + ");" + kRowsSql +
                   "INSERT INTO things SELECT CASE i % 3 WHEN 0 THEN i WHEN 1 THEN i - 9000000000 "
                   "ELSE i * 1000000007 END" +
                   values,
               false),
        Sqlite("sqlite_without_rowid",
               "CREATE TABLE things (part INTEGER, key TEXT COLLATE NOCASE" + columns +
                   ", PRIMARY KEY (part, key DESC)) WITHOUT ROWID;" + kRowsSql +
                   "INSERT INTO things SELECT i % 3, 'Key ' || (i * 7919 % 5000)" + values,
               false),
        Sqlite("sqlite_text_key",
               "CREATE TABLE things (key TEXT PRIMARY KEY" + columns + ") WITHOUT ROWID;" +
                   kRowsSql + "INSERT INTO things SELECT hex(i * 7919 % 5000) || x'00' || i" +
                   values,
               false),
  };
}

}  // namespace bulkhaul
