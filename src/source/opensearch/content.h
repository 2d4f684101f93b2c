// By what the rows of a unit are told apart, and how they are seen to change: for the cache.
//
// Every write gives the document a _seq_no that is higher than all before it in its shard, also an
// update and what replaces a document; a delete takes its document's away. So the documents of a
// query are the same as long as, in each shard, their number, their highest _seq_no and the sum of
// all are. (Number and highest alone would do but for two writes at the same time, of which a
// search may see the later one first.) The sum is a double on the server: exact up to 2^53, and
// what it loses above that shows changes no less. Tried on OpenSearch 3.6.0 and 2.19.6 and
// Elasticsearch 8.19.21: the aggregations max and sum work on _seq_no, under a query, for a single
// shard through the preference in the head of an _msearch, and count root documents only; an
// update, a delete, a document that left the query show after the next refresh, as in a search for
// the documents; a force merge changes nothing.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/error.h"
#include "source/opensearch/table_state.h"
#include "source/opensearch/unit_token.h"
#include "source/source.h"

namespace bulkhaul::opensearch {

// Why the same query may find other documents in the same index at another time ("now", scripts,
// look-ups in other indices, clauses that this program does not know); "" when it cannot. Pure.
std::string WhyNotRepeatable(std::string_view query);

// A unit of `index`: one of the parts of its time, in all shards (-1) or one.
struct UnitPlace {
  size_t part = 0;
  int shard = -1;
  int slices = 0;        // above 0: one of the server's own slices, which cannot be looked at
  int64_t slice_ms = 0;  // cut at multiples of this; 0: anywhere
};
// The query of the token's content is the same for every job that takes the same documents: bounds
// beyond the first and last time of the index do not count, and with fixed slices a bound is that
// of its slice. Empty where the index has no identity. Pure.
ContentToken DescribeContent(const TableState& state, const PlannedIndex& index,
                             std::span<const TimePart> parts, const UnitPlace& place);

// Body of an _msearch of the token's index that looks at the unit's documents, shard by shard. The
// index is not in it: a server may want it in the path alone.
std::string ContentRequest(const UnitToken& token);
// Its answer. kTransient when a part of the data is missing.
Result<UnitContent> ReadContent(std::string_view answer, const UnitToken& token);

}  // namespace bulkhaul::opensearch
