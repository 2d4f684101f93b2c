// What every sink that writes files must keep beside the common contract.
#include <csignal>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "base/hash.h"
#include "sink/export_metadata.h"
#include "sink_fixture.h"
#include "store/durable_file.h"

namespace bulkhaul::contract {
namespace {

namespace fs = std::filesystem;

class FileSinkContract : public testing::TestWithParam<SinkCase> {
 protected:
  Job MakeJob(const JobId& id, const Job::Texts& options = {}) {
    return Job(GetParam(), destination(), id, options);
  }
  std::string destination() const { return folder_.path() + "/exports"; }
  std::string extension() const { return std::string(".") + GetParam().extension; }
  CommitReceipt Ok(Result<CommitReceipt> receipt) {
    EXPECT_TRUE(receipt.ok()) << receipt.status();
    return receipt.ok() ? *receipt : CommitReceipt{};
  }
  JobManifest Manifest(const Job& job, std::vector<CommitReceipt> receipts) {
    JobManifest manifest;
    manifest.job_id = job.id();
    manifest.json = "{\"tables\":[]}";
    manifest.history_json = "{\"id\":1}";
    manifest.finished_at = "2026-11-21T10:15:00Z";
    manifest.receipts = std::move(receipts);
    return manifest;
  }

  TemporaryFolder folder_;
};

TEST_P(FileSinkContract, OrganizedLayout) {
  Job job = MakeJob("job");
  const auto receipt = Ok(job.Export("t", 0, 10));
  EXPECT_EQ(receipt.location, destination() + "/public_t");
  EXPECT_EQ(Visible(receipt.location),
            (std::vector<std::string>{"_export_metadata.json", "part_0001" + extension()}));
  ASSERT_OK(job.sink().CommitJob(Manifest(job, {receipt})));
  EXPECT_EQ(Visible(destination()),
            (std::vector<std::string>{"_bulkhaul_job_job.json", "public_t"}));
  EXPECT_TRUE(fs::exists(destination() + "/.archive/jobs/job_job_2026-11-21T10-15-00Z.json"));
  ASSERT_OK(job.sink().Discard(job.id(), {}));
  EXPECT_FALSE(fs::exists(destination() + "/.bulkhaul"));
}

TEST_P(FileSinkContract, NoJobHistory) {
  Job job = MakeJob("job", {{"job_history", "false"}});
  ASSERT_OK(job.sink().CommitJob(Manifest(job, {Ok(job.Export("t", 0, 10))})));
  EXPECT_FALSE(fs::exists(destination() + "/.archive"));
}

TEST_P(FileSinkContract, BySchemaLayout) {
  const auto receipt = Ok(MakeJob("job", {{"layout", "by-schema"}}).Export("t", 0, 10));
  EXPECT_EQ(receipt.location, destination() + "/public/t");
  EXPECT_EQ(ReadRows(receipt.location), ExpectedRows(0, 10));
}

TEST_P(FileSinkContract, DirectLayoutTakesOneTable) {
  const Job::Texts options = {{"layout", "direct"}};
  fs::create_directories(destination());  // an empty folder is as good as none
  Job job = MakeJob("one", options);
  const auto receipt = Ok(job.Export("t", 0, 10));
  EXPECT_EQ(receipt.location, destination());
  EXPECT_EQ(ReadRows(destination()), ExpectedRows(0, 10));
  const auto second = job.sink().Prepare(job.Plan("u"), false);
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(KindOf(second.status()), ErrorKind::kUser);
  ASSERT_OK(job.sink().CommitJob(Manifest(job, {receipt})));
  EXPECT_TRUE(fs::exists(destination() + "/_bulkhaul_job_one.json"));
  const auto next = Ok(MakeJob("two", options).Export("t", 0, 20));
  EXPECT_EQ(next.location, destination() + "_v2");
}

TEST_P(FileSinkContract, DirectLayoutRefusesJobCommit) {
  JobSpec spec;
  spec.destination_uri = destination();
  ASSERT_OK(spec.options.SetFromText("layout", "direct"));
  ASSERT_OK(spec.options.SetFromText("commit", "job"));
  EXPECT_EQ(KindOf(GetParam().make(spec, "job").status()), ErrorKind::kUser);
}

TEST_P(FileSinkContract, FileLayoutLeavesTheFileAlone) {
  const std::string path = destination() + "/one" + extension();
  Job job(GetParam(), path, "job", {{"layout", "file"}});
  const auto receipt = Ok(job.Export("t", 0, 10));
  EXPECT_EQ(receipt.location, path);
  EXPECT_EQ(receipt.files, 1);
  EXPECT_EQ(KindOf(job.sink().Prepare(job.Plan("u"), false).status()), ErrorKind::kUser);
  ASSERT_OK(job.sink().CommitJob(Manifest(job, {receipt})));
  ASSERT_OK(job.sink().Discard(job.id(), {}));
  EXPECT_EQ(AllFiles(destination()), (std::vector<std::string>{"one" + extension()}));
  ASSERT_OK_AND_ASSIGN(const auto metadata, ParseExportMetadata(receipt.metadata));
  ASSERT_EQ(metadata.parts.size(), 1u);
  EXPECT_EQ(metadata.parts[0].rows, 10);
  ASSERT_OK_AND_ASSIGN(const uint64_t hash, Xxh3OfFile(path));
  EXPECT_EQ(metadata.parts[0].xxh3, hash);
}

TEST_P(FileSinkContract, FileLayoutFollowsIfExists) {
  const std::string path = destination() + "/one" + extension();
  const auto job = [&](const JobId& id, const char* rule) {
    return Job(GetParam(), path, id, {{"layout", "file"}, {"if_exists", rule}});
  };
  Ok(job("first", "fail").Export("t", 0, 10));
  ASSERT_OK_AND_ASSIGN(const uint64_t first, Xxh3OfFile(path));
  EXPECT_EQ(CodeOf(job("second", "fail").Export("t", 0, 20).status()), "EEXIST");
  EXPECT_EQ(*Xxh3OfFile(path), first);
  EXPECT_EQ(KindOf(job("third", "append").Export("t", 0, 20).status()), ErrorKind::kUser);
  EXPECT_EQ(Ok(job("fourth", "replace").Export("t", 0, 20)).rows, 20);
  EXPECT_NE(*Xxh3OfFile(path), first);
}

TEST_P(FileSinkContract, FileLayoutTakesOnePart) {
  Job job(GetParam(), destination() + "/one" + extension(), "job", {{"layout", "file"}});
  const auto plan = job.Prepared("t");
  ASSERT_OK_AND_ASSIGN(auto first, job.Stage(plan, 0, 0, 50));
  ASSERT_OK_AND_ASSIGN(auto second, job.Stage(plan, 1, 50, 70));
  const auto refused = job.Commit(job.Request(plan, {first, second}));
  EXPECT_EQ(KindOf(refused.status()), ErrorKind::kUser);
  EXPECT_THAT(Visible(destination()), testing::IsEmpty());
}

TEST_P(FileSinkContract, FileLayoutIsCommittedOnce) {
  const std::string path = destination() + "/one" + extension();
  Job job(GetParam(), path, "job", {{"layout", "file"}});
  const auto plan = job.Prepared("t");
  ASSERT_OK_AND_ASSIGN(const auto staged, job.Stage(plan, 0, 0, 10));
  const auto request = job.Request(plan, {staged});
  const auto receipt = Ok(job.Commit(request));
  job.Reopen();
  const auto again = Ok(job.Commit(request));
  EXPECT_TRUE(again.already_committed);
  EXPECT_EQ(again.location, path);
  EXPECT_EQ(ParseExportMetadata(again.metadata)->parts[0].xxh3,
            ParseExportMetadata(receipt.metadata)->parts[0].xxh3);
}

TEST_P(FileSinkContract, OnlyLocalPaths) {
  JobSpec spec;
  spec.destination_uri = "s3://key:secret@bucket/x";
  const auto made = GetParam().make(spec, "job");
  ASSERT_FALSE(made.ok());
  EXPECT_EQ(KindOf(made.status()), ErrorKind::kUser);
  EXPECT_EQ(made.status().ToString().find("secret"), std::string::npos);
  spec.destination_uri = "file://" + destination();
  EXPECT_TRUE(GetParam().make(spec, "job").ok());
}

TEST_P(FileSinkContract, NamesThatFallTogetherStayApart) {
  Job job = MakeJob("job");
  auto first = job.Plan("T");
  auto second = job.Plan("t");
  first.output_name = "public_T";
  second.output_name = "public_t";
  ASSERT_OK_AND_ASSIGN(auto one, job.sink().Prepare(first, true));
  ASSERT_OK_AND_ASSIGN(auto two, job.sink().Prepare(second, true));
  EXPECT_EQ(one.location, destination() + "/public_T");
  EXPECT_TRUE(two.location.starts_with(destination() + "/public_t_")) << two.location;
  ASSERT_OK_AND_ASSIGN(auto again, job.sink().Prepare(second, true));
  EXPECT_EQ(again.location, two.location);
}

TEST_P(FileSinkContract, OutputNameIsNeverAPath) {
  Job job = MakeJob("../job");
  auto plan = job.Plan("t");
  plan.output_name = "../../x/y";
  ASSERT_OK_AND_ASSIGN(auto staged, job.Stage(plan, 0, 0, 10));
  const auto receipt = Ok(job.Commit(job.Request(plan, {staged})));
  EXPECT_EQ(fs::path(receipt.location).parent_path().string(), destination());
  EXPECT_EQ(Visible(folder_.path()), (std::vector<std::string>{"exports"}));
}

TEST_P(FileSinkContract, NothingInStagingLooksLikeData) {
  Job job = MakeJob("job");
  const auto plan = job.Plan("t");
  ASSERT_OK(job.Stage(plan, 0, 0, 10).status());
  ASSERT_OK(job.Stage(plan, 1, 10, 20, {.intermediate = true}).status());
  const auto files = AllFiles(destination());
  EXPECT_EQ(files.size(), 2u);
  for (const auto& name : files) {
    EXPECT_TRUE(name.starts_with(".bulkhaul/job/")) << name;
    EXPECT_TRUE(name.ends_with(".part")) << name;
  }
}

TEST_P(FileSinkContract, MetadataSaysWhatIsThere) {
  Job job = MakeJob("job");
  const auto plan = job.Plan("t");
  ASSERT_OK_AND_ASSIGN(auto first, job.Stage(plan, 0, 0, 50));
  ASSERT_OK_AND_ASSIGN(auto second, job.Stage(plan, 1, 50, 70));
  const auto receipt = Ok(job.Commit(job.Request(plan, {first, second})));
  ASSERT_OK_AND_ASSIGN(const auto metadata, ReadExportMetadata(receipt.location));
  EXPECT_EQ(metadata.dataset, "public.t");
  EXPECT_EQ(metadata.format, GetParam().name);
  EXPECT_EQ(metadata.rows, 70);
  EXPECT_TRUE(metadata.schema->Equals(*TestSchema()));
  ASSERT_EQ(metadata.parts.size(), 2u);
  EXPECT_EQ(metadata.parts[1].name, "part_0002" + extension());
  EXPECT_EQ(metadata.parts[1].rows, 20);
  EXPECT_EQ(metadata.parts[1].key_min, "50");
  EXPECT_EQ(metadata.parts[1].key_max, "69");
  for (const auto& part : metadata.parts) {
    ASSERT_OK_AND_ASSIGN(const auto hash, Xxh3OfFile(receipt.location + "/" + part.name));
    EXPECT_EQ(hash, part.xxh3);
    EXPECT_EQ(static_cast<int64_t>(fs::file_size(receipt.location + "/" + part.name)), part.bytes);
  }
}

TEST_P(FileSinkContract, DamagedPartsAreNotRecovered) {
  Job job = MakeJob("job");
  const auto plan = job.Plan("t");
  std::vector<StagedResult> staged;
  for (int64_t unit = 0; unit < 4; ++unit) {
    ASSERT_OK_AND_ASSIGN(auto result, job.Stage(plan, unit, unit * 10, unit * 10 + 10));
    staged.push_back(std::move(result));
  }
  const auto path = [&](int unit) {
    return destination() + "/.bulkhaul/job/staged/" + staged[unit].parts[0].path;
  };
  fs::resize_file(path(1), fs::file_size(path(1)) - 1);
  {
    std::fstream file(path(2), std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(9);
    file.put('\x7f');
  }
  fs::remove(path(3));
  ASSERT_OK_AND_ASSIGN(const auto whole, job.sink().Recover(job.id(), staged));
  ASSERT_EQ(whole.size(), 1u);
  EXPECT_EQ(whole[0].unit_id, "0.0");
  // Size and presence are looked at without being asked.
  for (const int unit : {1, 3}) {
    const auto refused = job.Commit(job.Request(plan, {staged[0], staged[unit]}));
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(KindOf(refused.status()), ErrorKind::kPermanent) << refused.status();
  }
  EXPECT_TRUE(Visible(destination()).empty());
}

TEST_P(FileSinkContract, ValidateFindsAFlippedByte) {
  Job job = MakeJob("job", {{"validate", "true"}});
  const auto plan = job.Plan("t");
  ASSERT_OK_AND_ASSIGN(auto good, job.Stage(plan, 0, 0, 10));
  ASSERT_OK_AND_ASSIGN(auto bad, job.Stage(plan, 1, 10, 20));
  {
    std::fstream file(destination() + "/.bulkhaul/job/staged/" + bad.parts[0].path,
                      std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(9);
    file.put('\x7f');
  }
  const auto refused = job.Commit(job.Request(plan, {good, bad}));
  ASSERT_FALSE(refused.ok());
  EXPECT_NE(refused.status().ToString().find("checksum"), std::string::npos) << refused.status();
  EXPECT_TRUE(Visible(destination()).empty());
  EXPECT_EQ(Ok(job.Commit(job.Request(plan, {good}))).rows, 10);
}

TEST_P(FileSinkContract, OverwriteTakesOnlyOurOwn) {
  Job job = MakeJob("job", {{"conflict", "overwrite"}});
  fs::create_directories(destination() + "/public_t");
  std::ofstream(destination() + "/public_t/thesis.txt") << "years of work";
  const auto refused = job.sink().Prepare(job.Plan("t"), false);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(KindOf(refused.status()), ErrorKind::kUser);
  const auto plan = job.Plan("t");
  ASSERT_OK_AND_ASSIGN(auto staged, job.Stage(plan, 0, 0, 10));
  EXPECT_FALSE(job.Commit(job.Request(plan, {staged})).ok());
  EXPECT_TRUE(fs::exists(destination() + "/public_t/thesis.txt"));
}

TEST_P(FileSinkContract, OverwriteArchivesWhatItReplaces) {
  const Job::Texts options = {{"conflict", "overwrite"}, {"archive", "true"}};
  Ok(MakeJob("one", options).Export("t", 0, 10));
  const auto second = Ok(MakeJob("two", options).Export("t", 0, 20));
  EXPECT_TRUE(second.archived_to.starts_with(destination() + "/.archive/public_t_20"))
      << second.archived_to;
  EXPECT_EQ(ReadRows(second.archived_to), ExpectedRows(0, 10));
  EXPECT_EQ(ReadRows(second.location), ExpectedRows(0, 20));
}

// Killed between the swap and the archiving, and then given up instead of resumed.
TEST_P(FileSinkContract, DiscardArchivesWhatASwapTookAway) {
  const Job::Texts options = {{"conflict", "overwrite"}, {"archive", "true"}};
  Ok(MakeJob("one", options).Export("t", 0, 10));
  Job job = MakeJob("two", options);
  ASSERT_OK_AND_ASSIGN(auto staged, job.Stage(job.Plan("t"), 0, 0, 20));
  const std::string source = destination() + "/.bulkhaul/two/publish/public_t-x";
  fs::create_directories(fs::path(source).parent_path());
  fs::rename(destination() + "/public_t", source);
  ASSERT_OK(job.sink().Discard(job.id(), {}));
  EXPECT_EQ(ReadRows(destination() + "/.archive/public_t-x"), ExpectedRows(0, 10));
}

TEST_P(FileSinkContract, JobCommitShowsNothingUntilTheEnd) {
  Job job = MakeJob("job", {{"commit", "job"}});
  EXPECT_TRUE(job.sink().Traits().job_commit);
  const auto first = Ok(job.Export("t", 0, 10));
  const auto second = Ok(job.Export("u", 0, 20));
  EXPECT_EQ(first.location, destination() + "/public_t");
  EXPECT_FALSE(fs::exists(destination()));
  ASSERT_OK(job.sink().CommitJob(Manifest(job, {first, second})));
  EXPECT_EQ(Visible(destination()),
            (std::vector<std::string>{"_bulkhaul_job_job.json", "public_t", "public_u"}));
  EXPECT_EQ(ReadRows(first.location), ExpectedRows(0, 10));
  EXPECT_EQ(ReadRows(second.location), ExpectedRows(0, 20));
  job.Reopen();
  ASSERT_OK(job.sink().CommitJob(Manifest(job, {first, second})));
  EXPECT_EQ(Visible(folder_.path()), (std::vector<std::string>{"exports"}));

  Job next = MakeJob("next", {{"commit", "job"}});
  const auto versioned = Ok(next.Export("t", 0, 30));
  EXPECT_EQ(versioned.location, destination() + "_v2/public_t");
  ASSERT_OK(next.sink().CommitJob(Manifest(next, {versioned})));
  EXPECT_EQ(ReadRows(versioned.location), ExpectedRows(0, 30));
  EXPECT_EQ(ReadRows(first.location), ExpectedRows(0, 10));
}

TEST_P(FileSinkContract, LargeFilesAreSplit) {
  Job job = MakeJob("job", {{"max_file_size", "4096"}, {"compression", "none"}});
  const auto plan = job.Plan("t");
  ASSERT_OK_AND_ASSIGN(auto writer, job.OpenUnit(plan));
  for (int64_t i = 0; i < 40; ++i) ASSERT_OK(writer->Write(*TestBatch(i * 500, i * 500 + 500)));
  ASSERT_OK_AND_ASSIGN(auto staged, writer->Finish());
  EXPECT_GT(staged.parts.size(), 2u);
  int64_t rows = 0;
  for (const auto& part : staged.parts) rows += part.rows;
  EXPECT_EQ(rows, 20'000);
  const auto receipt = Ok(job.Commit(job.Request(plan, {staged})));
  EXPECT_EQ(receipt.files, static_cast<int64_t>(staged.parts.size()));
  EXPECT_EQ(ReadRows(receipt.location), ExpectedRows(0, 20'000));
}

TEST_P(FileSinkContract, OneLargeBatchIsSplitNearTheLimit) {
  constexpr int64_t kLimitBytes = 64 << 10;
  Job job = MakeJob("job", {{"max_file_size", "64KiB"}, {"compression", "none"}});
  const auto plan = job.Plan("t");
  ASSERT_OK_AND_ASSIGN(auto writer, job.OpenUnit(plan));
  ASSERT_OK(writer->Write(*TestBatch(0, 50'000)));
  ASSERT_OK_AND_ASSIGN(auto staged, writer->Finish());
  EXPECT_GT(staged.parts.size(), 1u);
  for (const auto& part : staged.parts) EXPECT_LE(part.bytes, kLimitBytes * 3 / 2);
  const auto receipt = Ok(job.Commit(job.Request(plan, {staged})));
  EXPECT_EQ(ReadRows(receipt.location), ExpectedRows(0, 50'000));
}

TEST_P(FileSinkContract, NoColumnsIsAnErrorOfTheUser) {
  Job job = MakeJob("job");
  auto plan = job.Plan("t");
  plan.schema = arrow::schema(arrow::FieldVector{});
  const auto prepared = job.sink().Prepare(plan, true);
  ASSERT_FALSE(prepared.ok());
  EXPECT_EQ(KindOf(prepared.status()), ErrorKind::kUser);
  EXPECT_NE(prepared.status().ToString().find("public.t"), std::string::npos);
}

TEST_P(FileSinkContract, WrongCompressionIsAnErrorOfTheUser) {
  for (const char* text : {"brotli", "zstd:99", "zstd:x", "snappy:1", "none, zstd"}) {
    Job job = MakeJob("job", {{"compression", text}});
    const auto prepared = job.sink().Prepare(job.Plan("t"), true);
    ASSERT_FALSE(prepared.ok()) << text;
    EXPECT_EQ(KindOf(prepared.status()), ErrorKind::kUser);
    EXPECT_NE(prepared.status().ToString().find("compression"), std::string::npos);
  }
}

TEST_P(FileSinkContract, WorkspaceThatVanishesIsMadeAgain) {
  Job job = MakeJob("job");
  const auto plan = job.Plan("t");
  ASSERT_OK(job.sink().Prepare(plan, false).status());
  ASSERT_OK_AND_ASSIGN(auto lost, job.Stage(plan, 0, 0, 10));
  fs::remove_all(destination() + "/.bulkhaul");
  EXPECT_FALSE(job.Commit(job.Request(plan, {lost})).ok());
  EXPECT_TRUE(Visible(destination()).empty());
  ASSERT_OK_AND_ASSIGN(auto staged, job.Stage(plan, 0, 0, 10));
  EXPECT_EQ(ReadRows(Ok(job.Commit(job.Request(plan, {staged}))).location), ExpectedRows(0, 10));
}

TEST_P(FileSinkContract, FileSizeLimitIsAClearError) {
  Job job = MakeJob("job", {{"compression", "none"}});
  const auto plan = job.Plan("t");
  ASSERT_OK(job.sink().Prepare(plan, false).status());
  rlimit before = {};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  rlimit tight = before;
  tight.rlim_cur = 100'000;
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &tight), 0);
  const auto staged = job.Stage(plan, 0, 0, 100'000);
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
  std::signal(SIGXFSZ, handler);
  ASSERT_FALSE(staged.ok());
  EXPECT_EQ(KindOf(staged.status()), ErrorKind::kPermanent) << staged.status();
  EXPECT_NE(staged.status().ToString().find("limit"), std::string::npos) << staged.status();
  EXPECT_TRUE(AllFiles(destination()).empty());
}

TEST_P(FileSinkContract, UnwritableDestinationIsAnErrorOfTheUser) {
  // A file where a folder must be: refused for root too, whom permissions do not stop.
  std::ofstream(folder_.path() + "/exports") << "a file";
  Job job = MakeJob("job");
  const auto prepared = job.sink().Prepare(job.Plan("t"), false);
  ASSERT_FALSE(prepared.ok());
  EXPECT_EQ(KindOf(prepared.status()), ErrorKind::kUser) << prepared.status();
  EXPECT_NE(prepared.status().ToString().find("cannot be written"), std::string::npos);
}

INSTANTIATE_TEST_SUITE_P(Sinks, FileSinkContract, testing::ValuesIn(FileSinks()),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace bulkhaul::contract
