#include "transform/text_rules.h"

#include <algorithm>
#include <array>
#include <memory>
#include <span>

#include <arrow/array/array_binary.h>
#include <arrow/array/builder_binary.h>
#include <arrow/compute/api_scalar.h>
#include <arrow/compute/cast.h>
#include <arrow/compute/exec.h>
#include <arrow/datum.h>
#include <arrow/type_traits.h>
#include <arrow/util/binary_view_util.h>

namespace bulkhaul {
namespace {

struct TextOfRow {
  int64_t row;
  std::string_view text;
  TextWords words;
};
constexpr int64_t kTextBlockRows = 128;

// Calls `visit` with blocks of all texts that are no NULL, in their order. `text_at` and `words_of`
// are small loops' bodies of the array's class; what is done with a text is compiled once.
template <typename TextAt, typename WordsOf, typename Visit>
void VisitTextsBy(const arrow::Array& array, TextAt text_at, WordsOf words_of, Visit& visit) {
  std::array<TextOfRow, kTextBlockRows> block;
  const bool nulls = array.null_count() > 0;
  for (int64_t row = 0; row < array.length();) {
    const int64_t end = std::min(row + kTextBlockRows, array.length());
    size_t count = 0;
    for (; row < end; ++row) {
      if (nulls && array.IsNull(row)) continue;
      const std::string_view text = text_at(row);
      block[count++] = {row, text, words_of(text)};
    }
    visit(std::span<const TextOfRow>(block.data(), count));
  }
}

template <typename ArrayType, typename Visit>
void VisitFlatTexts(const arrow::Array& array, Visit& visit) {
  const auto& texts = static_cast<const ArrayType&>(array);
  const auto* offsets = texts.raw_value_offsets();
  const auto* data = reinterpret_cast<const char*>(texts.raw_data());
  const auto& buffer = texts.value_data();
  const char* end = buffer == nullptr ? data : data + buffer->size();
  VisitTextsBy(
      array,
      [&](int64_t row) {
        return std::string_view(data + offsets[row],
                                static_cast<size_t>(offsets[row + 1] - offsets[row]));
      },
      [&](std::string_view text) {
        return end - text.data() >= static_cast<int64_t>(TextWords::kReadBytes)
                   ? TextWords::OfReadable(text)
                   : TextWords::Of(text);
      },
      visit);
}

template <typename Visit>
void VisitTextViews(const arrow::Array& array, Visit& visit) {
  const auto* views = static_cast<const arrow::BinaryViewArray&>(array).raw_values();
  const auto* buffers = array.data()->buffers.data() + 2;
  // The text of a view is in the view, with room behind it, or longer than what is read.
  static_assert(arrow::BinaryViewType::kInlineSize >= TextWords::kReadBytes);
  VisitTextsBy(
      array, [&](int64_t row) { return arrow::util::FromBinaryView(views[row], buffers); },
      [](std::string_view text) { return TextWords::OfReadable(text); }, visit);
}

// Classes of text are classes of binary.
template <typename Visit>
void VisitTexts(const arrow::Array& array, Visit visit) {
  if (arrow::is_binary_view_like(array.type_id())) return VisitTextViews(array, visit);
  if (arrow::is_large_binary_like(array.type_id())) {
    return VisitFlatTexts<arrow::LargeBinaryArray>(array, visit);
  }
  VisitFlatTexts<arrow::BinaryArray>(array, visit);
}

}  // namespace

bool IsText(const arrow::DataType& type) {
  return arrow::is_base_binary_like(type.id()) || arrow::is_binary_view_like(type.id());
}

TextSet::TextSet(std::vector<std::string> texts) : texts_(std::move(texts)) {
  slots_.resize(std::bit_ceil(texts_.size() * 4 + 16));
  mask_ = slots_.size() - 1;
  for (size_t i = 0; i < texts_.size(); ++i) {
    if (Holds(texts_[i])) continue;
    const auto words = TextWords::Of(texts_[i]);
    size_t at = words.HashOf(texts_[i]) & mask_;
    while (slots_[at].text != kNone) at = (at + 1) & mask_;
    slots_[at] = {words, static_cast<uint32_t>(i)};
  }
}

void TextSet::Others(const arrow::Array& texts, std::vector<int64_t>* rows) const {
  VisitTexts(texts, [&](std::span<const TextOfRow> block) {
    for (const auto& one : block) {
      if (!Holds(one.words, one.text)) rows->push_back(one.row);
    }
  });
}

Status TextPattern::Others(const arrow::Array& texts, arrow::MemoryPool* pool,
                           std::vector<int64_t>* rows) {
  if (looked_up_ >= kTrialTexts && known_ < looked_up_ / 2) {
    remembers_ = false;
    slots_ = {};
  }
  if (remembers_) return Lookup(texts, pool, rows);
  auto plain = arrow::MakeArray(texts.data());
  if (arrow::is_binary_view_like(texts.type_id())) {  // which the function below does not take
    arrow::compute::ExecContext context(pool);
    context.set_use_threads(false);
    const auto type =
        texts.type_id() == arrow::Type::STRING_VIEW ? arrow::large_utf8() : arrow::large_binary();
    ARROW_ASSIGN_OR_RAISE(
        plain, arrow::compute::Cast(*plain, type, arrow::compute::CastOptions::Safe(), &context));
  }
  ARROW_ASSIGN_OR_RAISE(const auto matches, Match(plain, pool));
  if (matches->true_count() + texts.null_count() == texts.length()) return Status::OK();
  for (int64_t i = 0; i < texts.length(); ++i) {
    if (texts.IsValid(i) && !matches->Value(i)) rows->push_back(i);
  }
  return Status::OK();
}

// The slot that has the text's verdict, taken for it when another text had it; nullptr for texts
// that are not remembered.
TextPattern::Slot* TextPattern::SlotOf(const TextWords& words, std::string_view text) {
  if (!remembers_ || text.size() > kRememberedBytesMax) return nullptr;
  Slot& slot = slots_[words.HashOf(text) % kSlots];
  const bool known = slot.verdict != kUnused && slot.words == words &&
                     (words.whole() || std::memcmp(slot.text, text.data(), text.size()) == 0);
  if (known) {
    ++known_;
    return &slot;
  }
  slot.words = words;
  slot.verdict = kUnused;
  if (!words.whole()) std::memcpy(slot.text, text.data(), text.size());
  return &slot;
}

Status TextPattern::Lookup(const arrow::Array& texts, arrow::MemoryPool* pool,
                           std::vector<int64_t>* rows) {
  if (remembers_ && slots_.empty()) slots_.resize(kSlots);
  struct Waiting {
    int64_t row;
    int32_t place;  // of its text among the new ones
  };
  std::vector<Waiting> waiting;  // rows with a new text
  std::vector<std::string_view> new_texts;
  std::vector<Slot*> slots;  // of new texts
  int64_t new_bytes = 0;
  const auto look_up = [&](int64_t row, std::string_view text, const TextWords& words) {
    Slot* slot = SlotOf(words, text);
    if (slot != nullptr && slot->verdict == kMatches) return;
    if (slot != nullptr && slot->verdict == kOther) return rows->push_back(row);
    if (slot != nullptr && slot->verdict >= 0) return waiting.push_back({row, slot->verdict});
    const auto place = static_cast<int32_t>(new_texts.size());
    if (slot != nullptr) slot->verdict = place;
    new_texts.push_back(text);
    new_bytes += static_cast<int64_t>(text.size());
    slots.push_back(slot);
    waiting.push_back({row, place});
  };
  VisitTexts(texts, [&](std::span<const TextOfRow> block) {
    looked_up_ += static_cast<int64_t>(block.size());
    for (const auto& one : block) look_up(one.row, one.text, one.words);
  });
  if (new_texts.empty()) return Status::OK();

  arrow::LargeStringBuilder builder(pool);
  const auto judge = [&]() -> Result<std::shared_ptr<arrow::BooleanArray>> {
    ARROW_RETURN_NOT_OK(builder.Reserve(static_cast<int64_t>(new_texts.size())));
    ARROW_RETURN_NOT_OK(builder.ReserveData(new_bytes));
    for (const auto text : new_texts) builder.UnsafeAppend(text);
    ARROW_ASSIGN_OR_RAISE(auto gathered, builder.Finish());
    return Match(gathered, pool);
  };
  const auto matches = judge();
  for (size_t i = 0; i < slots.size(); ++i) {
    // Another text of the batch may have taken it.
    if (slots[i] == nullptr || slots[i]->verdict != static_cast<int32_t>(i)) continue;
    slots[i]->verdict = kUnused;
    if (matches.ok()) {
      slots[i]->verdict = (*matches)->Value(static_cast<int64_t>(i)) ? kMatches : kOther;
    }
  }
  ARROW_RETURN_NOT_OK(matches);
  if ((*matches)->true_count() == (*matches)->length()) return Status::OK();
  for (const auto& one : waiting) {
    if (!(*matches)->Value(one.place)) rows->push_back(one.row);
  }
  return Status::OK();
}

Result<std::shared_ptr<arrow::BooleanArray>> TextPattern::Match(
    const std::shared_ptr<arrow::Array>& texts, arrow::MemoryPool* pool) const {
  const arrow::compute::MatchSubstringOptions options(pattern_);
  arrow::compute::ExecContext context(pool);
  context.set_use_threads(false);
  ARROW_ASSIGN_OR_RAISE(
      const auto matches,
      arrow::compute::CallFunction("match_substring_regex", {texts}, &options, &context));
  return std::static_pointer_cast<arrow::BooleanArray>(matches.make_array());
}

}  // namespace bulkhaul
