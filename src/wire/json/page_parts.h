// The parts of a search answer beside its hits. Internal to wire/json.
#pragma once

#include <string_view>

#include "base/error.h"
#include "wire/json/json_tokens.h"
#include "wire/json/search_page.h"

namespace bulkhaul::search {

Status NotASearchAnswer(const std::string& why);
// Behind the '[' of hits.hits; npos where the answer is not one whose hits can be walked one by
// one. `index` is for scratch.
size_t FindHits(std::string_view page, TokenIndex* index);
// The member `key` of the answer, at whose value the cursor stands; one that says nothing to us is
// gone past. An "error" is the error that it says.
Status DecodePagePart(std::string_view key, TokenCursor* cursor, PageSummary* summary);
// hits.total: an object since version 7, a number before and with rest_total_hits_as_int.
Status DecodeTotal(TokenCursor* cursor, PageSummary* summary);

}  // namespace bulkhaul::search
