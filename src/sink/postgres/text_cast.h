// Text that the server makes into values of another type: read in one way only, and exactly.
#pragma once

#include <string>

#include "wire/pg_copy/types.h"

namespace bulkhaul::postgres {

// Who wrote the text: a server, of a value of the same type, or anybody.
enum class TextOf { kServer, kAnybody };

// The SQL that makes a `target` of a column of text, or of an array of texts; fits ALTER COLUMN …
// USING when a server wrote the text. Days and times are read in ISO form only: what the server
// makes of others depends on settings and on the clock. What the server would round, cut or wrap is
// an error that names column and value; only real, double precision and what consists of them take
// the nearest value. Pure.
std::string CastTextSql(const std::string& column, const pg::ColumnSpec& target, TextOf writer);

}  // namespace bulkhaul::postgres
