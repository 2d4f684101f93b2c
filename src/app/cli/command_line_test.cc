#include "app/cli/command_line.h"

#include <algorithm>
#include <cstring>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "app/cli/completion.h"
#include "app/cli/terminal.h"
#include "plan/job_file.h"
#include "plan/option_table.h"

namespace bulkhaul {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::Not;

TEST(Flags, EveryOptionHasOneOfTheSameName) {
  for (const char* verb : {"copy", "run", "plan"}) {
    const auto flags = FlagNames(verb);
    for (const auto& option : OptionTable()) {
      EXPECT_THAT(flags, Contains(FlagNameOf(option.name))) << verb;
    }
    EXPECT_EQ(std::set<std::string>(flags.begin(), flags.end()).size(), flags.size()) << verb;
  }
  EXPECT_THAT(FlagNames("resume"), Contains("--workers"));
  EXPECT_THAT(FlagNames("resume"), Not(Contains("--compression")));
}

TEST(Verbs, AreAllThere) {
  EXPECT_THAT(VerbNames(), testing::UnorderedElementsAre(
                               "copy", "run", "plan", "resume", "status", "jobs", "cancel", "clean",
                               "discover", "verify", "stats", "schema", "version", "completion",
                               "cache", "query", "contract"));
}

TEST(HideSecrets, BlanksThemInPlace) {
  char program[] = "bulkhaul";
  char uri[] = "postgres://user:very-secret@host/db";
  char plain[] = "--workers=8";
  char short_one[] = "x://u:p@h";
  char* arguments[] = {program, uri, plain, short_one};
  HideSecrets(4, arguments);
  EXPECT_STREQ(uri, "postgres://user:***@host/db");
  EXPECT_EQ(std::string(uri, sizeof(uri)).find("secret"), std::string::npos);
  EXPECT_STREQ(plain, "--workers=8");
  EXPECT_STREQ(short_one, "x://u:***");
}

TEST(Completion, KnowsVerbsFlagsAndChoices) {
  const auto script = CompletionScript("bash");
  ASSERT_TRUE(script.ok());
  EXPECT_THAT(*script, HasSubstr("copy run plan resume"));
  EXPECT_THAT(*script, HasSubstr("--infinity) words='error null clamp'"));
  EXPECT_THAT(*script, HasSubstr("--unit-bytes"));
  EXPECT_TRUE(CompletionScript("zsh").ok());
  EXPECT_FALSE(CompletionScript("fish").ok());
}

TEST(Terminal, AlignsByCharactersAndHidesControls) {
  EXPECT_EQ(AlignedTable({{"name"}, {"rows", true}, {"note"}},
                         {{"grün", "1", ""}, {"x\ny", "1,000", "fine"}}),
            "name   rows  note\n"
            "grün      1\n"
            "x?y   1,000  fine\n");
  EXPECT_EQ(CountOrUnknown(-1), "?");
  EXPECT_EQ(BytesOrUnknown(1024), "1 KiB");
}

TEST(Terminal, ErrorsSayWhatToDoAndNeverShowSecrets) {
  const Status denied = UserError("cannot read postgres://u:pw@h/db", "28P01");
  const auto text = ErrorText(denied, HintFor(denied));
  EXPECT_THAT(text, HasSubstr("error: cannot read postgres://u:***@h/db (28P01)\n"));
  EXPECT_THAT(text, HasSubstr("hint: give the password in PGPASSWORD"));
  EXPECT_THAT(HintFor(TransientError("x", "08001")), HasSubstr("host and port"));
  EXPECT_THAT(HintFor(BugError("x")), HasSubstr("report it"));
  EXPECT_EQ(HintFor(PermanentError("x")), "");
}

TEST(Terminal, ExitCodesFollowTheKindOfError) {
  EXPECT_EQ(ExitCodeOfError(UsageError("x")), 2);
  EXPECT_EQ(ExitCodeOfError(UserError("x")), 2);
  EXPECT_EQ(ExitCodeOfError(UserError("x", "no_such_table")), 2);
  EXPECT_EQ(ExitCodeOfError(UserError("x", "42501")), 1);
  EXPECT_EQ(ExitCodeOfError(UserError("x", "EACCES")), 1);
  EXPECT_EQ(ExitCodeOfError(UserError("x", "locked")), 1);
  EXPECT_EQ(ExitCodeOfError(TransientError("x")), 1);
  EXPECT_EQ(ExitCodeOfError(BugError("x")), 1);
  EXPECT_EQ(ExitCodeOfError(CancelledError()), 130);
}

}  // namespace
}  // namespace bulkhaul
