#include "app/cli/command_line.h"

#include <signal.h>
#include <unistd.h>

#include <cstring>
#include <functional>
#include <memory>
#include <sstream>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "app/cli/completion.h"
#include "app/cli/help_formatter.h"
#include "app/cli/option_flags.h"
#include "app/cli/terminal.h"
#include "app/cli/verbs.h"
#include "app/registry.h"
#include "base/log.h"
#include "base/secret.h"
#include "base/text.h"

namespace bulkhaul {
namespace {

constexpr int64_t kCancelWaitMs = 15'000;

// Everything that any verb's arguments are parsed into.
struct Parsed {
  JobArguments job;
  OptionFlags flags;
  std::vector<std::string> words;  // positionals of verbs that take a varying number
  std::string word;
  std::string older_than = "30d";
  int64_t days = 30;
  bool all_jobs = false;
  bool brief = false;
  bool dry_run = false;
  QueryRequest query;
  std::string output;
};

using Run = std::function<Result<int>()>;

struct Verb {
  std::string name;
  std::unique_ptr<Parsed> parsed;
  CLI::App* app = nullptr;
  Run run;
};

// Without the runs of empty lines that the library leaves between groups.
std::string HelpText(CLI::App& app, const std::string& before) {
  std::string text = app.help(before);
  for (size_t at; (at = text.find("\n\n\n")) != std::string::npos;) text.erase(at, 1);
  return text;
}

class Program {
 public:
  Program()
      : app_(
            "Moves whole tables out of databases into files: in parallel, resumable, whole "
            "or not at all.",
            "bulkhaul") {
    app_.require_subcommand(0, 1);
    app_.formatter(MakeHelpFormatter());
    app_.footer(
        "Each verb has its own help: bulkhaul copy --help\n"
        "Exit codes: 0 done, 1 failed, 2 bad usage or configuration, 3 finished with failed "
        "tables,\n4 a schema has changed (drift), 130 cancelled and resumable.");
    AddCopy();
    AddRun();
    AddPlan();
    AddResume();
    AddJobs();
    AddDiscover();
    AddContract();
    AddVerify();
    AddCache();
    AddQuery();
    AddOthers();
  }

  CLI::App& app() { return app_; }
  const std::vector<Verb>& verbs() const { return verbs_; }

 private:
  Parsed* Add(const std::string& name, const std::string& description,
              const std::string& examples) {
    Verb verb;
    verb.name = name;
    verb.parsed = std::make_unique<Parsed>();
    verb.app = app_.add_subcommand(name, description);
    verb.app->footer("Example:\n" + examples);
    verbs_.push_back(std::move(verb));
    return verbs_.back().parsed.get();
  }
  CLI::App* last() { return verbs_.back().app; }
  void SetRun(Run run) { verbs_.back().run = std::move(run); }

  // --query is the flag of queries that become tables.
  static bool AnyOption(const OptionSpec& option) {
    return std::string_view(option.name) != "query";
  }

  void AddSelection(Parsed* parsed) {
    const auto add = [&](const char* flag, std::vector<std::string>* out, const char* value,
                         const char* help) {
      last()
          ->add_option(flag, *out, help)
          ->type_name(value)
          ->expected(1)
          ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
          ->allow_extra_args(false)  // the word after the value is not a second value
          ->group("Tables");
    };
    auto& job = parsed->job;
    add("--table", &job.tables, "PATTERN",
        "Table to take: name or schema.name, with * ? [a-z]; may be given several times.");
    add("--schema", &job.schemas, "PATTERN",
        "Every table of a schema; may be given several times.");
    last()
        ->add_flag("--all", job.all, "Every table; also meant when nothing is named.")
        ->group("Tables");
    add("--exclude", &job.exclude, "PATTERN", "Table to leave out; may be given several times.");
    add("--query", &job.queries, "SQL",
        "Result of a query as a table; read in parallel with --split-by.");
    add("--query-name", &job.query_names, "NAME", "Name for the query's result [query].");
  }

  void AddOutput(Parsed* parsed) {
    last()
        ->add_option("--output", parsed->output, "Form of what is printed on stdout. [text]")
        ->type_name("text|json");
  }

  static Result<OutputForm> FormOf(const Parsed& parsed) {
    JobArguments arguments;
    if (!parsed.output.empty()) arguments.settings = {{"output", parsed.output}};
    ARROW_ASSIGN_OR_RAISE(const auto job, AssembleJob(arguments, ProcessEnvironment()));
    return OutputFormOf(job.options);
  }

  static Result<JobSpec> JobOf(Parsed* parsed) {
    parsed->job.settings = parsed->flags.settings();
    return AssembleJob(parsed->job, ProcessEnvironment());
  }

  void AddCopy() {
    auto* parsed =
        Add("copy", "Copies tables, files, documents or query results to a destination.",
            "  bulkhaul copy postgres://user@host/db ./exports --table 'public.*' --workers 8\n"
            "  bulkhaul copy './data/*.csv.gz' postgres://user@host/db --if-exists append");
    last()
        ->add_option("source", parsed->job.source,
                     "postgres://user@host/db, path.db, opensearch://host:9200/logs-*, "
                     "files or a folder ('./data/*.csv'), duckdb:, generator:preset=orders")
        ->required();
    last()
        ->add_option("destination", parsed->job.destination,
                     "Folder for the files, one file (./orders.csv.gz), or "
                     "postgres://user@host/db.")
        ->required();
    AddSelection(parsed);
    parsed->flags.AddTo(last(), AnyOption);
    SetRun([parsed]() -> Result<int> {
      ARROW_ASSIGN_OR_RAISE(auto job, JobOf(parsed));
      return RunCopy(std::move(job));
    });
  }

  void AddRun() {
    auto* parsed = Add("run", "Runs a job file (YAML, TOML, JSON). Flags win over the file.",
                       "  bulkhaul run job.yaml --workers 8");
    last()->add_option("job", parsed->job.job_file, "The job file.")->required();
    AddEnds(parsed);
    AddSelection(parsed);
    parsed->flags.AddTo(last(), AnyOption);
    SetRun([parsed]() -> Result<int> {
      ARROW_ASSIGN_OR_RAISE(auto job, JobOf(parsed));
      return RunCopy(std::move(job));
    });
  }

  void AddEnds(Parsed* parsed) {
    last()
        ->add_option("--source", parsed->job.source, "Source instead of the file's.")
        ->type_name("URI")
        ->group("Tables");
    last()
        ->add_option("--destination", parsed->job.destination, "Destination instead of the file's.")
        ->type_name("PATH")
        ->group("Tables");
  }

  void AddPlan() {
    auto* parsed = Add("plan",
                       "Shows what a job would do: tables, sizes, units, workers, memory. "
                       "Touches no destination.",
                       "  bulkhaul plan job.yaml\n  bulkhaul plan shop.db ./exports --output json");
    last()
        ->add_option("job", parsed->words, "A job file, or source and destination.")
        ->required()
        ->expected(1, 2);
    AddEnds(parsed);
    AddSelection(parsed);
    parsed->flags.AddTo(last(), AnyOption);
    SetRun([parsed]() -> Result<int> {
      const bool is_file = parsed->words.size() == 1 && DocumentFormatOf(parsed->words[0]).ok();
      if (is_file) {
        parsed->job.job_file = parsed->words[0];
      } else {
        parsed->job.source = parsed->words[0];
        if (parsed->words.size() > 1) parsed->job.destination = parsed->words[1];
      }
      ARROW_ASSIGN_OR_RAISE(auto job, JobOf(parsed));
      return RunPlan(std::move(job));
    });
  }

  void AddResume() {
    auto* parsed = Add("resume",
                       "Goes on with a job that was stopped, failed or killed; does again "
                       "only what is missing.",
                       "  bulkhaul resume nightly\n  bulkhaul resume ./exports");
    last()->add_option("job", parsed->word, "Job id, its folder, or its destination.")->required();
    last()
        ->add_option("--source", parsed->job.source,
                     "The source again, when its password was on the command line.")
        ->type_name("URI");
    parsed->flags.AddTo(last(), IsRuntimeOption);
    SetRun([parsed]() -> Result<int> {
      return RunResume({parsed->word, parsed->job.source, parsed->flags.settings()});
    });
  }

  void AddJobs() {
    auto* status = Add("status", "Shows one job: its tables, their units and rows.",
                       "  bulkhaul status nightly");
    last()->add_option("job", status->word, "Job id or path; the newest when not given.");
    AddOutput(status);
    SetRun([status]() -> Result<int> {
      ARROW_ASSIGN_OR_RAISE(const auto form, FormOf(*status));
      return RunStatus(status->word, form);
    });

    auto* jobs = Add("jobs", "Lists this user's jobs, newest first.", "  bulkhaul jobs");
    last()->add_flag("--all", jobs->all_jobs, "All jobs, not only the newest; json has them all.");
    AddOutput(jobs);
    SetRun([jobs]() -> Result<int> {
      ARROW_ASSIGN_OR_RAISE(const auto form, FormOf(*jobs));
      return RunJobs(form, jobs->all_jobs);
    });

    auto* cancel = Add("cancel", "Stops a running job, so that it can be resumed.",
                       "  bulkhaul cancel nightly");
    last()->add_option("job", cancel->word, "Job id or path.")->required();
    SetRun([cancel] { return RunCancel(cancel->word, kCancelWaitMs); });

    auto* clean = Add("clean",
                      "Forgets old jobs with what they left behind; with destinations, also "
                      "their archived exports and job records.",
                      "  bulkhaul clean --older-than 30d --dry-run\n"
                      "  bulkhaul clean ./exports --older-than 90d");
    last()->add_option("destinations", clean->words, "Destinations whose .archive is cleaned too.");
    last()
        ->add_option("--older-than", clean->older_than, "Age from which things go. [30d]")
        ->type_name("DURATION");
    last()->add_flag("--dry-run", clean->dry_run, "Only say what would go.");
    AddOutput(clean);
    SetRun([clean]() -> Result<int> {
      ARROW_ASSIGN_OR_RAISE(const auto form, FormOf(*clean));
      return RunClean({clean->older_than, clean->words, clean->dry_run, form});
    });

    auto* stats = Add("stats", "Adds up job records: runs, rows, speed-ups, failures.",
                      "  bulkhaul stats --days 30\n  bulkhaul stats ./exports --output json");
    last()->add_option("destinations", stats->words,
                       "Where to look for job records; else the destinations of this user's jobs.");
    last()
        ->add_option("--days", stats->days, "How many days back. [30]")
        ->type_name("NUMBER")
        ->check(CLI::Range(1, 36'500));
    AddOutput(stats);
    SetRun([stats]() -> Result<int> {
      ARROW_ASSIGN_OR_RAISE(const auto form, FormOf(*stats));
      return RunStats({stats->days, stats->words, form});
    });
  }

  void AddDiscover() {
    auto* parsed =
        Add("discover", "Lists what a source has: schemas, tables, sizes, keys, columns.",
            "  bulkhaul discover postgres://user@host/db --table 'sales.*'");
    last()->add_option("source", parsed->job.source, "The source.")->required();
    AddSelection(parsed);
    last()->add_flag("--brief", parsed->brief, "A line a table, no columns.");
    parsed->flags.AddTo(last(), [](const OptionSpec& spec) {
      const std::string_view name = spec.name;
      return name == "connect_timeout" || name == "include_children" ||
             name == "session_settings" || name == "log_level" || name == "log_file" ||
             name == "output" || name == "numeric" || name == "wide_numeric" || name == "columns";
    });
    SetRun([parsed]() -> Result<int> {
      ARROW_ASSIGN_OR_RAISE(auto job, JobOf(parsed));
      return RunDiscover({std::move(job), parsed->brief});
    });
  }

  void AddContract() {
    auto* parsed =
        Add("contract",
            "Writes a contract from data (init), tests data against one without loading (check), "
            "shows how a schema drifted from a contract or from the last run (diff).",
            "  bulkhaul contract init ./orders.csv > orders.contract.yaml\n"
            "  bulkhaul contract check ./orders.csv orders.contract.yaml\n"
            "  bulkhaul contract diff ./orders.csv orders.contract.yaml");
    last()
        ->add_option("action", parsed->word, "init, check or diff.")
        ->required()
        ->check(CLI::IsMember({"init", "check", "diff"}));
    last()
        ->add_option("source", parsed->job.source, "The source; for diff also a contract.")
        ->required();
    last()->add_option("contract", parsed->words, "The contract; for diff the last run without.");
    AddSelection(parsed);
    parsed->flags.AddTo(last(), [](const OptionSpec& spec) {
      const std::string_view group = spec.group, name = spec.name;
      return AnyOption(spec) && group != "Output" && group != "Format" && group != "Load" &&
             group != "Cache" && name != "contract" && name != "reject" && name != "quarantine";
    });
    SetRun([parsed]() -> Result<int> {
      ARROW_ASSIGN_OR_RAISE(auto job, JobOf(parsed));
      return RunContract({parsed->word, std::move(job), parsed->words});
    });
  }

  void AddVerify() {
    auto* parsed = Add("verify",
                       "Reads published exports again and compares counts, checksums and "
                       "schemas with their metadata.",
                       "  bulkhaul verify ./exports");
    last()
        ->add_option("folder", parsed->word, "A table's folder, one above several, or a file.")
        ->required();
    AddOutput(parsed);
    SetRun([parsed]() -> Result<int> {
      ARROW_ASSIGN_OR_RAISE(const auto form, FormOf(*parsed));
      return RunVerify(parsed->word, form);
    });
  }

  void AddCache() {
    auto* parsed = Add("cache",
                       "Lists (ls) or deletes (clear) the rows that jobs with --cache have kept on "
                       "this machine.",
                       "  bulkhaul cache ls\n  bulkhaul cache clear --older-than 7d");
    last()
        ->add_option("action", parsed->word, "ls or clear.")
        ->required()
        ->check(CLI::IsMember({"ls", "clear"}));
    parsed->older_than = "0";
    last()
        ->add_option("--older-than", parsed->older_than, "Age from which rows go. [all]")
        ->type_name("DURATION");
    parsed->flags.AddTo(last(), [](const OptionSpec& spec) {
      return std::string_view(spec.name) == "cache_dir" || std::string_view(spec.name) == "output";
    });
    SetRun([parsed]() -> Result<int> {
      ARROW_ASSIGN_OR_RAISE(const auto job, JobOf(parsed));
      return RunCache({parsed->word, parsed->older_than, job.options});
    });
  }

  void AddQuery() {
    auto* parsed =
        Add("query",
            "Asks DuckDB: joins databases and earlier exports, and prints or writes the result.",
            "  bulkhaul query \"select * from pg_main.employees e join exports.public_orders o\n"
            "      on o.employee_id = e.id\" --attach postgres://user@host/db --attach ./exports");
    auto& query = parsed->query;
    last()->add_option("sql", query.sql, "One statement, in DuckDB's SQL.")->required();
    last()
        ->add_option(
            "--attach", query.attachments,
            "What the query may name; may be given several times: a postgres:// URI "
            "[pg_main], a SQLite file [sqlite_main], a .duckdb file [duckdb_main], a folder "
            "of exports [exports], each with a view for every table in it.")
        ->type_name("[NAME=]TARGET")
        ->expected(1)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
        ->allow_extra_args(false);
    last()
        ->add_option("--job", query.job_file, "Attaches this job file's source and destination.")
        ->type_name("FILE");
    last()
        ->add_option("--format", query.format, "Form of the result. [table]")
        ->type_name("table|csv|json|parquet|arrow");
    last()
        ->add_option("--file", query.file,
                     "Where the result goes, instead of stdout; its extension "
                     "decides the format when none is given.")
        ->type_name("PATH");
    last()->add_flag("--overwrite", query.overwrite, "Replaces the file when it exists.");
    last()->add_flag("--explain", query.explain, "Shows DuckDB's plan and reads nothing.");
    last()
        ->add_option("--rows-shown", query.rows_shown_max, "Most rows that a table shows. [50]")
        ->type_name("NUMBER")
        ->check(CLI::Range(1, 1'000'000'000));
    last()
        ->add_option("--memory-limit", query.memory_limit,
                     "Most memory that DuckDB takes; beyond it goes to temporary files. [half of "
                     "what is available]")
        ->type_name("BYTES");
    SetRun([parsed] { return RunQuery(parsed->query); });
  }

  void AddOthers() {
    auto* schema =
        Add("schema",
            "Prints a published JSON Schema: of job files (job), of reports (report), of "
            "_export_metadata.json (metadata); or the page on job files (job-reference).",
            "  bulkhaul schema job > job.schema.json");
    last()->add_option("what", schema->word, "job, report, metadata or job-reference.")->required();
    SetRun([schema] { return RunSchema(schema->word); });

    auto* completion = Add("completion", "Prints a completion script for bash or zsh.",
                           "  source <(bulkhaul completion bash)");
    last()->add_option("shell", completion->word, "bash or zsh.")->required();
    SetRun([completion]() -> Result<int> {
      ARROW_ASSIGN_OR_RAISE(const auto script, CompletionScript(completion->word));
      fmt::print("{}", script);
      return kExitDone;
    });

    auto* version =
        Add("version", "Prints the version, and the sources and sinks that are built in.",
            "  bulkhaul version");
    AddOutput(version);
    SetRun([version]() -> Result<int> {
      ARROW_ASSIGN_OR_RAISE(const auto form, FormOf(*version));
      return RunVersion(form);
    });
  }

  CLI::App app_;
  std::vector<Verb> verbs_;
};

// CLI11 keeps pointers into it; one a process.
Program& TheProgram() {
  static Program program;
  return program;
}

int FailUsage(const std::string& message, const std::string& verb) {
  fmt::print(stderr, "{}",
             ErrorText(UsageError(message),
                       verb.empty() ? "bulkhaul --help" : fmt::format("bulkhaul {} --help", verb)));
  return kExitUsage;
}

int UnknownVerb(const std::string& word) {
  const auto nearest = NearestName(word, VerbNames());
  return FailUsage(fmt::format("there is no verb '{}'{}", word,
                               nearest ? fmt::format("; did you mean '{}'?", *nearest) : ""),
                   "");
}

// "--source-delimiter' or '--csv-delimiter" for "--delimiter", within quotes.
std::optional<std::string> NameEndingWith(std::string_view flag,
                                          const std::vector<std::string>& names) {
  std::string found;
  const auto end = flag.substr(std::min(flag.size(), flag.find_first_not_of('-')));
  for (const auto& name : names) {
    if (end.empty() || !name.ends_with(fmt::format("-{}", end))) continue;
    found += (found.empty() ? "" : "' or '") + name;
  }
  return found.empty() ? std::nullopt : std::optional(found);
}

int UnknownArguments(const Verb& verb) {
  const auto left = verb.app->remaining(true);
  std::string word = left.empty() ? "" : left.front();
  for (const auto& argument : left) {
    if (argument.starts_with("-")) {
      word = argument;
      break;
    }
  }
  if (!word.starts_with("-")) {
    return FailUsage(fmt::format("'{}' is one argument too many", Redact(word)), verb.name);
  }
  const auto flag = word.substr(0, word.find('='));
  const auto names = FlagNames(verb.name);
  auto nearest = NearestName(flag, names);
  if (!nearest) nearest = NameEndingWith(flag, names);
  return FailUsage(fmt::format("{} has no flag '{}'{}", verb.name, Redact(flag),
                               nearest ? fmt::format("; did you mean '{}'?", *nearest) : ""),
                   verb.name);
}

const Verb* ParsedVerb() {
  for (const auto& verb : TheProgram().verbs()) {
    if (verb.app->parsed()) return &verb;
  }
  return nullptr;
}

// The verb that ran, or an exit code when there is nothing to run.
int Parse(std::vector<std::string> words, const Verb** verb) {
  auto& app = TheProgram().app();
  std::vector<std::string> reversed(words.rbegin(), words.rend());
  try {
    app.parse(std::move(reversed));
  } catch (const CLI::CallForHelp&) {
    const auto* asked = ParsedVerb();
    fmt::print("{}", asked ? HelpText(*asked->app, "bulkhaul") : HelpText(app, ""));
    return kExitDone;
  } catch (const CLI::ExtrasError& error) {
    const auto* asked = ParsedVerb();
    return asked ? UnknownArguments(*asked) : FailUsage(Redact(error.what()), "");
  } catch (const CLI::ParseError& error) {
    const auto* asked = ParsedVerb();
    // A required argument may be missing because a flag before it was misspelt.
    if (asked && !asked->app->remaining(true).empty()) return UnknownArguments(*asked);
    return FailUsage(Redact(error.what()), asked ? asked->name : "");
  }
  *verb = ParsedVerb();
  return kExitDone;
}

}  // namespace

std::vector<std::string> VerbNames() {
  std::vector<std::string> names;
  for (const auto& verb : TheProgram().verbs()) names.push_back(verb.name);
  return names;
}

std::vector<std::string> FlagNames(const std::string& name) {
  std::vector<std::string> flags;
  for (const auto& verb : TheProgram().verbs()) {
    if (verb.name != name) continue;
    for (const auto* option : verb.app->get_options()) {
      for (const auto& flag : option->get_lnames()) flags.push_back("--" + flag);
    }
  }
  return flags;
}

void HideSecrets(int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    const size_t size = std::strlen(argv[i]);
    const std::string shown = Redact(std::string_view(argv[i], size));
    if (shown == std::string_view(argv[i], size)) continue;
    // The place cannot grow: a masked text that is longer loses its end.
    const size_t kept = std::min(size, shown.size());
    std::memcpy(argv[i], shown.data(), kept);
    std::memset(argv[i] + kept, 0, size - kept);
  }
}

int RunCommandLine(int argc, char** argv) {
  std::vector<std::string> words(argv + 1, argv + argc);
  HideSecrets(argc, argv);
  signal(SIGPIPE, SIG_IGN);
  if (words.empty()) {
    fmt::print(stderr, "{}", HelpText(TheProgram().app(), ""));
    return kExitUsage;
  }
  if (const auto code = RunChildVerb(words[0])) return *code;
  if (words[0] == "--version") words[0] = "version";
  if (words[0] == "help") {
    words = words.size() > 1 ? std::vector<std::string>{words[1], "--help"}
                             : std::vector<std::string>{"--help"};
  }
  const auto verbs = VerbNames();
  if (!words[0].starts_with("-") &&
      std::find(verbs.begin(), verbs.end(), words[0]) == verbs.end()) {
    return UnknownVerb(words[0]);
  }
  const Verb* verb = nullptr;
  const int code = Parse(std::move(words), &verb);
  if (verb == nullptr) return code;
  for (const auto& sentence : UnknownVariables(environ)) {
    fmt::print(stderr, "warning: {}\n", sentence);
  }
  const auto result = verb->run();
  if (!result.ok()) {
    fmt::print(stderr, "{}", ErrorText(result.status(), HintFor(result.status())));
    return ExitCodeOfError(result.status());
  }
  if (std::fflush(stdout) != 0) return kExitFailed;
  return *result;
}

}  // namespace bulkhaul
