#include "app/cli/completion.h"

#include <algorithm>

#include <fmt/format.h>

#include "app/cli/command_line.h"
#include "app/cli/terminal.h"
#include "plan/job_file.h"
#include "plan/option_table.h"

namespace bulkhaul {
namespace {

std::string Choices(const OptionSpec& spec) {
  std::string words = spec.choices;
  std::replace(words.begin(), words.end(), '|', ' ');
  return words;
}

std::string BashScript() {
  std::string script =
      "# bulkhaul completion for bash: source <(bulkhaul completion bash)\n"
      "_bulkhaul() {\n"
      "  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]} words=\n"
      "  case $previous in\n";
  for (const auto& spec : OptionTable()) {
    if (spec.type != OptionType::kEnum) continue;
    script += fmt::format("    {}) words='{}' ;;\n", FlagNameOf(spec.name), Choices(spec));
  }
  script +=
      "  esac\n"
      "  if [ -z \"$words\" ] && [ \"$COMP_CWORD\" = 1 ]; then\n";
  script += fmt::format("    words='{}'\n", fmt::join(VerbNames(), " "));
  script +=
      "  elif [ -z \"$words\" ] && [[ $current == -* ]]; then\n"
      "    case ${COMP_WORDS[1]} in\n";
  for (const auto& verb : VerbNames()) {
    script += fmt::format("      {}) words='{}' ;;\n", verb, fmt::join(FlagNames(verb), " "));
  }
  script +=
      "    esac\n"
      "  fi\n"
      "  if [ -n \"$words\" ]; then\n"
      "    mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$current\")\n"
      "  else\n"
      "    mapfile -t COMPREPLY < <(compgen -f -- \"$current\")\n"
      "  fi\n"
      "}\n"
      "complete -o filenames -F _bulkhaul bulkhaul\n";
  return script;
}

}  // namespace

Result<std::string> CompletionScript(const std::string& shell) {
  if (shell == "bash") return BashScript();
  if (shell == "zsh") {
    return "# bulkhaul completion for zsh: source <(bulkhaul completion zsh)\n"
           "autoload -Uz bashcompinit && bashcompinit\n" +
           BashScript();
  }
  return UsageError(fmt::format("there is no completion for '{}': bash or zsh", shell));
}

}  // namespace bulkhaul
