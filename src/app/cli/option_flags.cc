#include "app/cli/option_flags.h"

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "plan/job_file.h"

namespace bulkhaul {
namespace {

std::string ValueName(const OptionSpec& spec) {
  switch (spec.type) {
    case OptionType::kInt:
    case OptionType::kDouble:
      return "NUMBER";
    case OptionType::kBytes:
      return "SIZE";
    case OptionType::kDurationMs:
      return "DURATION";
    case OptionType::kEnum:
      return spec.choices;
    case OptionType::kList:
      return "NAME,…";
    case OptionType::kPairs:
      return "NAME=VALUE,…";
    case OptionType::kBool:
    case OptionType::kString:
      break;
  }
  return "TEXT";
}

}  // namespace

void OptionFlags::AddTo(CLI::App* app, const std::function<bool(const OptionSpec&)>& wanted) {
  for (const auto& spec : OptionTable()) {
    if (!wanted(spec)) continue;
    auto& texts = texts_[spec.name];
    const std::string flag = FlagNameOf(spec.name);
    std::string help = spec.help;
    if (spec.type == OptionType::kBool) {
      if (std::string_view(spec.default_text) == "true") help += " On by default.";
      app->add_flag(fmt::format("{}{{true}},--no-{}{{false}}", flag, flag.substr(2)), texts, help)
          ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
          ->group(spec.group);
      continue;
    }
    if (*spec.default_text != '\0' && std::string_view(spec.default_text) != "0") {
      help += fmt::format(" [{}]", spec.default_text);
    }
    app->add_option(flag, texts, help)
        ->type_name(ValueName(spec))
        ->expected(1)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
        ->allow_extra_args(false)  // the word after the value is not a second value
        ->group(spec.group);
  }
}

std::vector<std::pair<std::string, std::string>> OptionFlags::settings() const {
  std::vector<std::pair<std::string, std::string>> result;
  for (const auto& [name, texts] : texts_) {
    for (const auto& text : texts) result.emplace_back(name, text);
  }
  return result;
}

}  // namespace bulkhaul
