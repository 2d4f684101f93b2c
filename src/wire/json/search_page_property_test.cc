// Random documents, decoded and read from a plain DOM: the same values.
#include <random>

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>
#include <nlohmann/json.hpp>

#include "wire/json/testing.h"

namespace bulkhaul::search {
namespace {

using Json = nlohmann::ordered_json;

constexpr char kProperties[] = R"({
  "a": {"properties": {"i": {"type": "long"}, "d": {"type": "double"},
                       "o": {"properties": {"k": {"type": "keyword"}, "u": {"type": "unsigned_long"}}}}},
  "s": {"type": "text"}, "b": {"type": "boolean"}, "t": {"type": "date_nanos"},
  "li": {"type": "integer"}, "lk": {"type": "keyword"}, "j": {"type": "flattened"},
  "g": {"type": "geo_point"},
  "n": {"type": "nested", "properties": {"li": {"type": "integer"}, "s": {"type": "keyword"},
        "o": {"properties": {"i": {"type": "long"}}},
        "m": {"type": "nested", "properties": {"d": {"type": "double"}, "b": {"type": "boolean"}}}}}})";

class Documents {
 public:
  explicit Documents(uint64_t seed) : random_(seed) {}

  std::string Page(int documents) {
    std::vector<std::string> sources;
    for (int document = 0; document < documents; ++document) sources.push_back(Text(Document()));
    return testing::PageOf(sources);
  }

 private:
  uint64_t Below(uint64_t limit) { return random_() % limit; }

  std::string Text(const Json& json) {
    return json.dump(Below(2) ? -1 : static_cast<int>(Below(3)), Below(2) ? ' ' : '\t', Below(2));
  }

  std::string String() {
    static const std::vector<std::string> kPieces = {
        "",      "a",      "quote\"", "\\",   "\n",
        "grüße", "世界",   "🎈",       "/",    "{}",
        "[,]",   "\t\x01", " ",       "null", "a long text that fills more than one vector"};
    std::string text;
    for (uint64_t pieces = Below(4); pieces > 0; --pieces) text += kPieces[Below(kPieces.size())];
    return text;
  }

  Json Integer(int64_t limit) {
    const auto value = static_cast<int64_t>(random_()) % limit;
    return Below(4) == 0 ? Json(std::to_string(value)) : Json(value);
  }

  Json Real() {
    const double value = std::ldexp(static_cast<double>(random_() % 2'000'001) - 1e6,
                                    static_cast<int>(Below(60)) - 30);
    return Below(4) == 0 ? Json(fmt::format("{}", value)) : Json(value);
  }

  Json Date() {
    const std::string day =
        fmt::format("{:04}-{:02}-{:02}", 1700 + Below(550), 1 + Below(12), 1 + Below(28));
    const std::string time = fmt::format("T{:02}:{:02}:{:02}", Below(24), Below(60), Below(60));
    switch (Below(4)) {
      case 0:
        return day;
      case 1:
        return day + time + "Z";
      case 2:
        return day + time + fmt::format(".{:09}Z", Below(1'000'000'000));
      default:
        return static_cast<int64_t>(Below(4'000'000'000'000));
    }
  }

  Json Point() {
    const double latitude = static_cast<double>(Below(1800)) / 10 - 90;
    const double longitude = static_cast<double>(Below(3600)) / 10 - 180;
    switch (Below(4)) {
      case 0:
        return {{"lat", latitude}, {"lon", longitude}};
      case 1:
        return Json::array({longitude, latitude});
      case 2:
        return fmt::format("{}, {}", latitude, longitude);
      default:
        return {{"type", "Point"}, {"coordinates", Json::array({longitude, latitude})}};
    }
  }

  Json Tree(int depth) {
    switch (Below(depth > 3 ? 4 : 6)) {
      case 0:
        return String();
      case 1:
        return Integer(INT64_MAX);
      case 2:
        return Below(2) == 0;
      case 3:
        return nullptr;
      case 4: {
        Json list = Json::array();
        for (uint64_t items = Below(4); items > 0; --items) list.push_back(Tree(depth + 1));
        return list;
      }
      default: {
        Json object = Json::object();
        for (uint64_t items = Below(4); items > 0; --items) object[String()] = Tree(depth + 1);
        return object;
      }
    }
  }

  template <typename Make>
  Json List(const Make& make) {
    if (Below(3) == 0) return make();
    Json list = Json::array();
    for (uint64_t items = Below(5); items > 0; --items) {
      list.push_back(Below(6) == 0 ? Json() : make());
    }
    return list;
  }

  void Put(Json* object, const std::string& key, Json value) {
    switch (Below(5)) {
      case 0:
        return;
      case 1:
        (*object)[key] = nullptr;
        return;
      default:
        (*object)[key] = std::move(value);
    }
  }

  template <typename Make>
  Json Nested(const Make& make) {
    if (Below(4) == 0) return make();
    Json list = Json::array();
    for (uint64_t items = Below(4); items > 0; --items) {
      list.push_back(Below(8) == 0 ? Json() : make());
    }
    return list;
  }

  Json Element() {
    Json element = Json::object(), object = Json::object(), inner = Json::object();
    Put(&element, "li", List([&] { return Integer(INT32_MAX); }));
    Put(&element, "s", String());
    Put(&object, "i", Integer(INT64_MAX));
    Put(&element, "o", object);
    Put(&element, "m", Nested([&] {
      Json innermost = Json::object();
      Put(&innermost, "d", Real());
      Put(&innermost, "b", Json(Below(2) == 0));
      return innermost;
    }));
    Put(&element, String() + "?", Tree(0));
    return element;
  }

  Json Document() {
    Json inner = Json::object(), a = Json::object(), document = Json::object();
    Put(&inner, "k", String());
    Put(&inner, "u", Below(2) ? Json(random_()) : Json(std::to_string(random_())));
    if (Below(2)) {
      Put(&a, "o", inner);
    } else {
      for (const auto& [key, value] : inner.items()) a["o." + key] = value;
    }
    Put(&a, "i", Integer(INT64_MAX));
    Put(&a, "d", Real());
    if (Below(2)) {
      Put(&document, "a", a);
    } else {
      for (const auto& [key, value] : a.items()) document["a." + key] = value;
    }
    Put(&document, "s", Below(4) == 0 ? Json(Below(1000)) : Json(String()));
    Put(&document, "b", Below(2) ? Json(Below(2) == 0) : Json(Below(2) ? "true" : ""));
    Put(&document, "t", Date());
    Put(&document, "li", List([&] { return Integer(INT32_MAX); }));
    Put(&document, "lk", List([&] { return Json(String()); }));
    Put(&document, "j", Tree(0));
    Put(&document, "g", Point());
    Put(&document, "n", Nested([&] { return Element(); }));
    Put(&document, String() + "?", Tree(0));
    return document;
  }

  std::mt19937_64 random_;
};

// What is found at a path, through dots in keys too.
void Collect(const Json& object, const std::string& path, std::vector<Json>* found) {
  for (const auto& [key, value] : object.items()) {
    if (key == path) found->push_back(value);
    if (value.is_object() && path.starts_with(key + ".")) {
      Collect(value, path.substr(key.size() + 1), found);
    }
  }
}

std::string AsText(const Json& value) {
  return value.is_string() ? value.get<std::string>() : value.dump();
}

int64_t DaysBefore(int year, int month, int day) {
  int64_t days = 0;
  const auto leap = [](int of) { return (of % 4 == 0 && of % 100 != 0) || of % 400 == 0; };
  for (int each = 1970; each < year; ++each) days += 365 + leap(each);
  for (int each = year; each < 1970; ++each) days -= 365 + leap(each);
  constexpr int kDays[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  for (int each = 1; each < month; ++each) days += kDays[each - 1] + (each == 2 && leap(year));
  return days + day - 1;
}

int64_t AsNanos(const Json& value) {
  if (value.is_number()) return value.get<int64_t>() * 1'000'000;
  const auto text = value.get<std::string>();
  const auto part = [&](size_t at, size_t digits) { return std::stoi(text.substr(at, digits)); };
  int64_t nanos = DaysBefore(part(0, 4), part(5, 2), part(8, 2)) * 86'400 * 1'000'000'000;
  if (text.size() > 10) {
    nanos += (part(11, 2) * 3600 + part(14, 2) * 60 + part(17, 2)) * int64_t{1'000'000'000};
  }
  if (text.size() > 20) nanos += part(20, 9);
  return nanos;
}

std::pair<double, double> AsPoint(const Json& value) {
  if (value.is_array()) return {value[1], value[0]};
  if (value.is_string()) {
    const auto text = value.get<std::string>();
    return {std::stod(text), std::stod(text.substr(text.find(',') + 1))};
  }
  if (value.contains("lat")) return {value["lat"], value["lon"]};
  return {value["coordinates"][1], value["coordinates"][0]};
}

// One value of an array, or of a list in it, against what the document says.
void CheckValue(const arrow::Array& array, int64_t at, const std::string& path, const Json& value) {
  RC_ASSERT(array.IsNull(at) == value.is_null());
  if (value.is_null()) return;
  if (path == "a.i") {
    RC_ASSERT(static_cast<const arrow::Int64Array&>(array).Value(at) == std::stoll(AsText(value)));
  } else if (path == "li") {
    RC_ASSERT(static_cast<const arrow::Int32Array&>(array).Value(at) == std::stoi(AsText(value)));
  } else if (path == "a.o.u") {
    RC_ASSERT(static_cast<const arrow::UInt64Array&>(array).Value(at) ==
              std::stoull(AsText(value)));
  } else if (path == "a.d") {
    RC_ASSERT(static_cast<const arrow::DoubleArray&>(array).Value(at) == std::stod(AsText(value)));
  } else if (path == "b") {
    RC_ASSERT(static_cast<const arrow::BooleanArray&>(array).Value(at) ==
              (value == Json(true) || value == Json("true")));
  } else if (path == "t") {
    RC_ASSERT(static_cast<const arrow::TimestampArray&>(array).Value(at) == AsNanos(value));
  } else if (path == "g") {
    const auto& points = static_cast<const arrow::StructArray&>(array);
    const auto [latitude, longitude] = AsPoint(value);
    RC_ASSERT(static_cast<const arrow::DoubleArray&>(*points.field(0)).Value(at) == latitude);
    RC_ASSERT(static_cast<const arrow::DoubleArray&>(*points.field(1)).Value(at) == longitude);
  } else {
    const auto text = static_cast<const arrow::StringArray&>(array).GetString(at);
    if (path == "j") {
      RC_ASSERT(Json::parse(text) == value);
      RC_ASSERT(text.find_first_of("\n\t") == text.npos);
    } else {
      RC_ASSERT(text == AsText(value));
    }
  }
}

void CheckColumn(const arrow::Array& array, int64_t row, const std::string& path,
                 const Json& document);

// An element of a nested field: `path` is the field's, and its members' types follow from their
// names.
void CheckElement(const arrow::StructArray& elements, int64_t at, const Json& value) {
  static const std::map<std::string, std::string> kLike = {{"li", "li"}, {"s", "s"}, {"o.i", "a.i"},
                                                           {"d", "a.d"}, {"b", "b"}, {"m", "m"}};
  RC_ASSERT(elements.IsNull(at) == value.is_null());
  if (value.is_null()) return;
  for (int member = 0; member < elements.num_fields(); ++member) {
    const std::string name = elements.type()->field(member)->name();
    // Renamed, so that the member is checked as the column is that has its type.
    std::vector<Json> found;
    Collect(value, name, &found);
    Json document = Json::object();
    if (!found.empty()) document[kLike.at(name)] = found.at(0);
    CheckColumn(*elements.field(member), at, kLike.at(name), document);
  }
}

void CheckColumn(const arrow::Array& array, int64_t row, const std::string& path,
                 const Json& document) {
  std::vector<Json> found;
  Collect(document, path, &found);
  const Json value = found.empty() ? Json() : found.at(0);
  if (array.type_id() != arrow::Type::LIST) return CheckValue(array, row, path, value);
  const auto& list = static_cast<const arrow::ListArray&>(array);
  RC_ASSERT(list.IsNull(row) == value.is_null());
  if (value.is_null()) return;
  const Json elements = value.is_array() ? value : Json::array({value});
  RC_ASSERT(list.value_length(row) == static_cast<int32_t>(elements.size()));
  for (size_t element = 0; element < elements.size(); ++element) {
    if (list.values()->type_id() == arrow::Type::STRUCT) {
      CheckElement(static_cast<const arrow::StructArray&>(*list.values()),
                   list.value_offset(row) + static_cast<int64_t>(element), elements[element]);
      continue;
    }
    CheckValue(*list.values(), list.value_offset(row) + static_cast<int64_t>(element), path,
               elements[element]);
  }
}

RC_GTEST_PROP(SearchPageProperty, DecodesWhatADomReads, (uint64_t seed)) {
  Documents documents(seed);
  LayoutOptions options;
  options.array_fields = {"li", "lk", "n.li"};
  options.extra = seed % 2 == 0;
  auto decoder = SearchPageDecoder::Make(testing::LayoutOf(kProperties, options).ValueOrDie(),
                                         arrow::default_memory_pool())
                     .ValueOrDie();
  // Several pages into one batch, and a second batch with the same decoder.
  for (int batches = 0; batches < 2; ++batches) {
    std::vector<Json> sources;
    for (int pages = 0; pages < 2; ++pages) {
      const std::string page = documents.Page(static_cast<int>(seed % 7));
      const Json answer = Json::parse(page);
      for (const Json& hit : answer["hits"]["hits"]) sources.push_back(hit["_source"]);
      const auto summary = testing::AppendPage(*decoder, page);
      if (!summary.ok()) RC_FAIL(summary.status().ToString());
      RC_ASSERT(summary->hits == summary->total);
    }
    const auto batch = decoder->Flush().ValueOrDie();
    if (sources.empty()) {
      RC_ASSERT(batch == nullptr);
      continue;
    }
    RC_ASSERT(batch->ValidateFull().ok());
    RC_ASSERT(batch->num_rows() == static_cast<int64_t>(sources.size()));
    for (int column = 0; column < batch->num_columns() - options.extra; ++column) {
      for (int64_t row = 0; row < batch->num_rows(); ++row) {
        CheckColumn(*batch->column(column), row, batch->column_name(column), sources[row]);
      }
    }
  }
}

}  // namespace
}  // namespace bulkhaul::search
