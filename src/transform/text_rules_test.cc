#include "transform/text_rules.h"

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <arrow/api.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "transform/contract_rules.h"

namespace bulkhaul {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

using Values = std::vector<std::optional<std::string>>;

template <typename Builder>
std::shared_ptr<arrow::Array> Built(const Values& values) {
  Builder builder;
  for (const auto& value : values) {
    EXPECT_TRUE((value ? builder.Append(*value) : builder.AppendNull()).ok());
  }
  return builder.Finish().ValueOrDie();
}

// An entry for each row and one that none refers to.
std::shared_ptr<arrow::Array> DictionaryOfViews(const Values& values) {
  arrow::Int32Builder indices;
  Values entries = {"\1 nobody refers to this"};
  for (const auto& value : values) {
    if (value) entries.push_back(value);
    EXPECT_TRUE(
        (value ? indices.Append(static_cast<int32_t>(entries.size()) - 1) : indices.AppendNull())
            .ok());
  }
  return arrow::DictionaryArray::FromArrays(indices.Finish().ValueOrDie(),
                                            Built<arrow::StringViewBuilder>(entries))
      .ValueOrDie();
}

struct Kind {
  const char* name;
  std::shared_ptr<arrow::Array> (*build)(const Values&);
};
constexpr Kind kKinds[] = {{"utf8", Built<arrow::StringBuilder>},
                           {"large_utf8", Built<arrow::LargeStringBuilder>},
                           {"utf8_view", Built<arrow::StringViewBuilder>},
                           {"dictionary", Built<arrow::StringDictionaryBuilder>},
                           {"dictionary of views", DictionaryOfViews}};

ColumnRules RulesFor(const ContractColumn& column, const arrow::Array& array,
                     std::vector<RuleName>* names) {
  return ColumnRules::Make(column, 0, array.type(), names).ValueOrDie();
}

// The rules that the rows break, "" for none.
std::vector<std::string> Broken(ColumnRules& rules, const std::vector<RuleName>& names,
                                const std::shared_ptr<arrow::Array>& array) {
  constexpr int64_t kFirstRow = 3;
  RowMarks marks;
  marks.Reset(array->length() + kFirstRow);
  const auto status = rules.Check(array, kFirstRow, arrow::default_memory_pool(), &marks);
  EXPECT_TRUE(status.ok()) << status;
  std::vector<std::string> broken;
  for (int64_t i = 0; i < array->length(); ++i) {
    const int rule = marks.RuleOf(kFirstRow + i);
    broken.push_back(rule < 0 ? "" : names[static_cast<size_t>(rule)].name);
  }
  return broken;
}

TEST(TextWordsTest, AreEqualForEqualTextsWhateverLiesBehindThem) {
  for (size_t length = 0; length <= 40; ++length) {
    const std::string text(length, 'x');
    const auto words = TextWords::Of(text);
    for (const char behind : {'\0', 'x', '\xFF'}) {
      const std::string longer = text + std::string(8, behind);
      EXPECT_EQ(TextWords::OfReadable({longer.data(), length}), words) << length;
    }
    EXPECT_EQ(words.whole(), length <= 24);
    for (size_t at = 0; at < length; ++at) {
      std::string other = text;
      other[at] = 'y';
      const auto others = TextWords::Of(other);
      EXPECT_TRUE(!words.whole() || others != words) << length << ' ' << at;
      EXPECT_NE(others.HashOf(other), words.HashOf(text)) << length << ' ' << at;
    }
    EXPECT_NE(TextWords::Of(text + '\0'), words);
  }
}

TEST(TextSetTest, HoldsWhatItWasGivenAndNothingElse) {
  std::vector<std::string> texts = {"", "a", "a", std::string(1, '\0')};
  for (int i = 0; i < 3000; ++i) {
    texts.push_back(fmt::format("{:05}", i));
    // Alike but for what is not in the words.
    texts.push_back(fmt::format("the same {:05} at its beginning, the same at its end", i));
  }
  const TextSet set(texts);
  for (const auto& text : texts) EXPECT_TRUE(set.Holds(text)) << text;
  for (const char* other : {"b", "aa", "3000", "03000", "00000 ",
                            "the same 03000 at its beginning, the same at its end"}) {
    EXPECT_FALSE(set.Holds(other)) << other;
  }
  EXPECT_FALSE(TextSet({}).Holds(""));
}

// Lengths on both sides of what a view holds itself, of what its words hold and what is remembered.
TEST(TextRulesTest, EveryRepresentationNullsAndSlices) {
  const std::string view(12, 'a'), beyond(13, 'a'), long_one(64, 'b'), longer(65, 'b');
  const Values values = {"skipped",    "",           "a",          std::nullopt, "A",
                         view,         beyond,       beyond + "c", long_one,     longer,
                         longer + "C", std::nullopt, "é",          "skipped"};
  ContractColumn column;
  column.name = "v";
  for (const auto& kind : kKinds) {
    SCOPED_TRACE(kind.name);
    const auto whole = kind.build(values);
    const auto array = whole->Slice(1, whole->length() - 2);
    std::vector<RuleName> names;

    column.pattern = "[abc]*";
    column.allowed.clear();
    auto matching = RulesFor(column, *array, &names);
    const std::string p = "pattern";
    for (int i = 0; i < 3; ++i) {
      EXPECT_THAT(Broken(matching, names, array),
                  ElementsAre("", "", "", p, "", "", "", "", "", p, "", p));
    }
    EXPECT_THAT(Broken(matching, names, array->Slice(3, 1)), ElementsAre(p));
    EXPECT_THAT(Broken(matching, names, whole), testing::SizeIs(14));
    EXPECT_THAT(Broken(matching, names, array->Slice(2, 0)), IsEmpty());

    column.pattern.clear();
    column.allowed = {"", view, beyond, longer, "é"};
    names.clear();
    auto listed = RulesFor(column, *array, &names);
    const std::string n = "allowed";
    EXPECT_THAT(Broken(listed, names, array),
                ElementsAre("", n, "", n, "", "", n, n, "", n, "", ""));
    EXPECT_THAT(Broken(listed, names, array->Slice(9, 3)), ElementsAre(n, "", ""));
    EXPECT_THAT(Broken(listed, names, kind.build({})), IsEmpty());
    EXPECT_THAT(Broken(listed, names, kind.build({std::nullopt, std::nullopt})),
                ElementsAre("", ""));

    // Of several the first one counts: lengths, pattern, allowed.
    column.min_length = 1;
    column.pattern = "[abc]*";
    names.clear();
    auto all = RulesFor(column, *array, &names);
    EXPECT_THAT(Broken(all, names, array),
                ElementsAre("min_length", n, "", p, "", "", n, n, "", p, "", p));
    column.min_length = -1;
  }
}

TEST(TextRulesTest, AllowedBytes) {
  ContractColumn column;
  column.name = "v";
  column.allowed = {"ab", "cd"};
  for (const auto& build : {Built<arrow::BinaryBuilder>, Built<arrow::LargeBinaryBuilder>,
                            Built<arrow::BinaryViewBuilder>}) {
    const auto array = build({"ab", std::nullopt, "ef", "cd"});
    std::vector<RuleName> names;
    auto rules = RulesFor(column, *array, &names);
    EXPECT_THAT(Broken(rules, names, array), ElementsAre("", "", "allowed", ""))
        << array->type()->ToString();
  }
}

TEST(TextRulesTest, ANullAmongADictionarysEntriesIsANull) {
  arrow::Int32Builder indices;
  ASSERT_TRUE(indices.AppendValues({0, 1, 0}).ok());
  ASSERT_TRUE(indices.AppendNull().ok());
  const auto array =
      arrow::DictionaryArray::FromArrays(indices.Finish().ValueOrDie(),
                                         Built<arrow::StringBuilder>({"a", std::nullopt}))
          .ValueOrDie();
  ContractColumn column;
  column.name = "v";
  column.nullable = false;
  column.pattern = "[a-z]";
  std::vector<RuleName> names;
  auto rules = RulesFor(column, *array, &names);
  EXPECT_THAT(Broken(rules, names, array), ElementsAre("", "nullable", "", "nullable"));
}

// More texts than are remembered, each several times, batch after batch: what was found of one text
// is never taken for another's.
TEST(TextRulesTest, VerdictsAreThoseOfTheTextsOnly) {
  for (const int64_t different : {50, 3000, 40'000}) {
    for (const auto& kind : kKinds) {
      SCOPED_TRACE(fmt::format("{} {}", kind.name, different));
      ContractColumn column;
      column.name = "v";
      column.pattern = "[0-9]*[02468]( and a tail that makes the text a long one)?";
      std::vector<RuleName> names;
      std::optional<ColumnRules> rules;
      for (int64_t batch = 0; batch < 3; ++batch) {
        Values values;
        std::vector<std::string> expected;
        for (int64_t i = 0; i < 20'000; ++i) {
          const int64_t number = i * 7919 % different + batch;
          values.emplace_back(fmt::format(
              "{}{}", number, number % 3 == 0 ? " and a tail that makes the text a long one" : ""));
          expected.emplace_back(number % 2 == 0 ? "" : "pattern");
        }
        const auto array = kind.build(values);
        if (!rules) rules = RulesFor(column, *array, &names);
        EXPECT_EQ(Broken(*rules, names, array), expected);
      }
    }
  }
}

TEST(TextRulesTest, VerdictsAreThoseOfANaiveCheck) {
  EXPECT_TRUE(rc::check([] {
    const auto text = rc::gen::map(
        rc::gen::pair(rc::gen::inRange(0, 70),
                      rc::gen::container<std::string>(rc::gen::elementOf(std::string("aab ")))),
        [](const std::pair<int, std::string>& parts) {
          return parts.first > 20
                     ? parts.second + std::string(static_cast<size_t>(parts.first), 'a')
                     : parts.second;
        });
    const auto some = *rc::gen::nonEmpty(rc::gen::container<std::vector<std::string>>(text));
    ContractColumn column;
    column.name = "v";
    if (*rc::gen::arbitrary<bool>()) column.pattern = "a*b?";
    column.allowed = *rc::gen::container<std::vector<std::string>>(rc::gen::elementOf(some));
    column.nullable = *rc::gen::arbitrary<bool>();
    const std::set<std::string> allowed(column.allowed.begin(), column.allowed.end());
    const auto naive = [&](const std::optional<std::string>& value) -> std::string {
      if (!value) return column.nullable ? "" : "nullable";
      std::string rest = *value;
      if (rest.ends_with('b')) rest.pop_back();
      if (!column.pattern.empty() && rest.find_first_not_of('a') != std::string::npos) {
        return "pattern";
      }
      return allowed.empty() || allowed.contains(*value) ? "" : "allowed";
    };
    const auto& kind = *rc::gen::elementOf(std::vector<Kind>(std::begin(kKinds), std::end(kKinds)));
    std::vector<RuleName> names;
    auto rules = RulesFor(column, *kind.build({}), &names);
    const auto batches = *rc::gen::inRange(1, 4);
    for (int batch = 0; batch < batches; ++batch) {
      const auto values = *rc::gen::container<Values>(rc::gen::map(
          rc::gen::pair(rc::gen::inRange(0, 5), rc::gen::oneOf(text, rc::gen::elementOf(some))),
          [](const std::pair<int, std::string>& one) {
            return one.first == 0 ? std::nullopt : std::optional(one.second);
          }));
      const auto rows = static_cast<int64_t>(values.size());
      const auto first = *rc::gen::inRange<int64_t>(0, rows + 1);
      const auto count = *rc::gen::inRange<int64_t>(0, rows - first + 1);
      std::vector<std::string> expected;
      for (int64_t i = first; i < first + count; ++i) {
        expected.push_back(naive(values[static_cast<size_t>(i)]));
      }
      RC_ASSERT(Broken(rules, names, kind.build(values)->Slice(first, count)) == expected);
    }
  }));
}

}  // namespace
}  // namespace bulkhaul
