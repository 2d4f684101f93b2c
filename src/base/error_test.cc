#include "base/error.h"

#include <cerrno>

#include <gtest/gtest.h>

namespace bulkhaul {
namespace {

TEST(Error, KindSurvivesContext) {
  const Status status = WithContext(TransientError("connection reset", "08006"), "unit 3");
  EXPECT_EQ(KindOf(status), ErrorKind::kTransient);
  EXPECT_EQ(CodeOf(status), "08006");
  EXPECT_EQ(MessageOf(status), "unit 3: connection reset");
}

TEST(Error, ForeignStatusesAreClassified) {
  EXPECT_EQ(KindOf(Status::Cancelled("x")), ErrorKind::kCancelled);
  EXPECT_EQ(KindOf(Status::Invalid("x")), ErrorKind::kUser);
  EXPECT_EQ(KindOf(Status::OutOfMemory("x")), ErrorKind::kPermanent);
}

TEST(Error, ErrnoCarriesPathAndCode) {
  const Status status = ErrnoError(ENOSPC, "write", "/tmp/part");
  EXPECT_EQ(KindOf(status), ErrorKind::kPermanent);
  EXPECT_EQ(CodeOf(status), "ENOSPC");
  EXPECT_NE(MessageOf(status).find("/tmp/part"), std::string::npos);
}

TEST(Error, NamesRoundTrip) {
  for (auto kind : {ErrorKind::kUser, ErrorKind::kTransient, ErrorKind::kPermanent, ErrorKind::kBug,
                    ErrorKind::kCancelled, ErrorKind::kSnapshotLost}) {
    EXPECT_EQ(ErrorKindFromName(ErrorKindName(kind)).ValueOrDie(), kind);
  }
}

}  // namespace
}  // namespace bulkhaul
