#include "client/postgres/classify.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace bulkhaul::postgres {
namespace {

using testing::HasSubstr;

TEST(ClassifyTest, EveryCodeThatARunMeets) {
  const struct {
    const char* sqlstate;
    ErrorKind kind;
  } cases[] = {
      {"08000", ErrorKind::kTransient}, {"08006", ErrorKind::kTransient},
      {"57P01", ErrorKind::kTransient}, {"57P02", ErrorKind::kTransient},
      {"57P03", ErrorKind::kTransient}, {"57P05", ErrorKind::kTransient},
      {"53300", ErrorKind::kTransient}, {"53200", ErrorKind::kTransient},
      {"40001", ErrorKind::kTransient}, {"40P01", ErrorKind::kTransient},
      {"55P03", ErrorKind::kTransient}, {"57014", ErrorKind::kTransient},
      {"25P03", ErrorKind::kTransient}, {"25P04", ErrorKind::kTransient},
      {"53100", ErrorKind::kPermanent}, {"XX000", ErrorKind::kPermanent},
      {"XX001", ErrorKind::kPermanent}, {"58P01", ErrorKind::kPermanent},
      {"42501", ErrorKind::kUser},      {"42P01", ErrorKind::kUser},
      {"42703", ErrorKind::kUser},      {"28P01", ErrorKind::kUser},
      {"28000", ErrorKind::kUser},      {"3D000", ErrorKind::kUser},
      {"22012", ErrorKind::kUser},      {"22021", ErrorKind::kUser},
      {"25006", ErrorKind::kUser},      {"0A000", ErrorKind::kUser},
  };
  for (const auto& one : cases) {
    EXPECT_EQ(ClassifySqlState(one.sqlstate, {}), one.kind) << one.sqlstate;
  }
}

TEST(ClassifyTest, ACancelIsTellableFromATimeoutOnlyByWhatWeSent) {
  EXPECT_EQ(ClassifySqlState("57014", {.cancel_sent = true}), ErrorKind::kCancelled);
  EXPECT_EQ(ClassifySqlState("57014", {.cancel_sent = false}), ErrorKind::kTransient);
  EXPECT_EQ(ClassifySqlState("57014", {.holding_snapshot = true}), ErrorKind::kSnapshotLost);
}

TEST(ClassifyTest, ASnapshotThatCannotBeImportedIsLost) {
  EXPECT_EQ(ClassifySqlState("22023", {.importing_snapshot = true}), ErrorKind::kSnapshotLost);
  EXPECT_EQ(ClassifySqlState("42704", {.importing_snapshot = true}), ErrorKind::kSnapshotLost);
  EXPECT_EQ(ClassifySqlState("22023", {}), ErrorKind::kUser);
}

TEST(ClassifyTest, WhatKillsTheHolderLosesTheSnapshot) {
  for (const char* code : {"40001", "57P01", "08006", "25P03", "25P04"}) {
    EXPECT_EQ(ClassifySqlState(code, {.holding_snapshot = true}), ErrorKind::kSnapshotLost) << code;
    EXPECT_EQ(ClassifySqlState(code, {.in_snapshot = true}), ErrorKind::kTransient) << code;
  }
}

TEST(ClassifyTest, AStandbyConflictNamesHotStandbyFeedback) {
  const ServerError error{.severity = "FATAL",
                          .sqlstate = "40001",
                          .message = "terminating connection due to conflict with recovery",
                          .detail = "User query might have needed to see row versions"};
  const Status status =
      ServerErrorStatus(error, {.holding_snapshot = true}, "the snapshot's transaction");
  EXPECT_EQ(KindOf(status), ErrorKind::kSnapshotLost);
  EXPECT_EQ(CodeOf(status), "40001");
  EXPECT_THAT(MessageOf(status), HasSubstr("hot_standby_feedback"));
}

TEST(ClassifyTest, ADeadlockIsOneOfTheReplayOnlyOnAStandby) {
  ServerError error{.severity = "ERROR", .sqlstate = "40P01", .message = "deadlock detected"};
  EXPECT_THAT(AdviceFor(error, {}), HasSubstr("waited for each other"));
  EXPECT_THAT(AdviceFor(error, {}), testing::Not(HasSubstr("standby")));
  error.message = "canceling statement due to conflict with recovery";
  EXPECT_THAT(AdviceFor(error, {}), HasSubstr("hot_standby_feedback"));
}

TEST(ClassifyTest, WhatAnEncodingHasNotIsNoNulByte) {
  ServerError error{.severity = "ERROR", .sqlstate = "22P05"};
  error.message = "unsupported Unicode escape sequence";
  error.detail = "\\u0000 cannot be converted to text.";
  EXPECT_THAT(AdviceFor(error, {}), HasSubstr("nul_bytes: strip"));
  error.detail = "Unicode escape value could not be translated to the server's encoding LATIN1.";
  EXPECT_THAT(AdviceFor(error, {}), HasSubstr("encoding UTF8"));
  error.message =
      "character with byte sequence 0xe4 0xb8 0x96 in encoding \"UTF8\" has no "
      "equivalent in encoding \"LATIN1\"";
  error.detail = "";
  EXPECT_THAT(AdviceFor(error, {}), HasSubstr("encoding UTF8"));
}

TEST(ClassifyTest, WhereCopyWasIsSaid) {
  ServerError error{.severity = "ERROR",
                    .sqlstate = "22001",
                    .message = "value too long",
                    .context = "COPY beside, line 3, column nn: \"abcd\"\nmore"};
  EXPECT_EQ(MessageOf(ServerErrorStatus(error, {}, "x")),
            "x: value too long; COPY was at line 3, column nn: \"abcd\"");
  error.context = "JSON data, line 1: {...\nCOPY beside, line 4, column j";
  EXPECT_EQ(MessageOf(ServerErrorStatus(error, {}, "x")),
            "x: value too long; COPY was at line 4, column j");
  for (const char* other : {"SQL function f, line 3", "COPY beside", ""}) {
    error.context = other;
    EXPECT_EQ(MessageOf(ServerErrorStatus(error, {}, "x")), "x: value too long") << other;
  }
}

TEST(ClassifyTest, TheRowOfACopyIsFoundInAnyLanguage) {
  EXPECT_EQ(LineInCopy("COPY t, line 3", "t"), 3);
  EXPECT_EQ(LineInCopy("COPY t, line 31, column a: \"4\"", "t"), 31);
  EXPECT_EQ(LineInCopy("COPY a, line 9, Zeile 12, Spalte b", "a, line 9"), 12);
  EXPECT_EQ(LineInCopy("PL/pgSQL function f() line 2 at RAISE\nCOPY t, line 5", "t"), 5);
  EXPECT_EQ(LineInCopy("COPY t, column 7", "other"), -1);
  EXPECT_EQ(LineInCopy("COPY t", "t"), -1);
  EXPECT_EQ(LineInCopy("COPY t, line", "t"), -1);
  EXPECT_EQ(LineInCopy("COPY t, line 99999999999999999999", "t"), -1);
  EXPECT_EQ(LineInCopy("", "t"), -1);
}

TEST(ClassifyTest, PasswordsInMessagesAreMasked) {
  const ServerError error{.severity = "ERROR",
                          .sqlstate = "08001",
                          .message = "could not connect to postgres://u:topsecret@h/db"};
  EXPECT_THAT(ServerErrorStatus(error, {}, "x").ToString(), testing::Not(HasSubstr("topsecret")));
}

TEST(ClassifyTest, StatementPoolingIsTheUsersToChange) {
  const ServerError error{.severity = "ERROR",
                          .sqlstate = "08P01",
                          .message = "transaction blocks not allowed in statement pooling mode"};
  EXPECT_EQ(KindOf(ServerErrorStatus(error, {}, "x")), ErrorKind::kUser);
}

}  // namespace
}  // namespace bulkhaul::postgres
