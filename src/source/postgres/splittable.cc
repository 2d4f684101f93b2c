// Whether a view or query may be cut: its parts are evaluated apart from each other.
#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "client/postgres/sql_text.h"
#include "source/postgres/key_bounds.h"
#include "source/postgres/unit_sql.h"

namespace bulkhaul::postgres {
namespace {

constexpr std::string_view kCheckQuery = "cannot check whether the query may be split";

std::string TextArray(const std::set<std::string>& texts) {
  std::string list;
  for (const auto& text : texts) list += (list.empty() ? "" : ", ") + QuoteLiteral(text);
  return fmt::format("ARRAY[{}]::pg_catalog.text[]", list);
}

Status Refuse(const Dataset& dataset, const std::string& why) {
  return UserError(fmt::format(
      "{} cannot be split: {}; its parts would not fit together. Use split: none for one stream",
      dataset.id.ToString(), why));
}

}  // namespace

Status CheckSplittable(Connection& connection, const Dataset& dataset, const TableState& state,
                       const WaitLimit& limit) {
  if (state.kind == 'q') {
    std::set<std::string> names;
    for (const auto& column : state.columns) {
      if (names.insert(column.name).second) continue;
      return Refuse(dataset, fmt::format("two of its columns are named '{}'", column.name));
    }
  } else if (state.kind != 'v') {
    return Status::OK();
  }
  std::vector<std::string> open = {state.query};
  if (state.kind == 'v') {
    ARROW_ASSIGN_OR_RAISE(
        auto rows,
        connection.QueryOne(
            fmt::format("SELECT pg_catalog.pg_get_viewdef({}::pg_catalog.oid)", state.oid), limit,
            kCheckQuery));
    open = {std::string(rows.text(0, 0))};
  }
  std::set<std::string> seen_views;
  while (!open.empty()) {
    const std::string sql = std::move(open.back());
    open.pop_back();
    std::set<std::string> called, named;
    for (const auto& word : WordsOf(sql)) {
      (word.called ? called : named).insert(word.text);
      if (word.quoted) continue;
      for (const char* clause : {"limit", "offset", "fetch", "tablesample"}) {
        if (word.text == clause) {
          return Refuse(dataset,
                        fmt::format("it has {}, which may choose other rows each time", clause));
        }
      }
    }
    ARROW_ASSIGN_OR_RAISE(
        auto functions,
        connection.QueryOne(
            fmt::format("SELECT p.proname FROM pg_catalog.pg_proc p WHERE p.proname = ANY ({}) AND "
                        "p.provolatile = 'v' ORDER BY 1 LIMIT 1",
                        TextArray(called)),
            limit, kCheckQuery));
    if (functions.rows() > 0) {
      return Refuse(dataset,
                    fmt::format("it calls the volatile function {}()", functions.text(0, 0)));
    }
    ARROW_ASSIGN_OR_RAISE(
        auto views, connection.QueryOne(
                        fmt::format("SELECT c.oid, pg_catalog.pg_get_viewdef(c.oid) FROM "
                                    "pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid "
                                    "= c.relnamespace WHERE c.relkind = 'v' AND n.nspname NOT IN "
                                    "('pg_catalog', 'information_schema') AND c.relname = ANY ({})",
                                    TextArray(named)),
                        limit, kCheckQuery));
    for (int i = 0; i < views.rows(); ++i) {
      if (seen_views.insert(std::string(views.text(i, 0))).second) {
        open.emplace_back(views.text(i, 1));
      }
    }
  }
  return Status::OK();
}

}  // namespace bulkhaul::postgres
