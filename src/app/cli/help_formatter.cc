#include "app/cli/help_formatter.h"

#include <sstream>
#include <string>

#include <CLI/CLI.hpp>

namespace bulkhaul {
namespace {

// Options with their texts wrapped below each other, switches as --[no-]name.
class HelpFormatter : public CLI::Formatter {
 public:
  std::string make_option(const CLI::Option* option, bool is_positional) const override {
    const std::string left = "  " + NameOf(*option, is_positional);
    return Wrapped(left, option->get_description());
  }

  std::string make_subcommand(const CLI::App* verb) const override {
    return Wrapped("  " + verb->get_name(), verb->get_description());
  }

 private:
  static constexpr size_t kTextColumn = 34;
  static constexpr size_t kLineWidth = 100;

  static std::string NameOf(const CLI::Option& option, bool is_positional) {
    if (is_positional) return option.get_name(true);
    const bool is_switch = option.get_items_expected_max() == 0;
    const auto& names = option.get_lnames();
    if (is_switch && names.size() > 1) return "--[no-]" + names[0];
    std::string text = option.get_snames().empty() ? "" : "-" + option.get_snames()[0] + ", ";
    text += "--" + names[0];
    return is_switch ? text : text + " " + option.get_type_name();
  }

  static std::string Wrapped(const std::string& left, const std::string& text) {
    std::string out = left;
    size_t column = left.size();
    if (column + 2 > kTextColumn) {
      out += "\n";
      column = 0;
    }
    std::istringstream words(text);
    bool first = true;
    for (std::string word; words >> word; first = false) {
      if (!first && column + 1 + word.size() > kLineWidth) {
        out += "\n";
        column = 0;
      }
      if (column < kTextColumn) {
        out += std::string(kTextColumn - column, ' ');
        column = kTextColumn;
      } else {
        out += ' ';
        ++column;
      }
      out += word;
      column += word.size();
    }
    return out + "\n";
  }
};

}  // namespace

std::shared_ptr<CLI::FormatterBase> MakeHelpFormatter() {
  return std::make_shared<HelpFormatter>();
}

}  // namespace bulkhaul
