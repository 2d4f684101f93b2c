// Any bytes as the answer of a search server: an error or valid Arrow data, the same each time; and
// as mappings: an error or a layout that survives its JSON.
//
// Input: one byte of options (bit 7: the rest is an answer to _mapping), then the answer.
#include <cstdint>
#include <string>

#include <arrow/api.h>

#include "die.h"
#include "wire/json/search_page.h"
#include "wire/json/testing.h"

namespace {

using namespace bulkhaul;
using namespace bulkhaul::search;

constexpr char kProperties[] = R"({
  "i8":{"type":"byte"},"i16":{"type":"short"},"i32":{"type":"integer"},"i64":{"type":"long"},
  "u64":{"type":"unsigned_long"},"f":{"type":"float"},"d":{"type":"scaled_float"},
  "b":{"type":"boolean"},"k":{"type":"keyword"},"bin":{"type":"binary"},
  "t":{"type":"date","format":"strict_date_optional_time||epoch_second||dd/MMM/yyyy[:HH:mm:ss[ Z]]"},
  "n":{"type":"date_nanos"},"g":{"type":"geo_point"},"v":{"type":"dense_vector"},
  "j":{"type":"completion"},"c":{"type":"constant_keyword","value":"x"},
  "o":{"properties":{"a":{"type":"long"},"p":{"properties":{"q":{"type":"text"}}},
                     "w":{"type":"flattened"}}},
  "x":{"type":"nested","properties":{"a":{"type":"long"},"t":{"type":"date"},
       "y":{"type":"nested","properties":{"k":{"type":"keyword"}}}}}})";

// Those whose doc values are what the documents have.
constexpr char kDocValueProperties[] = R"({
  "i8":{"type":"byte"},"i64":{"type":"long"},"u64":{"type":"unsigned_long"},"d":{"type":"double"},
  "b":{"type":"boolean"},"k":{"type":"keyword"},"n":{"type":"date_nanos"},
  "t":{"type":"date","format":"strict_date_optional_time||epoch_second||dd/MMM/yyyy[:HH:mm:ss[ Z]]"},
  "o":{"properties":{"a":{"type":"long"},"p":{"properties":{"q":{"type":"keyword"}}}}}})";

PageLayout PickLayout(uint8_t choice) {
  LayoutOptions options;
  options.doc_values = choice & 64;
  if (!options.doc_values) {
    if (choice & 1) options.array_fields = {"i64", "k", "g", "o.a", "t", "b", "bin", "x.a"};
    if (choice & 2) options.arrays = ArrayForm::kFirst;
    options.extra = choice & 8;
  }
  if (choice & 4) options.misfit = OnMisfitValue::kNull;
  options.id = options.index = options.routing = choice & 8;
  if (choice & 16) options.objects = ObjectForm::kStruct;
  if (choice & 32) options.excess_digits = OnExcessDigits::kTruncate;
  return search::testing::LayoutOf(options.doc_values ? kDocValueProperties : kProperties, options)
      .ValueOrDie();
}

std::shared_ptr<arrow::RecordBatch> Decode(SearchPageDecoder* decoder, std::string_view page,
                                           std::string* status) {
  const auto summary = search::testing::AppendPage(*decoder, page);
  *status = summary.status().ToString();
  if (!summary.ok()) {
    decoder->Reset();
    return nullptr;
  }
  if (summary->hits != decoder->rows()) Die("other rows than hits");
  const auto batch = decoder->Flush();
  if (!batch.ok()) Die("Flush failed: " + batch.status().ToString());
  if (*batch == nullptr) return nullptr;
  const Status valid = (*batch)->ValidateFull();
  if (!valid.ok()) Die("invalid batch: " + valid.ToString());
  return *batch;
}

void CheckMapping(std::string_view answer) {
  const auto mappings = ParseMappings(answer);
  if (!mappings.ok()) return;
  LayoutOptions options;
  options.conflicts = OnConflict::kJson;
  options.objects = ObjectForm::kStruct;
  const auto layout = MakeLayout(MergeMappings(*mappings), options);
  if (!layout.ok()) return;
  const auto schema = layout->Schema();
  if (!schema.ok()) Die("no schema: " + schema.status().ToString());
  const auto back = PageLayout::FromJson(layout->ToJson());
  if (!back.ok()) Die("a layout is lost in its JSON: " + back.status().ToString());
  if (!(*back->Schema())->Equals(**schema, true)) Die("a layout is another after its JSON");
  const auto decoder = SearchPageDecoder::Make(*back, arrow::default_memory_pool());
  if (!decoder.ok()) Die("no decoder for a layout: " + decoder.status().ToString());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 1) return 0;
  const std::string_view answer(reinterpret_cast<const char*>(data) + 1, size - 1);
  if (data[0] & 128) {
    CheckMapping(answer);
    return 0;
  }
  static std::unique_ptr<SearchPageDecoder> decoders[128];
  auto& decoder = decoders[data[0]];
  if (decoder == nullptr) {
    decoder =
        SearchPageDecoder::Make(PickLayout(data[0]), arrow::default_memory_pool()).ValueOrDie();
  }
  std::string first_status, second_status;
  const auto first = Decode(decoder.get(), answer, &first_status);
  const auto second = Decode(decoder.get(), answer, &second_status);
  if (first_status != second_status) Die(first_status + "\nthen " + second_status);
  if ((first == nullptr) != (second == nullptr)) Die("rows only once");
  if (first != nullptr && !first->Equals(*second, false, arrow::EqualOptions().nans_equal(true))) {
    Die("other values the second time");
  }
  return 0;
}
