#include "wire/json/search_page.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <utility>

#include <arrow/array.h>
#include <arrow/array/array_nested.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "wire/json/column_table.h"
#include "wire/json/document_scan.h"
#include "wire/json/field_tree.h"
#include "wire/json/json_scan.h"
#include "wire/json/json_tokens.h"
#include "wire/json/page_parts.h"
#include "wire/json/value_decoder.h"

namespace bulkhaul::search {

class SearchPageDecoder::Impl {
 public:
  Impl(PageLayout layout, arrow::MemoryPool* pool)
      : layout_(std::move(layout)), pool_(pool), values_(layout_) {}

  Status Init() {
    ARROW_ASSIGN_OR_RAISE(schema_, layout_.Schema());
    ARROW_ASSIGN_OR_RAISE(table_, ColumnTable::Make(layout_.columns, layout_.objects, pool_));
    level_ = table_.get();
    source_tree_ = MakeFieldTree(layout_, false);
    fields_tree_ = MakeFieldTree(layout_, true);
    for (size_t column = 0; column < layout_.columns.size(); ++column) {
      const ColumnSpec& spec = layout_.columns[column];
      if (!spec.constants.empty()) constant_columns_.push_back(static_cast<int>(column));
      if (spec.kind >= ColumnKind::kId) metadata_columns_.push_back(static_cast<int>(column));
      if (spec.kind == ColumnKind::kExtra) extra_wanted_ = true;
    }
    return Status::OK();
  }

  const std::shared_ptr<arrow::Schema>& schema() const { return schema_; }
  int64_t rows() const { return table_->rows(); }

  Result<PageSummary> Append(std::string_view page);
  Result<std::shared_ptr<arrow::RecordBatch>> Flush();

  void Reset() {
    table_->Clear();
    values_.counters.fill(0);
    failed_ = false;
  }

  int64_t bytes() const { return table_->bytes(); }

  int64_t buffered_bytes() const {
    return index_.buffered_bytes() + values_.buffered_bytes() + table_->buffered_bytes();
  }

  std::map<std::string, int64_t> counters() const {
    static constexpr const char* kNames[kCounterCount] = {
        "misfit_nulled", "array_values_dropped", "excess_digits_truncated", "unmapped_values",
        "geo_third_value_dropped"};
    std::map<std::string, int64_t> named;
    for (int counter = 0; counter < kCounterCount; ++counter) {
      if (values_.counters[counter] > 0) named[kNames[counter]] = values_.counters[counter];
    }
    return named;
  }

 private:
  // The parts of a hit that stand beside its document, as tokens; empty where there is none.
  struct Hit {
    std::string_view id, index, routing, seq_no;
    bool has_document = false;
  };

  // The page's hits in a single walk, the rest of the answer by tokens.
  Status ScanPage(std::string_view page, size_t hits_at, PageSummary* summary);
  Status ScanHits(std::string_view page, size_t* at, std::string_view* sort);
  // False, and nothing done, where the hit must be read by tokens.
  bool TryScanHit(const char** at, const char* end, std::string_view* sort);
  Status AppendScanned(std::string_view page);
  // Calls `decode` with a cursor over this part of the page, all of which it must read.
  template <typename Decode>
  Status ByTokens(std::string_view page, std::string_view part, const Decode& decode);

  Result<PageSummary> DecodePage(TokenCursor* cursor);
  Status DecodeHits(TokenCursor* cursor, PageSummary* summary);
  Status DecodeHit(TokenCursor* cursor, std::string_view* sort);
  Status FinishHit();
  Status AppendMetadata(int column, std::string_view token);
  Status AppendExtra(int column);
  Status AppendConstant(int column);
  Status DecodeObject(FieldNode* node, TokenCursor* cursor, int depth);
  Status DecodeNode(FieldNode* node, TokenCursor* cursor, int depth);
  Status DecodeNested(FieldNode* nested, TokenCursor* cursor, int depth);
  Status DecodeNestedElement(FieldNode* nested, TokenCursor* cursor, int depth);
  // A value that is in an element of this nested field, which begins and ends with it.
  template <typename Decode>
  Status InElement(FieldNode* nested, const Decode& decode);
  // Where a single value stands in place of an object.
  Status SkipMisfit(const FieldNode& node, TokenCursor* cursor);
  Status DecodeUnmapped(const FieldNode& parent, std::string_view raw_key, TokenCursor* cursor);
  // `status` with document and field in front.
  Status InDocument(const Status& status, std::string_view field);
  std::string ShownToken(std::string_view token);

  const PageLayout layout_;
  arrow::MemoryPool* const pool_;
  std::shared_ptr<arrow::Schema> schema_;
  TokenIndex index_;
  DocumentScan scan_;
  ValueDecoder values_;
  std::unique_ptr<FieldNode> source_tree_, fields_tree_;
  std::unique_ptr<ColumnTable> table_;
  ColumnTable* level_ = nullptr;  // table_, or the elements of nested_
  FieldNode* nested_ = nullptr;   // the field in an element of which the cursor is
  std::vector<int> constant_columns_, metadata_columns_;
  bool extra_wanted_ = false;
  bool failed_ = false;

  Hit hit_;
  int64_t hits_before_ = 0;                                 // rows when the page began
  std::vector<std::pair<std::string, std::string>> extra_;  // of the document: key and JSON
};

Result<PageSummary> SearchPageDecoder::Impl::Append(std::string_view page) {
  if (failed_) return BugError("a page for a decoder that failed and was not reset");
  failed_ = true;  // until the page is whole
  hits_before_ = table_->rows();
  if (hits_before_ == 0) ARROW_RETURN_NOT_OK(table_->BeginBatch());
  PageSummary summary;
  if (const size_t hits_at = FindHits(page, &index_); hits_at != page.npos) {
    ARROW_RETURN_NOT_OK(ScanPage(page, hits_at, &summary));
  } else {
    ARROW_RETURN_NOT_OK(index_.Build(page));
    TokenCursor cursor(page, index_);
    ARROW_ASSIGN_OR_RAISE(summary, DecodePage(&cursor));
  }
  summary.hits = table_->rows() - hits_before_;
  failed_ = false;
  return summary;
}

Status SearchPageDecoder::Impl::ScanPage(std::string_view page, size_t hits_at,
                                         PageSummary* summary) {
  std::string_view sort;
  size_t end = hits_at;
  ARROW_RETURN_NOT_OK(ScanHits(page, &end, &sort));
  // The same answer without its hits.
  const std::string rest = fmt::format("{}]{}", page.substr(0, hits_at), page.substr(end));
  ARROW_RETURN_NOT_OK(index_.Build(rest));
  TokenCursor cursor(rest, index_);
  ARROW_ASSIGN_OR_RAISE(*summary, DecodePage(&cursor));
  if (summary->last_sort.empty()) summary->last_sort = sort;
  return Status::OK();
}

// `*at`: behind the '[' of the array, and then behind its ']'.
Status SearchPageDecoder::Impl::ScanHits(std::string_view page, size_t* at,
                                         std::string_view* sort) {
  const char* const end = page.data() + page.size();
  const char* here = SkipWhite(page.data() + *at, end);
  const auto broken = [&](const char* expected) -> Status {
    ARROW_RETURN_NOT_OK(index_.Build(page));  // where it knows better
    return BrokenJson(fmt::format("{} should stand", expected), here - page.data());
  };
  if (here < end && *here == ']') return *at = here + 1 - page.data(), Status::OK();
  for (;;) {
    const char* const begin = here;
    if (TryScanHit(&here, end, sort)) {
      ARROW_RETURN_NOT_OK(AppendScanned(page));
    } else {
      here = ValueEnd(begin, end);
      if (here == nullptr) return here = begin, broken("a whole hit");
      ARROW_RETURN_NOT_OK(ByTokens(page, {begin, static_cast<size_t>(here - begin)},
                                   [&](TokenCursor* cursor) { return DecodeHit(cursor, sort); }));
    }
    here = SkipWhite(here, end);
    if (here < end && *here == ']') return *at = here + 1 - page.data(), Status::OK();
    if (here == end || *here != ',') return broken("',' or ']'");
    here = SkipWhite(here + 1, end);
  }
}

bool SearchPageDecoder::Impl::TryScanHit(const char** at, const char* end, std::string_view* sort) {
  hit_ = Hit();
  extra_.clear();
  scan_.Clear();
  const char* here = *at;
  // Inlined, so that the compiler knows the text.
  const auto take = [&](std::string_view text) __attribute__((always_inline)) {
    if (end - here < static_cast<ptrdiff_t>(text.size())) return false;
    if (std::memcmp(here, text.data(), text.size()) != 0) return false;
    here += text.size();
    return true;
  };
  const auto value = [&](std::string_view* token) {
    const char* const begin = here;
    StringContent content;
    if (here >= end) return false;
    here = *begin == '"' ? StringEnd(begin + 1, end, &content) : ValueEnd(begin, end);
    if (here == nullptr || content.escapes || content.beyond_ascii) return false;
    if (*begin == '"') ++here;
    *token = {begin, static_cast<size_t>(here - begin)};
    return true;
  };
  if (!take("{")) return false;
  for (;;) {
    std::string_view score;
    if (take("\"_source\":")) {
      hit_.has_document = true;
      if (here >= end || *here != '{' || layout_.doc_values) return false;
      if (!scan_.AddObject(source_tree_.get(), &here, end)) return false;
    } else if (take("\"fields\":")) {
      hit_.has_document = hit_.has_document || layout_.doc_values;
      if (here >= end || *here != '{') return false;
      if (!scan_.AddObject(fields_tree_.get(), &here, end)) return false;
    } else if (!(take("\"_id\":")        ? value(&hit_.id)
                 : take("\"_index\":")   ? value(&hit_.index)
                 : take("\"_score\":")   ? value(&score)
                 : take("\"sort\":")     ? value(sort)
                 : take("\"_routing\":") ? value(&hit_.routing)
                 : take("\"_seq_no\":")  ? value(&hit_.seq_no)
                                         : take("\"_primary_term\":") && value(&score))) {
      return false;
    }
    if (take("}")) return *at = here, true;
    if (!take(",")) return false;
  }
}

Status SearchPageDecoder::Impl::AppendScanned(std::string_view page) {
  const int64_t row = table_->rows();
  for (const ScannedMember& member : scan_.members()) {
    FieldNode* const node = member.node;
    if (node != nullptr && node->is_column() && node->nested_in == nullptr) {
      ColumnBuffer& column = table_->column(node->column);
      if (values_.TryAppend(row, &column, member.scalar())) continue;
    }
    ARROW_RETURN_NOT_OK(ByTokens(page, member.value_text(), [&](TokenCursor* cursor) {
      return node == nullptr ? DecodeUnmapped(*member.parent, member.raw_key(), cursor)
                             : DecodeNode(node, cursor, 0);
    }));
  }
  return FinishHit();
}

template <typename Decode>
Status SearchPageDecoder::Impl::ByTokens(std::string_view page, std::string_view part,
                                         const Decode& decode) {
  if (const Status built = index_.Build(part); !built.ok()) {
    ARROW_RETURN_NOT_OK(index_.Build(page));  // says it of the whole answer
    return built;
  }
  TokenCursor cursor(part, index_, part.data() - page.data());
  ARROW_RETURN_NOT_OK(decode(&cursor));
  return cursor.at_end() ? Status::OK() : cursor.Error("the end of the value");
}

Result<PageSummary> SearchPageDecoder::Impl::DecodePage(TokenCursor* cursor) {
  PageSummary summary;
  bool has_hits = false;
  if (cursor->peek() != '{') return NotASearchAnswer("it is no JSON object");
  ARROW_RETURN_NOT_OK(cursor->ForEachMember([&](std::string_view key) -> Status {
    if (key == "hits" && !has_hits) {
      has_hits = true;
      return DecodeHits(cursor, &summary);
    }
    return DecodePagePart(key, cursor, &summary);
  }));
  if (!cursor->at_end()) return cursor->Error("the end of the answer");
  if (!has_hits) return NotASearchAnswer("it has no \"hits\"");
  return summary;
}

Status SearchPageDecoder::Impl::DecodeHits(TokenCursor* cursor, PageSummary* summary) {
  std::string_view sort;
  ARROW_RETURN_NOT_OK(cursor->ForEachMember([&](std::string_view key) -> Status {
    if (key == "hits") {
      return cursor->ForEachElement([&] { return DecodeHit(cursor, &sort); });
    }
    if (key == "total") return DecodeTotal(cursor, summary);
    return cursor->Skip();
  }));
  summary->last_sort = sort;
  return Status::OK();
}

Status SearchPageDecoder::Impl::DecodeHit(TokenCursor* cursor, std::string_view* sort) {
  hit_ = Hit();
  extra_.clear();
  const auto try_member = [&](std::string_view key) {
    return (key == "_id" && cursor->TryTakeString(&hit_.id)) ||
           (key == "_index" && cursor->TryTakeString(&hit_.index));
  };
  ARROW_RETURN_NOT_OK(cursor->ForEachMember(try_member, [&](std::string_view key) -> Status {
    if (key == "_source") {
      hit_.has_document = true;
      if (layout_.doc_values) return cursor->Skip();
      return DecodeObject(source_tree_.get(), cursor, 0);
    }
    if (key == "fields") {
      hit_.has_document = hit_.has_document || layout_.doc_values;
      return DecodeObject(fields_tree_.get(), cursor, 0);
    }
    if (key == "_index") return cursor->TakeScalar(&hit_.index);
    if (key == "_id") return cursor->TakeScalar(&hit_.id);
    if (key == "_routing") return cursor->TakeScalar(&hit_.routing);
    if (key == "_seq_no") return cursor->TakeScalar(&hit_.seq_no);
    if (key == "sort") return cursor->TakeRaw(sort);
    return cursor->Skip();
  }));
  return FinishHit();
}

Status SearchPageDecoder::Impl::FinishHit() {
  // With doc values, a document without any of the fields has no "fields".
  if (!hit_.has_document && !layout_.doc_values) {
    return InDocument(UserError("it comes without _source: the index does not keep it (its mapping "
                                "says _source enabled: false), or the request asks for none"),
                      "");
  }
  for (const int column : metadata_columns_) {
    Status status;
    switch (layout_.columns[column].kind) {
      case ColumnKind::kId:
        status = AppendMetadata(column, hit_.id);
        break;
      case ColumnKind::kIndex:
        status = AppendMetadata(column, hit_.index);
        break;
      case ColumnKind::kRouting:
        status = AppendMetadata(column, hit_.routing);
        break;
      case ColumnKind::kSeqNo:
        status = AppendMetadata(column, hit_.seq_no);
        break;
      default:
        status = AppendExtra(column);
    }
    if (!status.ok() && !IsValueError(status)) return status;
    if (!status.ok()) return InDocument(status, layout_.columns[column].path);
  }
  for (const int column : constant_columns_) {
    if (!table_->column(column).occupied(table_->rows()))
      ARROW_RETURN_NOT_OK(AppendConstant(column));
  }
  table_->EndRow();
  return Status::OK();
}

Status SearchPageDecoder::Impl::AppendMetadata(int column, std::string_view token) {
  ColumnBuffer& buffer = table_->column(column);
  const ColumnKind kind = layout_.columns[column].kind;
  if (token.empty() || token == "null") {
    if (kind == ColumnKind::kRouting) return Status::OK();
    return ValueError("the hit does not have it; the request must ask for it");
  }
  ARROW_RETURN_NOT_OK(buffer.BeginRow(table_->rows()));
  if (kind == ColumnKind::kSeqNo) {
    int64_t value;
    const auto [stop, error] = std::from_chars(token.data(), token.data() + token.size(), value);
    if (error != std::errc() || stop != token.data() + token.size()) {
      return ValueError(std::string(token) + " is no integer");
    }
    ARROW_RETURN_NOT_OK(buffer.values().AppendFixed(value));
  } else if (token.find('\\') == token.npos && token[0] == '"') {
    ARROW_RETURN_NOT_OK(buffer.values().AppendBytes(token.substr(1, token.size() - 2)));
  } else {
    ARROW_ASSIGN_OR_RAISE(const std::string text, values_.TextOfToken(token));
    ARROW_RETURN_NOT_OK(buffer.values().AppendBytes(text));
  }
  buffer.EndRow();
  return Status::OK();
}

Status SearchPageDecoder::Impl::AppendConstant(int column) {
  ARROW_ASSIGN_OR_RAISE(const std::string index, values_.TextOfToken(hit_.index));
  const auto& constants = layout_.columns[column].constants;
  const auto found = constants.find(index);
  if (found == constants.end()) return Status::OK();
  ColumnBuffer& buffer = table_->column(column);
  if (buffer.is_list()) {
    ARROW_RETURN_NOT_OK(buffer.OpenList(table_->rows()));
    return buffer.values().AppendBytes(found->second);
  }
  ARROW_RETURN_NOT_OK(buffer.BeginRow(table_->rows()));
  ARROW_RETURN_NOT_OK(buffer.values().AppendBytes(found->second));
  buffer.EndRow();
  return Status::OK();
}

Status SearchPageDecoder::Impl::AppendExtra(int column) {
  if (extra_.empty()) return Status::OK();
  std::stable_sort(extra_.begin(), extra_.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  std::string json = "{";
  for (size_t first = 0; first < extra_.size();) {
    size_t last = first + 1;
    while (last < extra_.size() && extra_[last].first == extra_[first].first) ++last;
    if (first > 0) json += ',';
    json += extra_[first].first + ":";
    // Objects in an array may each have the key: their values become an array.
    if (last - first > 1) json += '[';
    for (size_t value = first; value < last; ++value) {
      if (value > first) json += ',';
      json += extra_[value].second;
    }
    if (last - first > 1) json += ']';
    first = last;
  }
  json += '}';
  return table_->column(column).AppendJson(table_->rows(), json);
}

Status SearchPageDecoder::Impl::DecodeObject(FieldNode* node, TokenCursor* cursor, int depth) {
  if (depth > TokenCursor::kDepthMax) {
    return BrokenJson("objects at 1000 levels", cursor->place_in_answer());
  }
  node->Rewind();
  FieldNode* child = nullptr;
  const auto try_member = [&](std::string_view raw_key) {
    child = node->FindExpected(raw_key);
    return child != nullptr && child->is_column() && child->nested_in == nested_ &&
           values_.TryAppend(level_->rows(), &level_->column(child->column), cursor);
  };
  return cursor->ForEachMember(try_member, [&](std::string_view raw_key) -> Status {
    if (child == nullptr && !node->Find(raw_key, &child)) {
      return cursor->Error("a key with valid escapes before this");
    }
    if (child == nullptr) return DecodeUnmapped(*node, raw_key, cursor);
    return DecodeNode(child, cursor, depth);
  });
}

Status SearchPageDecoder::Impl::DecodeNode(FieldNode* node, TokenCursor* cursor, int depth) {
  if (node->skipped) return cursor->Skip();
  if (node->nested_in != nested_) {
    // "n.a" beside {"n": {"a"}}: an element of its own, as on the servers.
    FieldNode* outermost = node->nested_in;
    while (outermost->nested_in != nested_) outermost = outermost->nested_in;
    return InElement(outermost, [&] { return DecodeNode(node, cursor, depth); });
  }
  if (node->is_nested_list) return DecodeNested(node, cursor, depth);
  const char first = cursor->peek();
  if (node->is_object()) {
    if (first == '{') return DecodeObject(node, cursor, depth + 1);
    // Objects in an array: their fields have several values.
    if (first == '[' && node->column < 0) {
      if (depth > TokenCursor::kDepthMax) {
        return BrokenJson("arrays at 1000 levels", cursor->place_in_answer());
      }
      return cursor->ForEachElement([&] { return DecodeNode(node, cursor, depth + 1); });
    }
  }
  if (node->column >= 0) {
    Status status = values_.AppendValue(level_->rows(), &level_->column(node->column), cursor);
    if (!status.ok() && IsValueError(status)) return InDocument(status, node->path);
    return status;
  }
  if (first == 'n') {
    std::string_view token;
    return cursor->TakeScalar(&token);
  }
  if (first == '{' || first == '[' || node->left_out) return cursor->Skip();
  return SkipMisfit(*node, cursor);
}

Status SearchPageDecoder::Impl::SkipMisfit(const FieldNode& node, TokenCursor* cursor) {
  if (layout_.misfit == OnMisfitValue::kNull) {
    ++values_.counters[kMisfitNulled];
    return cursor->Skip();
  }
  return InDocument(ValueError("a single value stands where the mapping has an object"), node.path);
}

template <typename Decode>
Status SearchPageDecoder::Impl::InElement(FieldNode* nested, const Decode& decode) {
  NestedColumn& column = level_->nested(nested->column);
  ARROW_RETURN_NOT_OK(column.Open(level_->rows()));
  ColumnTable* const level = std::exchange(level_, &column.elements());
  FieldNode* const around = std::exchange(nested_, nested);
  Status status = decode();
  level_ = level;
  nested_ = around;
  return status.ok() ? column.EndElement() : status;
}

Status SearchPageDecoder::Impl::DecodeNested(FieldNode* nested, TokenCursor* cursor, int depth) {
  if (cursor->peek() == 'n') {
    std::string_view token;
    return cursor->TakeScalar(&token);
  }
  if (cursor->peek() != '[') return DecodeNestedElement(nested, cursor, depth);
  if (depth > TokenCursor::kDepthMax) {
    return BrokenJson("arrays at 1000 levels", cursor->place_in_answer());
  }
  // An array without elements is a list without elements.
  ARROW_RETURN_NOT_OK(level_->nested(nested->column).Open(level_->rows()));
  return cursor->ForEachElement([&]() -> Status {
    if (cursor->peek() == '[') return DecodeNested(nested, cursor, depth + 1);
    return DecodeNestedElement(nested, cursor, depth + 1);
  });
}

Status SearchPageDecoder::Impl::DecodeNestedElement(FieldNode* nested, TokenCursor* cursor,
                                                    int depth) {
  if (cursor->peek() == '{') {
    return InElement(nested, [&] { return DecodeObject(nested, cursor, depth + 1); });
  }
  if (cursor->peek() == 'n') {
    std::string_view token;
    ARROW_RETURN_NOT_OK(cursor->TakeScalar(&token));
  } else {
    ARROW_RETURN_NOT_OK(SkipMisfit(*nested, cursor));
  }
  NestedColumn& column = level_->nested(nested->column);
  ARROW_RETURN_NOT_OK(column.Open(level_->rows()));
  return column.AppendNullElement();
}

Status SearchPageDecoder::Impl::DecodeUnmapped(const FieldNode& parent, std::string_view raw_key,
                                               TokenCursor* cursor) {
  if (!extra_wanted_) {
    values_.counters[kUnmappedValues] += cursor->peek() != 'n';
    return cursor->Skip();
  }
  std::string key = "\"";
  if (!parent.path.empty()) {
    const std::string escaped = nlohmann::json(parent.path).dump();
    key.append(escaped, 1, escaped.size() - 2);
    key += '.';
  }
  key.append(raw_key).append("\"");
  extra_.emplace_back(std::move(key), std::string());
  return cursor->CopyCompact(&extra_.back().second);
}

std::string SearchPageDecoder::Impl::ShownToken(std::string_view token) {
  const auto text = values_.TextOfToken(token);
  return text.ok() ? *text : std::string(token);
}

Status SearchPageDecoder::Impl::InDocument(const Status& status, std::string_view field) {
  std::string where = hit_.id.empty()
                          ? fmt::format(
                                "hit {} of a page (metadata_columns: _id names documents "
                                "that are read without their id)",
                                table_->rows() - hits_before_ + 1)
                          : fmt::format("document '{}'", ShownToken(hit_.id));
  if (!hit_.index.empty()) where += fmt::format(" of index '{}'", ShownToken(hit_.index));
  if (!field.empty()) where += fmt::format(", field '{}'", field);
  // What may be done about it are options.
  return OptionError(where + ": " + MessageOf(status));
}

Result<std::shared_ptr<arrow::RecordBatch>> SearchPageDecoder::Impl::Flush() {
  if (failed_) return BugError("a batch of a decoder that failed and was not reset");
  const int64_t rows = table_->rows();
  if (rows == 0) return nullptr;
  ARROW_ASSIGN_OR_RAISE(auto columns, table_->Finish(schema_->fields()));
  return arrow::RecordBatch::Make(schema_, rows, std::move(columns));
}

SearchPageDecoder::SearchPageDecoder(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
SearchPageDecoder::~SearchPageDecoder() = default;

Result<std::unique_ptr<SearchPageDecoder>> SearchPageDecoder::Make(PageLayout layout,
                                                                   arrow::MemoryPool* pool) {
  auto impl = std::make_unique<Impl>(std::move(layout), pool);
  ARROW_RETURN_NOT_OK(impl->Init());
  return std::unique_ptr<SearchPageDecoder>(new SearchPageDecoder(std::move(impl)));
}

const std::shared_ptr<arrow::Schema>& SearchPageDecoder::schema() const { return impl_->schema(); }
Result<PageSummary> SearchPageDecoder::Append(std::string_view page) { return impl_->Append(page); }
int64_t SearchPageDecoder::rows() const { return impl_->rows(); }
int64_t SearchPageDecoder::bytes() const { return impl_->bytes(); }
Result<std::shared_ptr<arrow::RecordBatch>> SearchPageDecoder::Flush() { return impl_->Flush(); }
void SearchPageDecoder::Reset() { impl_->Reset(); }
int64_t SearchPageDecoder::buffered_bytes() const { return impl_->buffered_bytes(); }
std::map<std::string, int64_t> SearchPageDecoder::counters() const { return impl_->counters(); }

}  // namespace bulkhaul::search
