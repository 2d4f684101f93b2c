// The source's URI: where the cluster is, which indices, and settings.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "plan/options.h"
#include "source/opensearch/connection_settings.h"

namespace bulkhaul::opensearch {

struct SearchUri {
  ConnectionSettings connection;
  std::string expression;  // "logs-*,other"; "" when the URI names no index
  // Settings of the option table that the URI's query gives: time, gte, fields…
  Options options;
};

// opensearch://user:password@host:9200,host2:9200/logs-*?time=@timestamp&gte=2024-03-01
//
// Schemes: opensearch, elasticsearch (plain http), with "+https" over TLS. The path is the index
// expression; parts are percent-decoded, '+' stays what it is. Parameters of the connection:
// api_key, bearer_token, aws_region, aws_service, ca_file, ca_folder, certificate, certificate_key,
// certificate_key_password, fingerprint, verify_certificate, proxy, compress, path_prefix. All
// others are settings of the option table's group "OpenSearch".
//
// What the URI does not say is asked of `environment`: OPENSEARCH_USERNAME, …_PASSWORD, …_API_KEY,
// …_BEARER_TOKEN (ELASTICSEARCH_… for that scheme), and AWS_ACCESS_KEY_ID,
// AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, AWS_REGION.
//
// kUser on anything that is not understood, with the nearest name.
using EnvironmentNames = std::function<std::optional<std::string>(const std::string&)>;
Result<SearchUri> ParseSearchUri(std::string_view uri, const EnvironmentNames& environment);

}  // namespace bulkhaul::opensearch
