#include "source/opensearch/index_limits.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace bulkhaul::opensearch {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

PlannedIndex IndexWith(std::string name, int64_t documents, int64_t page_documents_max) {
  PlannedIndex index;
  index.index = std::move(name);
  index.documents = documents;
  index.page_documents_max = page_documents_max;
  return index;
}

TEST(PageNotes, SayWherePagesAreSmaller) {
  const std::vector<PlannedIndex> indices = {
      IndexWith("a", 9000, 1000), IndexWith("b", 9000, 100),    IndexWith("c", 9000, 0),
      IndexWith("d", 9000, 1000), IndexWith("e", 9000, 20'000), IndexWith("few", 90, 100)};
  EXPECT_THAT(
      PageNotes(indices, 5000),
      ElementsAre("pages of b have 100 documents at most, not 5,000 (page_documents): the index "
                  "allows no more (index.max_result_window)",
                  "pages of a, d have 1,000 documents at most, not 5,000 (page_documents): each of "
                  "these indices allows no more (index.max_result_window)"));
  EXPECT_THAT(PageNotes(indices, 100), IsEmpty());
}

TEST(CheckDocValueFields, TheFirstIndexThatGivesFewerIsNamed) {
  search::PageLayout layout;
  for (const char* path : {"x", "y", "z"}) {
    search::ColumnSpec column;
    column.path = path;
    column.from_fields = true;
    layout.columns.push_back(std::move(column));
  }
  const std::vector<PlannedIndex> indices = {IndexWith("a", 1, 0), IndexWith("b", 1, 0)};
  std::map<std::string, IndexFacts> facts;
  facts["a"].doc_value_fields_max = 3;
  facts["other"].doc_value_fields_max = 1;
  EXPECT_TRUE(CheckDocValueFields(layout, indices, facts).ok());
  facts["b"].doc_value_fields_max = 2;
  const Status refused = CheckDocValueFields(layout, indices, facts);
  EXPECT_EQ(KindOf(refused), ErrorKind::kUser);
  EXPECT_THAT(MessageOf(refused), testing::HasSubstr("3 fields, and index b gives 2 at most"));
}

}  // namespace
}  // namespace bulkhaul::opensearch
