// The statements that ask PostgreSQL's catalogue, and their answers as plain values.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "source/postgres/connection.h"
#include "source/postgres/table_state.h"

namespace bulkhaul::postgres {

// Settings that hold for one transaction only, so that transaction poolers work: what makes text
// output exact and keeps the server from ending a long read. `raw_encoding`: the database is
// SQL_ASCII. Statements joined by ';', for a transaction that has begun.
std::string TransactionSettings(int server_version, bool raw_encoding);

// All relations that rows can be read from: oid, schema, name, kind, is system, oid of the topmost
// partitioned table or 0, oids of direct inheritance parents.
std::string ListRelationsSql();
// For these oids: each with all that hangs off it. Columns as RelationColumn.
std::string RelationsSql(const std::string& oids);
enum RelationColumn {
  kRoot,
  kOid,
  kSchema,
  kName,
  kKind,
  kTuples,
  kPagesThen,
  kRelationBytes,
  kTableBytes,
  kReadable,
  kRowSecurity,
  kAccessMethod,
  kComment,
  kFingerprint
};
std::string ColumnsSql(const std::string& oids);
enum ColumnColumn {
  kColumnTable,
  kColumnName,
  kColumnType,
  kColumnTypmod,
  kColumnDimensions,
  kColumnNotNull,
  kColumnComment,
  kColumnReadable
};
std::string IndexesSql(const std::string& oids);
enum IndexColumn { kIndexTable, kIndexPrimary, kIndexColumns };
// Types reached from the oids that `seed_sql` (a SELECT of one column of oids) gives.
std::string TypesSql(const std::string& seed_sql, int server_version);
// One row of what is asked once: see ServerFacts.
std::string ServerFactsSql(int server_version);

struct ServerFacts {
  int64_t block_bytes = 8192;
  int32_t money_scale = 2;
  int64_t connections_free = -1;  // for this role and database, reserved slots left out
  int64_t sequences = 0;
  int64_t large_objects = 0;
  bool in_recovery = false;
};
ServerFacts ReadServerFacts(const ResultSet& result);

// '{1,2,3}'::oid[]
std::string OidArray(const std::vector<uint32_t>& oids);

// The closed set of types that TypesSql() gave, put together.
Result<std::map<uint32_t, pg::TypePtr>> BuildTypes(const ResultSet& result);

// md5 over what must not change between planning and reading, as an SQL expression over
// pg_class c: columns by number, name, type.
std::string FingerprintExpression();

}  // namespace bulkhaul::postgres
