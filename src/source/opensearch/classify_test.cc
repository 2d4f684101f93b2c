#include "source/opensearch/classify.h"

#include <curl/curl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace bulkhaul::opensearch {
namespace {

using testing::HasSubstr;

constexpr char kLine[] = "POST /logs/_search on a:9200";
constexpr char kJson[] = "application/json";

// As OpenSearch 3.6.0 answers for a scroll that was closed.
constexpr char kLostContext[] =
    R"({"error":{"root_cause":[{"type":"search_context_missing_exception","reason":"No search )"
    R"(context found for id [2]"}],"type":"search_phase_execution_exception","reason":"all shards )"
    R"(failed","phase":"query","grouped":true,"failed_shards":[]},"status":404})";

ErrorKind KindFor(int status, std::string_view body = "{}") {
  return KindOf(ClassifyHttp(status, body, kJson, kLine));
}

TEST(Classify, StatusDecidesTheKind) {
  for (const int status : {408, 409, 429, 500, 502, 503, 504, 507}) {
    EXPECT_EQ(KindFor(status), ErrorKind::kTransient) << status;
  }
  for (const int status : {301, 302, 400, 401, 403, 404, 405, 413, 501, 505}) {
    EXPECT_EQ(KindFor(status), ErrorKind::kUser) << status;
  }
}

TEST(Classify, TooManyBucketsAreTooManyAgain) {
  EXPECT_EQ(KindFor(503, R"({"error":{"type":"too_many_buckets_exception"}})"), ErrorKind::kUser);
}

TEST(Classify, ALostContextIsTransient) {
  const Status status = ClassifyHttp(404, kLostContext, kJson, kLine);
  EXPECT_EQ(KindOf(status), ErrorKind::kTransient);
  EXPECT_EQ(CodeOf(status), "search_context_missing_exception");
  EXPECT_THAT(MessageOf(status), HasSubstr("No search context found for id [2]"));
}

// As OpenSearch 3.6.0 and Elasticsearch 8.19.21 say it.
TEST(Classify, AScrollThatIsKeptForTooLongNamesTheOption) {
  const Status status = ClassifyHttp(
      400,
      R"({"error":{"root_cause":[{"type":"illegal_argument_exception","reason":"Keep alive for )"
      R"(request (5m) is too large. It must be less than (1m). This limit can be set by changing )"
      R"(the [search.max_keep_alive] cluster level setting."}]},"status":400})",
      kJson, kLine);
  EXPECT_EQ(KindOf(status), ErrorKind::kUser);
  EXPECT_THAT(MessageOf(status), HasSubstr("It must be less than (1m)"));
  EXPECT_THAT(MessageOf(status), HasSubstr("choose a shorter scroll_keep_alive"));
}

TEST(Classify, AContextLimitIsTransientWhateverItsStatus) {
  EXPECT_EQ(KindFor(400, R"({"error":{"root_cause":[{"type":"exception","reason":)"
                         R"("Trying to create too many scroll contexts."}]}})"),
            ErrorKind::kTransient);
}

TEST(Classify, RootCauseSaysWhy) {
  const auto error = ParseServerError(
      R"({"error":{"type":"search_phase_execution_exception","reason":"all shards failed",)"
      R"("caused_by":{"type":"a","reason":"b","caused_by":{"type":"script_exception",)"
      R"("reason":"runtime error"}}}})");
  EXPECT_EQ(error.type, "script_exception");
  EXPECT_EQ(error.reason, "runtime error");
}

// As OpenSearch 3.6.0 answers when the script of a derived field throws, shortened.
TEST(Classify, AScriptsErrorSaysWhatItThrew) {
  const auto error = ParseServerError(
      R"({"error":{"root_cause":[{"type":"script_exception","reason":"runtime error","lang":)"
      R"("painless"}],"type":"search_phase_execution_exception","reason":"all shards failed",)"
      R"("caused_by":{"type":"script_exception","reason":"runtime error","caused_by":{"type":)"
      R"("illegal_argument_exception","reason":"no luck"}}}})");
  EXPECT_EQ(error.type, "script_exception");
  EXPECT_EQ(error.reason, "runtime error: no luck");
}

TEST(Classify, WhatIsNoErrorBodyHasNoType) {
  for (const char* body : {"", "[]", "3", "<html>", "{\"error\":[]}", "{\"error\":{\"type\":3}}"}) {
    EXPECT_EQ(ParseServerError(body).type, "") << body;
  }
  EXPECT_EQ(ParseServerError(R"({"Message":"not authorized"})").reason, "not authorized");
}

TEST(Classify, MessagesHoldNoSecretAndNoControlCharacters) {
  const Status status =
      ClassifyHttp(400, "see https://user:hunter2@host/ \x1b[31m", "text/plain", kLine);
  EXPECT_EQ(MessageOf(status).find("hunter2"), std::string::npos);
  EXPECT_EQ(MessageOf(status).find('\x1b'), std::string::npos);
}

TEST(Classify, WhatSaysThatTheClusterHasTooMuchToDo) {
  const auto overload = [](int status, const char* body) {
    return IsOverload(ClassifyHttp(status, body, "application/json", kLine));
  };
  EXPECT_TRUE(overload(429, R"({"error":{"type":"status_exception","reason":"slow down"}})"));
  EXPECT_TRUE(overload(503, R"({"error":{"type":"es_rejected_execution_exception"}})"));
  for (const int status : {429, 502, 503, 504}) EXPECT_TRUE(overload(status, "")) << status;
  for (const int status : {400, 401, 404, 408, 500}) EXPECT_FALSE(overload(status, "")) << status;
  EXPECT_TRUE(IsOverload(ClassifyCurl(CURLE_OPERATION_TIMEDOUT, "", kLine, true)));
  EXPECT_FALSE(IsOverload(ClassifyCurl(CURLE_RECV_ERROR, "", kLine, true)));
}

TEST(Classify, CurlCodes) {
  const auto kind = [](CURLcode code, const char* text, bool reached) {
    return KindOf(ClassifyCurl(code, text, kLine, reached));
  };
  EXPECT_EQ(kind(CURLE_COULDNT_CONNECT, "", false), ErrorKind::kTransient);
  EXPECT_EQ(kind(CURLE_COULDNT_RESOLVE_HOST, "", false), ErrorKind::kUser);
  EXPECT_EQ(kind(CURLE_COULDNT_RESOLVE_HOST, "", true), ErrorKind::kTransient);
  EXPECT_EQ(kind(CURLE_PEER_FAILED_VERIFICATION, "", false), ErrorKind::kUser);
  EXPECT_EQ(kind(CURLE_SSL_CONNECT_ERROR, "wrong version number", false), ErrorKind::kUser);
  EXPECT_EQ(kind(CURLE_SSL_CONNECT_ERROR, "Connection reset by peer", false),
            ErrorKind::kTransient);
  EXPECT_EQ(kind(CURLE_PARTIAL_FILE, "", true), ErrorKind::kTransient);
  EXPECT_EQ(kind(CURLE_OPERATION_TIMEDOUT, "", true), ErrorKind::kTransient);
}

}  // namespace
}  // namespace bulkhaul::opensearch
