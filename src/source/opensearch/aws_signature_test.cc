#include "source/opensearch/aws_signature.h"

#include <gtest/gtest.h>

namespace bulkhaul::opensearch {
namespace {

// Of AWS's "Signature Version 4 test suite" (aws-sig-v4-test-suite), with its keys.
std::string SignatureOf(const std::string& method, const std::string& path,
                        const std::string& query) {
  const AwsKeys keys{"us-east-1", "service", "AKIDEXAMPLE",
                     "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", ""};
  const auto text = AwsAuthorization(
      {method, "example.amazonaws.com", path, AwsQuery(query), ""}, keys,
      {{"host", "example.amazonaws.com"}, {"x-amz-date", "20150830T123600Z"}}, "20150830T123600Z");
  EXPECT_TRUE(text.starts_with(
      "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
      "SignedHeaders=host;x-amz-date, Signature="))
      << text;
  return text.substr(text.rfind('=') + 1);
}

TEST(AwsSignature, PublishedVectors) {
  EXPECT_EQ(SignatureOf("GET", "/", ""),
            "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31");
  EXPECT_EQ(SignatureOf("GET", "/", "Param2=value2&Param1=value1"),
            "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500");
  EXPECT_EQ(SignatureOf("POST", "/", ""),
            "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b");
}

TEST(AwsSignature, QueriesHaveOneForm) {
  EXPECT_EQ(AwsQuery("scroll=1m&allow=false&filter_path=*.a,b&flag&x=%2a%7E"),
            "allow=false&filter_path=%2A.a%2Cb&flag=&scroll=1m&x=%2A~");
  EXPECT_EQ(AwsQuery(""), "");
}

}  // namespace
}  // namespace bulkhaul::opensearch
