#include "source/postgres/table_state.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "client/postgres/sql_text.h"

namespace bulkhaul::postgres {
namespace {

using nlohmann::json;

Status Damaged(const char* what, const std::exception& error) {
  return PermanentError(fmt::format("damaged {} state: {}", what, error.what()));
}

json RelationToJson(const Relation& relation) {
  // A list, not an object: plans of partitioned tables hold thousands of them.
  return json::array({relation.oid, relation.schema, relation.name, std::string(1, relation.kind),
                      relation.heap, relation.readable, relation.pages, relation.bytes,
                      relation.rows});
}

Relation RelationFromJson(const json& node) {
  return {.oid = node.at(0),
          .schema = node.at(1),
          .name = node.at(2),
          .kind = node.at(3).get_ref<const std::string&>().at(0),
          .heap = node.at(4),
          .readable = node.at(5),
          .pages = node.at(6),
          .bytes = node.at(7),
          .rows = node.at(8)};
}

}  // namespace

std::string TableState::ToJson() const {
  json node = {{"oid", oid},
               {"kind", std::string(1, kind)},
               {"relations", json::array()},
               {"columns", json::parse(pg::ColumnSpecsToJson(columns))},
               {"server_version", server_version},
               {"money_scale", money_scale},
               {"block_bytes", block_bytes}};
  for (const auto& relation : relations) node["relations"].push_back(RelationToJson(relation));
  if (!query.empty()) node["query"] = query;
  if (!indexed.empty()) node["indexed"] = indexed;
  if (!fingerprint.empty()) node["fingerprint"] = fingerprint;
  for (const auto& [name, flag] : {std::pair("denied", denied),
                                   {"column_grants", column_grants},
                                   {"row_security", row_security},
                                   {"children", children},
                                   {"raw_encoding", raw_encoding}}) {
    if (flag) node[name] = true;
  }
  return node.dump();
}

Result<TableState> TableState::FromJson(std::string_view text) {
  try {
    const json node = json::parse(text);
    TableState state;
    state.oid = node.at("oid");
    state.kind = node.at("kind").get_ref<const std::string&>().at(0);
    for (const auto& relation : node.at("relations")) {
      state.relations.push_back(RelationFromJson(relation));
    }
    ARROW_ASSIGN_OR_RAISE(state.columns, pg::ColumnSpecsFromJson(node.at("columns").dump()));
    state.query = node.value("query", "");
    state.indexed = node.value("indexed", std::vector<std::string>());
    state.fingerprint = node.value("fingerprint", "");
    state.denied = node.value("denied", false);
    state.column_grants = node.value("column_grants", false);
    state.row_security = node.value("row_security", false);
    state.children = node.value("children", false);
    state.raw_encoding = node.value("raw_encoding", false);
    state.server_version = node.at("server_version");
    state.money_scale = node.at("money_scale");
    state.block_bytes = node.at("block_bytes");
    if (state.block_bytes <= 0) return PermanentError("damaged table state: block_bytes");
    return state;
  } catch (const std::exception& error) {
    return Damaged("table", error);
  }
}

std::string TableState::QualifiedName() const {
  return relations.empty() ? "" : QuoteQualified(relations[0].schema, relations[0].name);
}

std::string UnitState::ToJson() const {
  json node = {{"m", static_cast<int>(mode)}};
  if (relation >= 0) node["r"] = relation;
  if (!key.empty()) node["k"] = key;
  if (!key_type.empty()) node["t"] = key_type;
  if (modulus != 1) node["h"] = {residue, modulus};
  return node.dump();
}

Result<UnitState> UnitState::FromJson(std::string_view text) {
  try {
    const json node = json::parse(text);
    UnitState state;
    const int mode = node.at("m");
    if (mode < 0 || mode > static_cast<int>(UnitMode::kHash)) {
      return PermanentError("damaged unit state: unknown mode");
    }
    state.mode = static_cast<UnitMode>(mode);
    state.relation = node.value("r", -1);
    state.key = node.value("k", "");
    state.key_type = node.value("t", "");
    if (node.contains("h")) {
      state.residue = node["h"].at(0);
      state.modulus = node["h"].at(1);
    }
    return state;
  } catch (const std::exception& error) {
    return Damaged("unit", error);
  }
}

std::string SnapshotState::ToJson() const {
  return json{{"host", address.host},
              {"hostaddr", address.hostaddr},
              {"port", address.port},
              {"holder_socket", holder_socket}}
      .dump();
}

Result<SnapshotState> SnapshotState::FromJson(std::string_view text) {
  if (text.empty()) return SnapshotState();
  try {
    const json node = json::parse(text);
    SnapshotState state;
    state.address = {node.value("host", ""), node.value("hostaddr", ""), node.value("port", "")};
    state.holder_socket = node.value("holder_socket", "");
    return state;
  } catch (const std::exception& error) {
    return Damaged("snapshot", error);
  }
}

}  // namespace bulkhaul::postgres
