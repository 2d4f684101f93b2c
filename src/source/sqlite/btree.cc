#include "source/sqlite/btree.h"

#include <algorithm>

namespace bulkhaul {
namespace {

constexpr uint8_t kInteriorIndex = 2, kInteriorTable = 5, kLeafIndex = 10, kLeafTable = 13;
constexpr int64_t kFileHeaderBytes = 100;
constexpr int kDepthMax = 24;
constexpr size_t kSampledPagesMax = 8;
constexpr size_t kPagesReadMax = 20'000;
// Pieces a wanted unit, so that units of whole pieces are even.
constexpr int64_t kPiecesPerUnit = 8;

struct Page {
  uint8_t type = 0;
  std::vector<int64_t> children;  // of interior pages, in order
  std::vector<int64_t> keys;      // of interior table pages: the largest rowid below children[i]
  int64_t cells = 0;
  int64_t overflow_bytes = 0;  // of leaf table pages
  bool leaf() const { return type == kLeafIndex || type == kLeafTable; }
};

// Up to nine bytes, high bits first, seven bits each but for the last, which has eight.
std::optional<int64_t> ReadVarint(const std::vector<uint8_t>& bytes, size_t* at) {
  uint64_t value = 0;
  for (int i = 0; i < 9; ++i) {
    if (*at >= bytes.size()) return std::nullopt;
    const uint8_t byte = bytes[(*at)++];
    if (i == 8) return static_cast<int64_t>((value << 8) | byte);
    value = (value << 7) | (byte & 0x7f);
    if ((byte & 0x80) == 0) return static_cast<int64_t>(value);
  }
  return std::nullopt;
}

class PageFile {
 public:
  explicit PageFile(const Connection& connection) : connection_(connection) {
    uint8_t header[kFileHeaderBytes];
    if (!connection_.ReadFile(0, kFileHeaderBytes, header)) return;
    page_bytes_ = header[16] << 8 | header[17];
    if (page_bytes_ == 1) page_bytes_ = 65536;
    reserved_bytes_ = header[20];
    bytes_.resize(static_cast<size_t>(page_bytes_));
  }
  int64_t page_bytes() const { return page_bytes_; }

  std::optional<Page> Read(int64_t number) {
    if (page_bytes_ < 512 || number < 1) return std::nullopt;
    if (!connection_.ReadFile((number - 1) * page_bytes_, page_bytes_, bytes_.data())) {
      return std::nullopt;
    }
    const size_t header = number == 1 ? kFileHeaderBytes : 0;
    Page page;
    page.type = bytes_[header];
    page.cells = Short(header + 3);
    const bool interior = page.type == kInteriorIndex || page.type == kInteriorTable;
    if (!interior && !page.leaf()) return std::nullopt;
    const size_t pointers = header + (interior ? 12 : 8);
    if (pointers + static_cast<size_t>(page.cells) * 2 > bytes_.size()) return std::nullopt;
    for (int64_t i = 0; i < page.cells; ++i) {
      size_t at = Short(pointers + static_cast<size_t>(i) * 2);
      if (!ReadCell(at, &page)) return std::nullopt;
    }
    if (interior) page.children.push_back(Long(header + 8));
    return page;
  }

 private:
  uint16_t Short(size_t at) const {
    return static_cast<uint16_t>(bytes_[at] << 8 | bytes_[at + 1]);
  }
  int64_t Long(size_t at) const { return static_cast<int64_t>(Short(at)) << 16 | Short(at + 2); }

  bool ReadCell(size_t at, Page* page) {
    if (page->type == kLeafIndex) return true;
    if (page->type == kLeafTable) {
      const auto payload = ReadVarint(bytes_, &at);
      if (!payload) return false;
      if (*payload > page_bytes_ - reserved_bytes_ - 35) page->overflow_bytes += *payload;
      return true;
    }
    if (at + 4 > bytes_.size()) return false;
    page->children.push_back(Long(at));
    if (page->type == kInteriorIndex) return true;
    at += 4;
    const auto key = ReadVarint(bytes_, &at);
    if (!key) return false;
    page->keys.push_back(*key);
    return true;
  }

  const Connection& connection_;
  int64_t page_bytes_ = 0, reserved_bytes_ = 0;
  std::vector<uint8_t> bytes_;
};

// Up to kSampledPagesMax of them, evenly spread.
std::vector<int64_t> Sampled(const std::vector<int64_t>& pages) {
  if (pages.size() <= kSampledPagesMax) return pages;
  std::vector<int64_t> sample;
  for (size_t i = 0; i < kSampledPagesMax; ++i) {
    sample.push_back(pages[i * (pages.size() - 1) / (kSampledPagesMax - 1)]);
  }
  return sample;
}

}  // namespace

std::optional<BtreeEstimate> EstimateBtree(const Connection& connection, int64_t root_page) {
  PageFile file(connection);
  double pages_of_level = 1, pages = 0, inner_cells = 0;
  std::vector<int64_t> level = {root_page};
  for (int depth = 0; depth < kDepthMax; ++depth) {
    std::vector<int64_t> below;
    double cells = 0, overflow = 0, read = 0;
    uint8_t type = 0;
    for (const int64_t number : Sampled(level)) {
      const auto page = file.Read(number);
      if (!page) return std::nullopt;
      type = page->type;
      ++read;
      cells += static_cast<double>(page->cells);
      overflow += static_cast<double>(page->overflow_bytes);
      below.insert(below.end(), page->children.begin(), page->children.end());
    }
    pages += pages_of_level;
    const double share = pages_of_level / read;
    if (type == kLeafIndex || type == kLeafTable) {
      return BtreeEstimate{
          static_cast<int64_t>(cells * share + inner_cells),
          static_cast<int64_t>(pages * static_cast<double>(file.page_bytes()) + overflow * share)};
    }
    if (type == kInteriorIndex) inner_cells += cells * share;
    pages_of_level = static_cast<double>(below.size()) * share;
    level = std::move(below);
  }
  return std::nullopt;
}

std::vector<int64_t> RowidBounds(const Connection& connection, int64_t root_page, int64_t wanted) {
  PageFile file(connection);
  // The pieces of the table in order: a page, and the largest rowid below it but for the last.
  std::vector<int64_t> pages = {root_page}, keys;
  size_t pages_read = 0;
  for (int depth = 0; depth < kDepthMax; ++depth) {
    if (static_cast<int64_t>(pages.size()) >= wanted * kPiecesPerUnit) break;
    if (pages_read + pages.size() > kPagesReadMax) break;
    std::vector<int64_t> finer_pages, finer_keys;
    bool leaves = false;
    for (size_t i = 0; i < pages.size() && !leaves; ++i) {
      const auto page = file.Read(pages[i]);
      ++pages_read;
      if (!page || (page->type != kInteriorTable && page->type != kLeafTable)) return {};
      leaves = page->leaf();
      finer_pages.insert(finer_pages.end(), page->children.begin(), page->children.end());
      finer_keys.insert(finer_keys.end(), page->keys.begin(), page->keys.end());
      if (i < keys.size()) finer_keys.push_back(keys[i]);
    }
    if (leaves) break;
    pages = std::move(finer_pages);
    keys = std::move(finer_keys);
  }
  for (auto& key : keys) {
    if (key < INT64_MAX) ++key;
  }
  // A page that was changed while it was read must not make ranges that overlap.
  std::sort(keys.begin(), keys.end());
  keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
  return keys;
}

}  // namespace bulkhaul
