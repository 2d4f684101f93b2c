// What a unit reads, as JSON in WorkUnit::source_state: what planning writes and the session reads.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace bulkhaul::opensearch {

// What tells the unit's rows apart from all others (UnitContent). Without an address they are not
// kept.
struct ContentToken {
  std::string address;  // a hash
  std::string query;    // query DSL of the same documents; "": match_all
  int shards = 1;       // of the index
  int64_t ends_ms = -1;
  std::string label;   // for people
  std::string reason;  // why there is no address
  bool operator==(const ContentToken&) const = default;
};

// {"index","uuid","shards","routing","query","slice":{"field","id","max"},"expected","doc_bytes",
// "page_max"}; members with their default are left out.
struct UnitToken {
  std::string index;  // one concrete index (the backing index of a data stream, never an alias)
  // The index's uuid when it was planned: an index of the same name with another uuid is not the
  // one that was asked for. "": not checked.
  std::string uuid;
  std::vector<int> shards;  // preference=_shards:…; empty: all
  std::string routing;      // "routing" parameter of an alias; "": none
  std::string query;        // query DSL, a JSON object as text; "": match_all
  std::string slice_field;  // "": the server's own slicing
  int slice_id = 0;
  int slice_max = 0;               // 0: not sliced
  int64_t expected = -1;           // documents that a count said, for page sizes only; -1: unknown
  int64_t document_bytes = 0;      // mean size of a document's JSON, an estimate; 0: unknown
  int64_t page_documents_max = 0;  // that the index allows; 0: any number
  ContentToken content;
  bool operator==(const UnitToken&) const = default;

  std::string ToJson() const;
  static Result<UnitToken> FromJson(std::string_view json);
};

}  // namespace bulkhaul::opensearch
