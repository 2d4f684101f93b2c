// A look at a table's b-tree pages in the database file, to estimate its size and to find even
// rowid bounds with a few page reads, however sparse the rowids are.
//
// What is found is only a hint: in WAL mode the file may be older than the view that is read. Units
// made from any bounds cover every row once.
// Format: https://www.sqlite.org/fileformat2.html#b_tree_pages
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "source/sqlite/connection.h"

namespace bulkhaul {

struct BtreeEstimate {
  int64_t rows = 0;
  int64_t bytes = 0;  // of its pages, overflow pages included
};

// nullopt when the file has no such b-tree (yet).
std::optional<BtreeEstimate> EstimateBtree(const Connection& connection, int64_t root_page);

// Rowids that cut the table into about equal numbers of leaf pages, ascending, each the first of a
// piece. Finer than `wanted` pieces where the tree is: the caller picks. Empty when there are none.
std::vector<int64_t> RowidBounds(const Connection& connection, int64_t root_page, int64_t wanted);

}  // namespace bulkhaul
