// What both the source and the sink ask of a server: types with all they are made of, and facts.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/error.h"
#include "client/postgres/connection.h"
#include "wire/pg_copy/types.h"

namespace bulkhaul::postgres {

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

}  // namespace bulkhaul::postgres
