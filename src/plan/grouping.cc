#include "plan/grouping.h"

#include <algorithm>
#include <array>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "base/text.h"

namespace bulkhaul {
namespace {

constexpr std::pair<const char*, TimePart> kTimeParts[] = {
    {"minute", TimePart::kMinute}, {"hour", TimePart::kHour},   {"day", TimePart::kDay},
    {"week", TimePart::kWeek},     {"month", TimePart::kMonth}, {"quarter", TimePart::kQuarter},
    {"year", TimePart::kYear}};
constexpr std::pair<const char*, AggregateFunction> kFunctions[] = {
    {"count", AggregateFunction::kCount}, {"sum", AggregateFunction::kSum},
    {"min", AggregateFunction::kMin},     {"max", AggregateFunction::kMax},
    {"mean", AggregateFunction::kMean},   {"avg", AggregateFunction::kMean}};

template <typename T, size_t N>
std::optional<T> Named(const std::pair<const char*, T> (&table)[N], std::string_view name) {
  for (const auto& [known, value] : table) {
    if (name == known) return value;
  }
  return std::nullopt;
}

template <typename T, size_t N>
std::string Suggestion(const std::pair<const char*, T> (&table)[N], std::string_view name) {
  std::vector<std::string> names;
  for (const auto& entry : table) names.emplace_back(entry.first);
  const auto nearest = NearestName(name, names);
  return nearest ? "; did you mean '" + *nearest + "'?"
                 : fmt::format("; there are {}", fmt::join(names, ", "));
}

std::string_view Trimmed(std::string_view text) {
  const auto blank = [](char c) { return c == ' ' || c == '\t' || c == '\n'; };
  while (!text.empty() && blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && blank(text.back())) text.remove_suffix(1);
  return text;
}

// "function(argument) as name"; without parentheses all is `function`.
struct Call {
  std::string function, argument, name;
  bool has_argument = false;
};

Result<Call> ParseCall(std::string_view text, const char* option) {
  Call call;
  std::string_view rest = Trimmed(text);
  const size_t close = rest.rfind(')');
  const size_t as = rest.find(" as ", close == std::string_view::npos ? 0 : close);
  // A key is a column's name as it stands, and that may hold " as "; only calls are given names.
  if (as != std::string_view::npos && close != std::string_view::npos) {
    call.name = Trimmed(rest.substr(as + 4));
    if (call.name.empty()) {
      return UserError(fmt::format("{}: '{}' has no name after 'as'", option, text));
    }
    rest = Trimmed(rest.substr(0, as));
  }
  const size_t open = rest.find('(');
  if (open == std::string_view::npos || !rest.ends_with(')')) {
    call.function = rest;
  } else {
    call.function = Trimmed(rest.substr(0, open));
    call.argument = Trimmed(rest.substr(open + 1, rest.size() - open - 2));
    call.has_argument = true;
  }
  if (call.function.empty()) return UserError(fmt::format("{}: an entry is empty", option));
  return call;
}

Result<GroupKey> ParseKey(const std::string& text) {
  ARROW_ASSIGN_OR_RAISE(const Call call, ParseCall(text, "group_by"));
  GroupKey key;
  if (!call.has_argument) {
    key.column = call.function;
    key.name = key.column;
    return key;
  }
  const auto part = Named(kTimeParts, call.function);
  if (!part) {
    return UserError(fmt::format("group_by: '{}' is no part of a time{}", call.function,
                                 Suggestion(kTimeParts, call.function)));
  }
  if (call.argument.empty()) {
    return UserError(fmt::format("group_by: '{}' needs a column", text));
  }
  key.part = *part;
  key.column = call.argument;
  key.name = call.name.empty() ? call.function + "_" + call.argument : call.name;
  return key;
}

Result<Aggregate> ParseAggregate(const std::string& text) {
  ARROW_ASSIGN_OR_RAISE(Call call, ParseCall(text, "aggregates"));
  // "count as rows": the one call that needs no parentheses.
  if (!call.has_argument && call.function.starts_with("count as ")) {
    call.name = Trimmed(std::string_view(call.function).substr(9));
    call.function = "count";
  }
  const auto function = Named(kFunctions, call.function);
  if (!function) {
    return UserError(fmt::format("aggregates: '{}' is no aggregate{}", call.function,
                                 Suggestion(kFunctions, call.function)));
  }
  Aggregate aggregate;
  aggregate.function = *function;
  if (call.argument != "*" || *function != AggregateFunction::kCount) {
    aggregate.column = call.argument;
  }
  if (aggregate.column.empty() && *function != AggregateFunction::kCount) {
    return UserError(
        fmt::format("aggregates: {} needs a column: {}(total)", call.function, call.function));
  }
  aggregate.name = !call.name.empty()         ? call.name
                   : aggregate.column.empty() ? call.function
                                              : call.function + "_" + aggregate.column;
  return aggregate;
}

Status CheckNames(const Grouping& grouping) {
  std::set<std::string> taken;
  const auto take = [&](const std::string& name) {
    if (taken.insert(name).second) return Status::OK();
    return UserError(
        fmt::format("group_by: two columns of the result would be called '{}'; name "
                    "one: sum(total) as revenue",
                    name));
  };
  for (const auto& key : grouping.keys) ARROW_RETURN_NOT_OK(take(key.name));
  for (const auto& aggregate : grouping.aggregates) ARROW_RETURN_NOT_OK(take(aggregate.name));
  return Status::OK();
}

Status CheckCompany(const Options& options) {
  if (options.GetBool("shrink")) {
    return UserError(
        "group_by and shrink do not go together: the result is small already; give "
        "its columns their types with cast, or leave out shrink");
  }
  return Status::OK();
}

}  // namespace

const char* TimePartName(TimePart part) {
  for (const auto& [name, value] : kTimeParts) {
    if (value == part) return name;
  }
  return "";
}

const char* AggregateFunctionName(AggregateFunction function) {
  for (const auto& [name, value] : kFunctions) {
    if (value == function) return name;
  }
  return "";
}

Result<std::optional<Grouping>> GroupingOf(const Options& options) {
  const StringList& keys = options.GetList("group_by");
  const StringList& aggregates = options.GetList("aggregates");
  if (keys.empty() && aggregates.empty()) return std::nullopt;
  Grouping grouping;
  for (const auto& text : keys) {
    ARROW_ASSIGN_OR_RAISE(auto key, ParseKey(text));
    grouping.keys.push_back(std::move(key));
  }
  for (const auto& text : aggregates) {
    ARROW_ASSIGN_OR_RAISE(auto aggregate, ParseAggregate(text));
    grouping.aggregates.push_back(std::move(aggregate));
  }
  ARROW_RETURN_NOT_OK(CheckNames(grouping));
  ARROW_RETURN_NOT_OK(CheckCompany(options));
  return grouping;
}

Result<StringList> ColumnsForGrouping(const Options& options) {
  ARROW_ASSIGN_OR_RAISE(const auto grouping, GroupingOf(options));
  StringList columns;
  if (!grouping || !options.GetList("columns").empty()) return columns;
  const auto& renamed = options.GetPairs("rename");
  const auto add = [&](const std::string& name) {
    if (name.empty()) return;
    const auto pair = std::find_if(renamed.begin(), renamed.end(),
                                   [&](const auto& entry) { return entry.second == name; });
    const std::string& read = pair == renamed.end() ? name : pair->first;
    if (std::find(columns.begin(), columns.end(), read) == columns.end()) columns.push_back(read);
  };
  for (const auto& key : grouping->keys) add(key.column);
  for (const auto& aggregate : grouping->aggregates) add(aggregate.column);
  // count alone: whatever is read tells it.
  if (columns.empty()) return columns;
  for (const auto& entry : renamed) add(entry.second);
  for (const auto& entry : options.GetPairs("cast")) add(entry.first);
  return columns;
}

}  // namespace bulkhaul
