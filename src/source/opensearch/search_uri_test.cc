#include "source/opensearch/search_uri.h"

#include <map>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace bulkhaul::opensearch {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

using Environment = std::map<std::string, std::string>;

Result<SearchUri> Parse(std::string_view uri, const Environment& environment = {}) {
  return ParseSearchUri(uri, [&](const std::string& name) -> std::optional<std::string> {
    const auto found = environment.find(name);
    if (found == environment.end()) return std::nullopt;
    return found->second;
  });
}

TEST(ParseSearchUri, HostsIndicesAndSettings) {
  const auto uri =
      Parse("opensearch://a:9201,b,[::1]:9203/logs-*,-logs-old?time=ts&gte=2024-03-01&lt=now%2Fd")
          .ValueOrDie();
  EXPECT_THAT(uri.connection.hosts, ElementsAre(HostAddress{"a", 9201}, HostAddress{"b", 9200},
                                                HostAddress{"::1", 9203}));
  EXPECT_FALSE(uri.connection.tls);
  EXPECT_EQ(uri.connection.authentication, Authentication::kNone);
  EXPECT_EQ(uri.expression, "logs-*,-logs-old");
  EXPECT_EQ(uri.options.GetString("time"), "ts");
  EXPECT_EQ(uri.options.GetString("gte"), "2024-03-01");
  EXPECT_EQ(uri.options.GetString("lt"), "now/d");
}

TEST(ParseSearchUri, DatedPatternsNeedNoEscapes) {
  EXPECT_EQ(Parse("opensearch://h/logs-%Y.%m.%d")->expression, "logs-%Y.%m.%d");
  EXPECT_EQ(Parse("opensearch://h/logs-%25Y.%25m")->expression, "logs-%Y.%m");
  EXPECT_EQ(Parse("opensearch://h")->expression, "");
  EXPECT_EQ(Parse("opensearch://h/")->expression, "");
}

TEST(ParseSearchUri, UserAndPassword) {
  const auto uri = Parse("elasticsearch+https://me:p%40ss:w@h:9200/i").ValueOrDie();
  EXPECT_TRUE(uri.connection.tls);
  EXPECT_EQ(uri.connection.authentication, Authentication::kBasic);
  EXPECT_EQ(uri.connection.user, "me");
  EXPECT_EQ(uri.connection.password.Reveal(), "p@ss:w");
}

TEST(ParseSearchUri, SecretsFromTheEnvironment) {
  const Environment environment = {{"OPENSEARCH_PASSWORD", "geheim"},
                                   {"ELASTICSEARCH_API_KEY", "a2V5"}};
  const auto basic = Parse("opensearch://me@h/i", environment).ValueOrDie();
  EXPECT_EQ(basic.connection.password.Reveal(), "geheim");
  const auto key = Parse("elasticsearch://h/i", environment).ValueOrDie();
  EXPECT_EQ(key.connection.authentication, Authentication::kApiKey);
  EXPECT_EQ(key.connection.api_key.Reveal(), "a2V5");
}

TEST(ParseSearchUri, AwsSignatures) {
  const char* uri = "opensearch+https://search.eu.amazonaws.com/i?aws_region=eu-central-1";
  EXPECT_THAT(MessageOf(Parse(uri).status()), HasSubstr("AWS_ACCESS_KEY_ID"));
  const auto parsed =
      Parse(uri, {{"AWS_ACCESS_KEY_ID", "id"}, {"AWS_SECRET_ACCESS_KEY", "key"}}).ValueOrDie();
  EXPECT_EQ(parsed.connection.authentication, Authentication::kAwsSigV4);
  EXPECT_EQ(parsed.connection.hosts[0].port, 443);
}

TEST(ParseSearchUri, RefusesWhatItDoesNotKnow) {
  EXPECT_THAT(MessageOf(Parse("opensearch://h/i?gtee=2024").status()), HasSubstr("'gte'"));
  EXPECT_THAT(MessageOf(Parse("opensearch://h/i?workers=3").status()), HasSubstr("'workers'"));
  EXPECT_THAT(MessageOf(Parse("opensearch://h/a/b").status()), HasSubstr("path_prefix"));
  EXPECT_FALSE(Parse("opensearch:///i").ok());
  EXPECT_FALSE(Parse("opensearch://h:0/i").ok());
  EXPECT_FALSE(Parse("opensearch://h:99999/i").ok());
  EXPECT_FALSE(Parse("opensearch://[::1/i").ok());
  EXPECT_FALSE(Parse("opensearch://h/i?compress=perhaps").ok());
  EXPECT_TRUE(Parse("opensearch://h/i?compress=auto").ok());
  EXPECT_FALSE(Parse("opensearch://h/i?objects=heap").ok());
}

TEST(ParseSearchUri, RefusesWhatWouldWinSilently) {
  const auto error = [](const char* uri, const Environment& given) {
    const auto parsed = Parse(uri, given);
    return parsed.ok() ? std::string() : MessageOf(parsed.status());
  };
  EXPECT_THAT(error("opensearch://h/x?gte=2024&gte=2025", {}), HasSubstr("'gte' twice"));
  EXPECT_THAT(error("opensearch://h/x?api_key=a&bearer_token=b", {}), HasSubstr("more than one"));
  EXPECT_THAT(error("opensearch://u:p@h/x?api_key=a", {}), HasSubstr("more than one"));
  const Environment both = {{"OPENSEARCH_API_KEY", "a"}, {"OPENSEARCH_BEARER_TOKEN", "b"}};
  EXPECT_THAT(error("opensearch://h/x", both), HasSubstr("the environment names more than one"));
  EXPECT_EQ(error("opensearch://h/x?bearer_token=c", both), "");
}

}  // namespace
}  // namespace bulkhaul::opensearch
