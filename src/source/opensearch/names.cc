#include "source/opensearch/names.h"

#include <algorithm>
#include <chrono>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "plan/job_spec.h"

namespace bulkhaul::opensearch {
namespace {

using Json = nlohmann::json;

// Names of dated patterns that are looked for one by one.
constexpr size_t kNamesCheckedMax = 10'000;

struct DateParts {
  int year = 0;
  unsigned month = 1, day = 1, hour = 0;
  char finest = 'Y';
};

size_t WidthOf(char conversion) { return conversion == 'Y' ? 4 : 2; }
bool IsConversion(char c) { return c == 'Y' || c == 'm' || c == 'd' || c == 'H'; }
// How much longer a span each is than the one after it.
int RankOf(char conversion) { return static_cast<int>(std::string_view("YmdH").find(conversion)); }

std::chrono::year_month_day DayOf(const DateParts& parts) {
  return {std::chrono::year(parts.year), std::chrono::month(parts.month),
          std::chrono::day(parts.day)};
}

int64_t StartMs(const DateParts& parts) {
  return std::chrono::sys_days(DayOf(parts)).time_since_epoch().count() * kDayMs +
         parts.hour * kHourMs;
}

DateParts PartsAt(int64_t time_ms, char finest) {
  const auto days = std::chrono::floor<std::chrono::days>(
      std::chrono::sys_time<std::chrono::milliseconds>(std::chrono::milliseconds(time_ms)));
  const std::chrono::year_month_day date = days;
  DateParts parts;
  parts.finest = finest;
  parts.year = static_cast<int>(date.year());
  if (RankOf(finest) >= 1) parts.month = static_cast<unsigned>(date.month());
  if (RankOf(finest) >= 2) parts.day = static_cast<unsigned>(date.day());
  if (finest == 'H') {
    parts.hour =
        static_cast<unsigned>((time_ms - days.time_since_epoch().count() * kDayMs) / kHourMs);
  }
  return parts;
}

int64_t EndMs(const DateParts& parts) {
  using namespace std::chrono;
  if (parts.finest == 'H') return StartMs(parts) + kHourMs;
  if (parts.finest == 'd') return StartMs(parts) + kDayMs;
  const auto next = DayOf(parts) + (parts.finest == 'Y' ? months(12) : months(1));
  return sys_days(next).time_since_epoch().count() * kDayMs;
}

char FinestOf(std::string_view pattern) {
  char finest = 'Y';
  for (size_t i = 0; i + 1 < pattern.size(); ++i) {
    if (pattern[i] != '%') continue;
    const char conversion = pattern[++i];
    if (IsConversion(conversion) && RankOf(conversion) > RankOf(finest)) finest = conversion;
  }
  return finest;
}

std::string NameAt(std::string_view pattern, const DateParts& parts) {
  std::string name;
  for (size_t i = 0; i < pattern.size(); ++i) {
    if (pattern[i] != '%' || i + 1 >= pattern.size()) {
      name += pattern[i];
      continue;
    }
    switch (pattern[++i]) {
      case '%':
        name += '%';
        break;
      case 'Y':
        name += fmt::format("{:04}", parts.year);
        break;
      case 'm':
        name += fmt::format("{:02}", parts.month);
        break;
      case 'd':
        name += fmt::format("{:02}", parts.day);
        break;
      default:
        name += fmt::format("{:02}", parts.hour);
    }
  }
  return name;
}

Result<NamePattern> ParsePattern(std::string_view item) {
  NamePattern pattern;
  if (item.starts_with('-')) {
    pattern.exclude = true;
    item.remove_prefix(1);
  }
  pattern.written = item;
  if (item.empty()) return OptionError("the index expression has an empty item");
  if (const size_t selector = item.find("::"); selector != std::string_view::npos) {
    return OptionError(fmt::format(
        "'{}' asks for a part of a data stream, which is not read: '{}' names the stream's data, "
        "without its failure store",
        item, item.substr(0, selector)));
  }
  if (item.find(':') != std::string_view::npos) {
    return OptionError(
        fmt::format("'{}' names another cluster: connect to that cluster instead", item));
  }
  if (item.find_first_of(" \"\\<>|?#/") != std::string_view::npos) {
    return OptionError(fmt::format("'{}' cannot be the name of an index", item));
  }
  bool has_year = false;
  for (size_t i = 0; i < item.size(); ++i) {
    if (item[i] != '%') {
      pattern.wildcard += item[i];
      continue;
    }
    if (item.substr(i + 1).starts_with('%')) {
      pattern.wildcard += item[i++];
      continue;
    }
    if (i + 1 >= item.size() || !IsConversion(item[i + 1])) {
      return OptionError(
          fmt::format("'{}': a dated pattern knows %Y, %m, %d and %H, and %% for a '%'", item));
    }
    has_year |= item[i + 1] == 'Y';
    pattern.dated = true;
    ++i;
    pattern.wildcard += '*';
  }
  if (pattern.dated && !has_year) {
    return OptionError(fmt::format("'{}': a dated pattern needs the year, %Y", item));
  }
  return pattern;
}

std::string Shown(const std::vector<std::string>& names, size_t names_max) {
  std::string text;
  for (size_t i = 0; i < std::min(names.size(), names_max); ++i) {
    text += (i == 0 ? "" : ", ") + names[i];
  }
  if (names.size() > names_max) text += fmt::format(" and {} more", names.size() - names_max);
  return text;
}

bool IsExcluded(std::span<const std::string> excluded, const std::string& name) {
  return std::any_of(excluded.begin(), excluded.end(), [&](const std::string& pattern) {
    return PatternMatches(pattern, {"", name});
  });
}

// The names that the job excludes, and the indices of those names that others lead to.
void TakeAway(std::span<const std::string> excluded, ResolvedPattern* found) {
  const auto is_out = [&](const std::string& name) { return IsExcluded(excluded, name); };
  std::erase_if(found->indices, [&](const auto& index) { return is_out(index.name); });
  const auto leads_out = [&](const std::string& index) {
    const auto known = found->led_to.find(index);
    return is_out(index) || (known != found->led_to.end() && !known->second.data_stream.empty() &&
                             is_out(known->second.data_stream));
  };
  for (auto* lists : {&found->aliases, &found->data_streams, &found->hidden}) {
    std::erase_if(*lists, [&](const auto& entry) { return is_out(entry.first); });
    for (auto& [name, indices] : *lists) std::erase_if(indices, leads_out);
  }
}

// Collects the spans of all patterns.
class Joiner {
 public:
  Joiner(const std::vector<TimeRange>& ranges, std::span<const std::string> excluded)
      : ranges_(ranges), excluded_(excluded) {}

  Status Add(const NamePattern& pattern, ResolvedPattern found) {
    TakeAway(excluded_, &found);
    size_t matched = 0;
    const auto add = [&](const std::string& index, const std::string& alias) {
      ++matched;
      const auto known = found.led_to.find(index);
      if (known != found.led_to.end() && !known->second.open) {
        closed_.insert(index);
        return;
      }
      IndexSpan& span = spans_[index];
      span.index = index;
      ++named_[index];
      if (alias.empty()) {
        span.whole = true;
      } else {
        span.aliases.insert(alias);
        if (known != found.led_to.end()) span.data_stream = known->second.data_stream;
      }
    };
    for (const auto& index : found.indices) {
      if (pattern.dated && !pattern.SpanOf(index.name)) continue;
      if (index.system && pattern.has_wildcard()) continue;
      if (index.open) {
        add(index.name, "");
      } else {
        ++matched;
        closed_.insert(index.name);
      }
    }
    for (const auto& [alias, indices] : found.aliases) {
      if (pattern.dated && !pattern.SpanOf(alias)) continue;
      for (const auto& index : indices) add(index, alias);
    }
    for (const auto& [stream, indices] : found.data_streams) {
      if (pattern.dated && !pattern.SpanOf(stream)) continue;
      for (const auto& index : indices) add(index, "");
    }
    std::vector<std::string> hidden;
    for (const auto& [name, indices] : found.hidden) {
      if (indices.empty() || (pattern.dated && !pattern.SpanOf(name))) continue;
      hidden.push_back(name);
      hidden_[name] = indices;
    }
    if (matched == 0 && !hidden.empty()) {
      return UserError(fmt::format("'{}' matches hidden names only, which a wildcard leaves out: "
                                   "{}; name what you want of them without one",
                                   pattern.written, Shown(hidden, 5)),
                       "no_such_index");
    }
    if (matched == 0) {
      return UserError(fmt::format("'{}' matches no index, alias or data stream{}", pattern.written,
                                   pattern.has_wildcard() ? "" : " of the cluster"),
                       "no_such_index");
    }
    if (pattern.dated) {
      NoteMissing(pattern, found);
    } else if (const auto dated = DatedForm(pattern, found)) {
      NoteMissing(*dated, found);
    }
    return Status::OK();
  }

  void Remove(const NamePattern& pattern, const ResolvedPattern& found) {
    std::erase_if(missing_, [&](const auto& name) { return pattern.SpanOf(name).has_value(); });
    std::erase_if(hidden_, [&](const auto& e) { return pattern.SpanOf(e.first).has_value(); });
    const auto drop = [&](const std::string& index) {
      for (auto& [name, indices] : hidden_) std::erase(indices, index);
      spans_.erase(index);
      closed_.erase(index);
      named_.erase(index);
    };
    for (const auto& index : found.indices) drop(index.name);
    for (const auto& [alias, indices] : found.aliases) {
      for (const auto& index : indices) drop(index);
    }
    for (const auto& [stream, indices] : found.data_streams) {
      for (const auto& index : indices) drop(index);
    }
  }

  ResolvedNames Finish() {
    ResolvedNames names;
    std::vector<std::string> twice;
    for (auto& [index, span] : spans_) {
      if (named_[index] > 1) twice.push_back(index);
      names.spans.push_back(std::move(span));
    }
    if (!twice.empty()) {
      names.notes.push_back(
          fmt::format("{} {} named more than once and read once: {}", twice.size(),
                      twice.size() == 1 ? "index is" : "indices are", Shown(twice, 5)));
    }
    names.closed.assign(closed_.begin(), closed_.end());
    if (!missing_.empty()) {
      names.notes.push_back(fmt::format("no index for {} of the dates asked for: {}",
                                        missing_.size(), Shown(missing_, 5)));
    }
    if (const auto hidden = LeftHidden(); !hidden.empty()) {
      names.notes.push_back(fmt::format(
          "left out because hidden, which a wildcard does not name: {}", Shown(hidden, 5)));
    }
    names.missing = std::move(missing_);
    return names;
  }

 private:
  // The hidden names that lead to an index to which no other name leads.
  std::vector<std::string> LeftHidden() const {
    const auto is_known = [&](const std::string& index) {
      return spans_.contains(index) || closed_.contains(index);
    };
    std::vector<std::string> names;
    for (const auto& [name, indices] : hidden_) {
      if (!std::all_of(indices.begin(), indices.end(), is_known)) names.push_back(name);
    }
    return names;
  }

  // The dated pattern that all names that a wildcard found are of: "logs-%Y.%m.%d" for "logs-*".
  static std::optional<NamePattern> DatedForm(const NamePattern& pattern,
                                              const ResolvedPattern& found) {
    const size_t star = pattern.written.find('*');
    if (star == std::string::npos || pattern.written.find('*', star + 1) != std::string::npos) {
      return std::nullopt;
    }
    std::vector<std::string> names;
    for (const auto& index : found.indices) names.push_back(index.name);
    for (const auto& [alias, indices] : found.aliases) names.push_back(alias);
    for (const auto& [stream, indices] : found.data_streams) names.push_back(stream);
    if (names.size() < 2) return std::nullopt;
    for (const char* form : {"%Y.%m.%d", "%Y-%m-%d", "%Y%m%d", "%Y.%m", "%Y-%m", "%Y%m"}) {
      NamePattern dated = pattern;
      dated.dated = true;
      dated.written.replace(star, 1, form);
      const auto fits = [&](const std::string& name) { return dated.SpanOf(name).has_value(); };
      if (std::all_of(names.begin(), names.end(), fits)) return dated;
    }
    return std::nullopt;
  }

  // An open end of a range reaches to the first or last date that has an index. A name that is
  // excluded is not missed.
  void NoteMissing(const NamePattern& pattern, const ResolvedPattern& found) {
    std::set<std::string> there;
    for (const auto& index : found.indices) there.insert(index.name);
    for (const auto& [alias, indices] : found.aliases) there.insert(alias);
    for (const auto& [stream, indices] : found.data_streams) there.insert(stream);
    for (const auto& [name, indices] : found.hidden) there.insert(name);
    if (pattern.written.find('*') != std::string::npos) return;
    TimeRange dated{TimeRange::kOpenEnd, TimeRange::kOpenBegin};
    for (const auto& name : there) {
      const auto span = pattern.SpanOf(name);
      if (!span) continue;
      dated.begin_ms = std::min(dated.begin_ms, span->begin_ms);
      dated.end_ms = std::max(dated.end_ms, span->end_ms);
    }
    const std::vector<TimeRange> all = {TimeRange()};
    for (TimeRange range : ranges_.empty() ? all : ranges_) {
      if (range.begin_ms == TimeRange::kOpenBegin) range.begin_ms = dated.begin_ms;
      if (range.end_ms == TimeRange::kOpenEnd) range.end_ms = dated.end_ms;
      if (range.begin_ms >= range.end_ms) continue;
      for (auto& name : pattern.NamesFor(range, kNamesCheckedMax)) {
        if (there.contains(name) || IsExcluded(excluded_, name)) continue;
        missing_.push_back(std::move(name));
      }
    }
  }

  const std::vector<TimeRange>& ranges_;
  const std::span<const std::string> excluded_;
  std::map<std::string, IndexSpan> spans_;
  std::map<std::string, int> named_;
  std::set<std::string> closed_;
  std::vector<std::string> missing_;
  std::map<std::string, std::vector<std::string>> hidden_;
};

std::vector<std::string> TextList(const Json& value) {
  std::vector<std::string> texts;
  if (value.is_string()) texts.push_back(value.get<std::string>());
  if (!value.is_array()) return texts;
  for (const auto& one : value) {
    if (one.is_string()) texts.push_back(one.get<std::string>());
  }
  return texts;
}

}  // namespace

std::optional<TimeRange> NamePattern::SpanOf(std::string_view name) const {
  DateParts parts;
  parts.finest = FinestOf(written);
  // Literals and dates match at one place only, unless there is a '*': then the first that fits.
  const auto match = [&](auto&& self, std::string_view pattern, std::string_view rest,
                         DateParts* found) -> bool {
    for (; !pattern.empty(); pattern.remove_prefix(1)) {
      if (pattern.front() == '*') {
        for (size_t skip = 0; skip <= rest.size(); ++skip) {
          DateParts tried = *found;
          if (self(self, pattern.substr(1), rest.substr(skip), &tried)) {
            *found = tried;
            return true;
          }
        }
        return false;
      }
      if (pattern.front() != '%') {
        if (!rest.starts_with(pattern.front())) return false;
        rest.remove_prefix(1);
        continue;
      }
      pattern.remove_prefix(1);
      if (pattern.starts_with('%')) {
        if (!rest.starts_with('%')) return false;
        rest.remove_prefix(1);
        continue;
      }
      const size_t width = WidthOf(pattern.front());
      if (rest.size() < width) return false;
      unsigned value = 0;
      for (size_t i = 0; i < width; ++i) {
        if (rest[i] < '0' || rest[i] > '9') return false;
        value = value * 10 + static_cast<unsigned>(rest[i] - '0');
      }
      rest.remove_prefix(width);
      if (pattern.front() == 'Y') found->year = static_cast<int>(value);
      if (pattern.front() == 'm') found->month = value;
      if (pattern.front() == 'd') found->day = value;
      if (pattern.front() == 'H') found->hour = value;
    }
    return rest.empty();
  };
  if (!match(match, written, name, &parts) || !DayOf(parts).ok() || parts.hour > 23) {
    return std::nullopt;
  }
  return TimeRange{StartMs(parts), EndMs(parts)};
}

std::vector<std::string> ResolvedPattern::NamesLedTo() const {
  std::set<std::string> names;
  for (const auto* lists : {&aliases, &data_streams}) {
    for (const auto& [name, leads_to] : *lists) names.insert(leads_to.begin(), leads_to.end());
  }
  return {names.begin(), names.end()};
}

std::vector<std::string> NamePattern::NamesFor(const TimeRange& range, size_t names_max) const {
  std::vector<std::string> names;
  if (!dated || range.empty()) return names;
  DateParts parts = PartsAt(range.begin_ms, FinestOf(written));
  while (names.size() < names_max && StartMs(parts) < range.end_ms) {
    names.push_back(NameAt(written, parts));
    parts = PartsAt(EndMs(parts), parts.finest);
  }
  return names;
}

Result<std::vector<NamePattern>> ParseExpression(std::string_view expression) {
  std::vector<NamePattern> patterns;
  while (true) {
    const size_t comma = std::min(expression.find(','), expression.size());
    ARROW_ASSIGN_OR_RAISE(auto pattern, ParsePattern(expression.substr(0, comma)));
    if (pattern.exclude && patterns.empty()) {
      return OptionError(fmt::format("'-{}' takes nothing away: it comes first", pattern.written));
    }
    patterns.push_back(std::move(pattern));
    if (comma == expression.size()) return patterns;
    expression.remove_prefix(comma + 1);
  }
}

Result<ResolvedPattern> ParseResolved(std::string_view answer) {
  const Json root = Json::parse(answer, nullptr, false);
  if (!root.is_object() || !root.contains("indices")) {
    return PermanentError("the cluster's answer to _resolve/index is not understood");
  }
  ResolvedPattern resolved;
  try {
    for (const auto& index : root["indices"]) {
      const auto attributes = TextList(index.value("attributes", Json::array()));
      const auto has = [&](const char* name) {
        return std::find(attributes.begin(), attributes.end(), name) != attributes.end();
      };
      resolved.indices.push_back(
          {index.value("name", ""), !has("closed"), has("system"), index.value("data_stream", "")});
    }
    for (const auto& alias : root.value("aliases", Json::array())) {
      resolved.aliases[alias.value("name", "")] = TextList(alias.value("indices", Json::array()));
    }
    for (const auto& stream : root.value("data_streams", Json::array())) {
      resolved.data_streams[stream.value("name", "")] =
          TextList(stream.value("backing_indices", Json::array()));
    }
  } catch (const Json::exception& error) {
    return PermanentError(fmt::format("the cluster's answer to _resolve/index: {}", error.what()));
  }
  return resolved;
}

void FindHidden(const ResolvedPattern& with_hidden, ResolvedPattern* found) {
  std::set<std::string> named;
  for (const auto& index : found->indices) named.insert(index.name);
  for (const auto& index : with_hidden.indices) {
    const bool own = index.system || !index.data_stream.empty() || index.name.starts_with('.');
    if (!own && !named.contains(index.name)) found->hidden[index.name] = {index.name};
  }
  const auto compare = [&](const auto& all, const auto& seen) {
    for (const auto& [name, indices] : all) {
      if (!name.starts_with('.') && !seen.contains(name)) found->hidden[name] = indices;
    }
  };
  compare(with_hidden.aliases, found->aliases);
  compare(with_hidden.data_streams, found->data_streams);
}

Result<ResolvedNames> JoinNames(std::span<const NamePattern> patterns,
                                std::span<const ResolvedPattern> resolved,
                                const std::vector<TimeRange>& ranges,
                                std::span<const std::string> excluded) {
  Joiner joiner(ranges, excluded);
  for (size_t i = 0; i < patterns.size(); ++i) {
    if (patterns[i].exclude) {
      joiner.Remove(patterns[i], resolved[i]);
    } else {
      ARROW_RETURN_NOT_OK(joiner.Add(patterns[i], resolved[i]));
    }
  }
  ResolvedNames names = joiner.Finish();
  if (names.spans.empty() && names.closed.empty()) {
    return UserError("nothing is left of the indices after what the expression takes away",
                     "no_such_index");
  }
  return names;
}

}  // namespace bulkhaul::opensearch
