#include "app/registry.h"

#include <gtest/gtest.h>

namespace bulkhaul {
namespace {

std::string SourceOf(const std::string& uri) {
  JobSpec spec;
  spec.source_uri = uri;
  const auto source = MakeSource(spec, "job");
  return source.ok() ? (*source)->Traits().name : MessageOf(source.status());
}

std::string SinkOf(const std::string& destination, const std::string& format = "auto") {
  JobSpec spec;
  spec.destination_uri = destination;
  EXPECT_TRUE(spec.options.SetFromText("format", format).ok());
  const auto sink = MakeSink(spec, "job");
  return sink.ok() ? (*sink)->Traits().name : MessageOf(sink.status());
}

TEST(Registry, SourcesByScheme) {
  EXPECT_EQ(SourceOf("generator:rows=10&columns=id:int64"), "generator");
  EXPECT_EQ(SourceOf("sqlite:///tmp/none/x.db"), "sqlite");
  EXPECT_EQ(SourceOf("/tmp/none/x.sqlite3"), "sqlite");
}

TEST(Registry, UnknownSourceNamesTheNearestAndHidesThePassword) {
  const std::string message = SourceOf("postgrse://bob:hunter2@h/db");
  EXPECT_NE(message.find("did you mean 'postgres:'"), std::string::npos) << message;
  EXPECT_EQ(message.find("hunter2"), std::string::npos);
}

TEST(Registry, AFileWithoutAKnownEndingIsToldOfSourceFormat) {
  const std::string message = SourceOf("/tmp/none/nd.json");
  EXPECT_NE(message.find("'/tmp/none/nd.json' is not a source"), std::string::npos) << message;
  EXPECT_NE(message.find("source_format (csv, parquet, arrow or json)"), std::string::npos)
      << message;
  EXPECT_EQ(SourceOf("postgrse://h/db").find("source_format"), std::string::npos);
}

TEST(Registry, SinksByFormatThenExtension) {
  EXPECT_EQ(SinkOf("/tmp/none/out"), "parquet");
  EXPECT_EQ(SinkOf("/tmp/none/out.csv"), "csv");
  EXPECT_EQ(SinkOf("/tmp/none/out.csv", "arrow"), "arrow");
  EXPECT_NE(SinkOf("s3x://bucket/out").find("not a destination"), std::string::npos);
}

}  // namespace
}  // namespace bulkhaul
