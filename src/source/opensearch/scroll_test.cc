#include "source/opensearch/scroll.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "source/opensearch/page_head.h"

namespace bulkhaul::opensearch {
namespace {

using testing::HasSubstr;

search::PageSummary Page(int64_t hits, int64_t total) {
  search::PageSummary page;
  page.hits = hits;
  page.total = total;
  page.total_relation = "eq";
  page.shards_total = page.shards_successful = 1;
  return page;
}

std::string CodeFor(const search::PageSummary& page, const UnitToken& token = {},
                    ScrollProgress progress = {}) {
  const Status status = CheckPage(page, token, &progress);
  if (status.ok()) return "";
  EXPECT_EQ(KindOf(status), ErrorKind::kTransient);
  return CodeOf(status);
}

TEST(CheckPage, PagesThatAddUp) {
  ScrollProgress progress;
  for (const int64_t hits : {5, 5, 2}) {
    ASSERT_TRUE(CheckPage(Page(hits, 12), {}, &progress).ok());
  }
  EXPECT_EQ(progress.documents, 12);
  EXPECT_EQ(progress.pages, 3);
  EXPECT_EQ(CodeFor(Page(0, 0)), "");
}

TEST(CheckPage, WhatComesWithStatus200AndIsNoSuccess) {
  auto page = Page(5, 5);
  page.timed_out = true;
  EXPECT_EQ(CodeFor(page), "timed_out");
  page = Page(5, 5);
  page.terminated_early = true;
  EXPECT_EQ(CodeFor(page), "terminated_early");
  page = Page(5, 5);
  page.shards_failed = 1;
  EXPECT_EQ(CodeFor(page), "shards_failed");
  page = Page(5, 5);
  page.shards_total = 2;
  EXPECT_EQ(CodeFor(page), "shards_missing");
  page = Page(0, 0);
  page.shards_total = page.shards_successful = 0;
  EXPECT_EQ(CodeFor(page), "shards_missing");
  page = Page(5, 5);
  page.shards_total = page.shards_successful = -1;
  EXPECT_EQ(CodeFor(page), "no_shards");
  page = Page(5, 5);
  page.total_relation = "gte";
  EXPECT_EQ(CodeFor(page), "no_total");
}

TEST(CheckPage, ShardsThatWereAskedForTakePart) {
  UnitToken token;
  token.shards = {0, 2};
  EXPECT_EQ(CodeFor(Page(5, 5), token), "shards_missing");
  auto page = Page(5, 5);
  page.shards_total = page.shards_successful = 2;
  EXPECT_EQ(CodeFor(page, token), "");
}

TEST(CheckPage, DocumentsAgainstTheContextsTotal) {
  const ScrollProgress after_five{.total = 12, .documents = 5, .pages = 1};
  EXPECT_EQ(CodeFor(Page(0, 12), {}, after_five), "documents_missing");
  EXPECT_EQ(CodeFor(Page(8, 12), {}, after_five), "documents_too_many");
  EXPECT_EQ(CodeFor(Page(5, 13), {}, after_five), "total_changed");
  EXPECT_EQ(CodeFor(Page(7, 12), {}, after_five), "");
}

TEST(MakeSearchRequest, BodyAndPath) {
  UnitToken token;
  token.index = "logs/ä";
  token.query = R"({"term":{"n":9007199254740993}})";
  token.shards = {1, 3};
  token.slice_id = 2;
  token.slice_max = 4;
  const auto request =
      MakeSearchRequest(token, R"( {"_source":{"includes":["a"]}} )", 700, 60'000).ValueOrDie();
  EXPECT_THAT(request.path, HasSubstr("/logs%2F%C3%A4/_search?scroll=60000ms"));
  EXPECT_THAT(request.path, HasSubstr("preference=_shards%3A1%2C3"));
  EXPECT_THAT(request.body, HasSubstr("9007199254740993"));
  const auto body = nlohmann::json::parse(request.body);
  EXPECT_EQ(body["size"], 700);
  EXPECT_EQ(body["sort"], nlohmann::json::array({"_doc"}));
  EXPECT_EQ(body["slice"], nlohmann::json({{"id", 2}, {"max", 4}}));
  EXPECT_EQ(body["_source"]["includes"][0], "a");
}

TEST(MakeSearchRequest, WhatCompletenessRestsOnCannotBeOverridden) {
  for (const char* members : {R"({"size":1})", R"({"terminate_after":1})", "[]", "{"}) {
    const auto request = MakeSearchRequest({}, members, 1, 1);
    ASSERT_FALSE(request.ok()) << members;
    EXPECT_EQ(KindOf(request.status()), ErrorKind::kBug);
  }
  EXPECT_TRUE(MakeSearchRequest({}, "{}", 1, 1).ok());
}

TEST(PageHead, IdAndTotal) {
  const auto head = PeekPageHead(
      R"({"_scroll_id":"FGlu+/Y2x==","took":3,"timed_out":false,"_shards":{"total":1},"hits":)"
      R"({"total":{"value":100,"relation":"eq"},"hits":[]}})");
  EXPECT_EQ(head.scroll_id, "FGlu+/Y2x==");
  EXPECT_EQ(head.total, 100);
}

TEST(PageHead, AnythingElseGivesLess) {
  EXPECT_EQ(PeekPageHead("").scroll_id, "");
  EXPECT_EQ(PeekPageHead(R"({"took":1,"_scroll_id":"a"})").scroll_id, "");
  EXPECT_EQ(PeekPageHead(R"({"_scroll_id":"a\u0041"})").scroll_id, "");
  EXPECT_EQ(PeekPageHead(R"({"_scroll_id":"abc)").scroll_id, "");
  EXPECT_EQ(PeekPageHead(R"({"_scroll_id":"abc","hits":{"total":{"value":12)").total, -1);
}

TEST(UnitToken, RoundTrip) {
  UnitToken token;
  token.index = "i";
  token.uuid = "u";
  token.shards = {3};
  token.routing = "r";
  token.query = R"({"range":{"n":{"gte":18446744073709551615}}})";
  token.slice_field = "f";
  token.slice_id = 1;
  token.slice_max = 3;
  token.expected = 7;
  token.document_bytes = 300;
  token.page_documents_max = 100;
  EXPECT_EQ(UnitToken::FromJson(token.ToJson()).ValueOrDie(), token);
  EXPECT_EQ(UnitToken::FromJson(UnitToken{}.ToJson()).ValueOrDie(), UnitToken{});
  EXPECT_EQ(KindOf(UnitToken::FromJson("{}").status()), ErrorKind::kBug);
  EXPECT_EQ(KindOf(UnitToken::FromJson("x").status()), ErrorKind::kBug);
}

}  // namespace
}  // namespace bulkhaul::opensearch
