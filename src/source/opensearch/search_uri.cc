#include "source/opensearch/search_uri.h"

#include <charconv>
#include <set>
#include <vector>

#include <fmt/format.h>

#include "base/secret.h"
#include "base/text.h"
#include "plan/option_table.h"

namespace bulkhaul::opensearch {
namespace {

constexpr int kDefaultPort = 9200;
constexpr int kAwsPort = 443;
constexpr std::string_view kOptionGroup = "OpenSearch";

std::vector<std::string_view> Split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  while (true) {
    const size_t end = text.find(separator);
    parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

Result<int> ParsePort(std::string_view text) {
  int port = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), port);
  if (parsed.ec != std::errc() || parsed.ptr != text.data() + text.size() || port < 1 ||
      port > 65535) {
    return UserError(fmt::format("'{}' is not a port", text));
  }
  return port;
}

Result<HostAddress> ParseHost(std::string_view text, int default_port) {
  HostAddress address;
  address.port = default_port;
  std::string_view port;
  if (text.starts_with('[')) {
    const size_t end = text.find(']');
    if (end == std::string_view::npos) return UserError("the URI's IPv6 address lacks its ']'");
    address.host = text.substr(1, end - 1);
    port = text.substr(end + 1);
  } else {
    const size_t colon = std::min(text.find(':'), text.size());
    address.host = PercentDecode(text.substr(0, colon));
    port = text.substr(colon);
  }
  if (address.host.empty()) return UserError("the URI names no host: opensearch://host:9200/index");
  if (!port.empty()) {
    if (port[0] != ':') return UserError("after the URI's host comes ':port'");
    ARROW_ASSIGN_OR_RAISE(address.port, ParsePort(port.substr(1)));
  }
  return address;
}

Result<bool> ParseBool(std::string_view name, std::string_view text) {
  if (text == "true" || text == "1" || text.empty()) return true;
  if (text == "false" || text == "0") return false;
  return UserError(fmt::format("the URI's {} must be true or false", name));
}

constexpr const char* kConnectionNames[] = {"api_key",     "bearer_token",
                                            "aws_region",  "aws_service",
                                            "ca_file",     "ca_folder",
                                            "certificate", "certificate_key",
                                            "fingerprint", "certificate_key_password",
                                            "path_prefix", "proxy",
                                            "compress",    "verify_certificate"};

// False when the name is none of the connection's.
Result<bool> SetConnection(const std::string& name, const std::string& value,
                           ConnectionSettings* connection) {
  const std::pair<const char*, std::string*> texts[] = {
      {"aws_region", &connection->aws_region},   {"aws_service", &connection->aws_service},
      {"ca_file", &connection->ca_file},         {"ca_folder", &connection->ca_folder},
      {"certificate", &connection->certificate}, {"certificate_key", &connection->certificate_key},
      {"fingerprint", &connection->fingerprint}, {"path_prefix", &connection->path_prefix},
  };
  for (const auto& [key, target] : texts) {
    if (name == key) {
      *target = value;
      return true;
    }
  }
  const std::pair<const char*, Secret*> secrets[] = {
      {"api_key", &connection->api_key},
      {"bearer_token", &connection->bearer_token},
      {"certificate_key_password", &connection->certificate_key_password},
      {"proxy", &connection->proxy},
  };
  for (const auto& [key, target] : secrets) {
    if (name == key) {
      *target = Secret(value);
      return true;
    }
  }
  if (name == "compress") {
    if (value == "auto") {
      connection->compress = Compress::kAuto;
      return true;
    }
    ARROW_ASSIGN_OR_RAISE(const bool on, ParseBool(name, value));
    connection->compress = on ? Compress::kOn : Compress::kOff;
    return true;
  }
  if (name == "verify_certificate") {
    ARROW_ASSIGN_OR_RAISE(connection->verify_certificate, ParseBool(name, value));
    return true;
  }
  return false;
}

Status UnknownParameter(const std::string& name) {
  std::vector<std::string> candidates(std::begin(kConnectionNames), std::end(kConnectionNames));
  for (const auto& option : OptionTable()) {
    if (option.group == kOptionGroup) candidates.emplace_back(option.name);
  }
  const auto nearest = NearestName(name, candidates);
  return UserError(fmt::format("the URI's parameter '{}' is not known{}", name,
                               nearest ? fmt::format("; did you mean '{}'?", *nearest) : ""));
}

Status SetParameter(const std::string& name, const std::string& value, SearchUri* uri) {
  ARROW_ASSIGN_OR_RAISE(const bool known, SetConnection(name, value, &uri->connection));
  if (known) return Status::OK();
  const auto* option = FindOption(name);
  if (option == nullptr || option->group != kOptionGroup) return UnknownParameter(name);
  const Status status = uri->options.SetFromText(name, value);
  return status.ok() ? status : WithContext(status, "the URI's parameter " + name);
}

void SetUser(std::string_view userinfo, ConnectionSettings* connection) {
  const size_t colon = userinfo.find(':');
  connection->user = PercentDecode(userinfo.substr(0, colon));
  if (colon != std::string_view::npos) {
    connection->password = Secret(PercentDecode(userinfo.substr(colon + 1)));
  }
}

void FillFromEnvironment(const std::string& product, const EnvironmentNames& environment,
                         ConnectionSettings* connection) {
  const auto read = [&](const std::string& name, const auto& take) {
    if (auto value = environment(name); value && !value->empty()) take(*std::move(value));
  };
  const bool other = !connection->api_key.empty() || !connection->bearer_token.empty() ||
                     !connection->aws_region.empty();
  if (connection->user.empty() && !other) {
    read(product + "_USERNAME", [&](std::string value) { connection->user = std::move(value); });
  }
  if (connection->password.empty()) {
    read(product + "_PASSWORD",
         [&](std::string value) { connection->password = Secret(std::move(value)); });
  }
  // The URI's way to log in wins over the environment's.
  const bool named = !connection->user.empty() || !connection->api_key.empty() ||
                     !connection->bearer_token.empty();
  if (!named) {
    read(product + "_API_KEY",
         [&](std::string value) { connection->api_key = Secret(std::move(value)); });
  }
  if (!named) {
    read(product + "_BEARER_TOKEN",
         [&](std::string value) { connection->bearer_token = Secret(std::move(value)); });
  }
  if (connection->aws_region.empty()) return;
  read("AWS_ACCESS_KEY_ID",
       [&](std::string value) { connection->aws_access_key_id = std::move(value); });
  read("AWS_SECRET_ACCESS_KEY",
       [&](std::string value) { connection->aws_secret_access_key = Secret(std::move(value)); });
  read("AWS_SESSION_TOKEN",
       [&](std::string value) { connection->aws_session_token = Secret(std::move(value)); });
}

// One way to log in, so that none is left out silently.
Status CheckOneLogin(const ConnectionSettings& connection, const char* where) {
  const int logins = (connection.user.empty() ? 0 : 1) + (connection.api_key.empty() ? 0 : 1) +
                     (connection.bearer_token.empty() ? 0 : 1) +
                     (connection.aws_region.empty() ? 0 : 1);
  if (logins < 2) return Status::OK();
  return UserError(
      fmt::format("{} more than one way to log in: choose one of user and password, "
                  "api_key, bearer_token and aws_region",
                  where));
}

Status ChooseAuthentication(ConnectionSettings* connection) {
  if (!connection->aws_region.empty()) {
    connection->authentication = Authentication::kAwsSigV4;
    if (connection->aws_access_key_id.empty() || connection->aws_secret_access_key.empty()) {
      return UserError(
          "aws_region asks for AWS signatures: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY");
    }
  } else if (!connection->api_key.empty()) {
    connection->authentication = Authentication::kApiKey;
  } else if (!connection->bearer_token.empty()) {
    connection->authentication = Authentication::kBearer;
  } else if (!connection->user.empty()) {
    connection->authentication = Authentication::kBasic;
  }
  return Status::OK();
}

}  // namespace

Result<SearchUri> ParseSearchUri(std::string_view uri, const EnvironmentNames& environment) {
  const size_t scheme_end = uri.find("://");
  if (scheme_end == std::string_view::npos) {
    return UserError(
        fmt::format("'{}' is not a search cluster's URI: write opensearch://host:9200/"
                    "index",
                    Redact(uri)));
  }
  const std::string_view scheme = uri.substr(0, scheme_end);
  std::string_view rest = uri.substr(scheme_end + 3);
  SearchUri result;
  ConnectionSettings& connection = result.connection;
  connection.tls = scheme.ends_with("https");
  const std::string product = scheme.starts_with("elasticsearch") ? "ELASTICSEARCH" : "OPENSEARCH";

  const size_t question = rest.find('?');
  const std::string_view parameters =
      question == std::string_view::npos ? "" : rest.substr(question + 1);
  rest = rest.substr(0, question);
  const size_t slash = rest.find('/');
  std::string_view authority = rest.substr(0, slash);
  const std::string_view path = slash == std::string_view::npos ? "" : rest.substr(slash + 1);
  if (const size_t at = authority.rfind('@'); at != std::string_view::npos) {
    SetUser(authority.substr(0, at), &connection);
    authority.remove_prefix(at + 1);
  }
  std::set<std::string> names;
  for (const auto parameter : Split(parameters, '&')) {
    if (parameter.empty()) continue;
    const size_t equals = parameter.find('=');
    const std::string value =
        equals == std::string_view::npos ? "" : PercentDecode(parameter.substr(equals + 1));
    const std::string name = PercentDecode(parameter.substr(0, equals));
    if (!names.insert(name).second) {
      return UserError(fmt::format("the URI gives '{}' twice", name));
    }
    ARROW_RETURN_NOT_OK(SetParameter(name, value, &result));
  }
  const int port = connection.aws_region.empty() ? kDefaultPort : kAwsPort;
  for (const auto host : Split(authority, ',')) {
    ARROW_ASSIGN_OR_RAISE(auto address, ParseHost(host, port));
    connection.hosts.push_back(std::move(address));
  }
  result.expression = PercentDecode(path);
  while (result.expression.ends_with('/')) result.expression.pop_back();
  if (result.expression.find('/') != std::string::npos) {
    return UserError(
        "the URI's path names indices and has no further '/': a prefix before every path is the "
        "parameter path_prefix=/prefix");
  }
  ARROW_RETURN_NOT_OK(CheckOneLogin(connection, "the URI names"));
  FillFromEnvironment(product, environment, &connection);
  if (connection.aws_region.empty()) {
    ARROW_RETURN_NOT_OK(CheckOneLogin(connection, "the environment names"));
  }
  ARROW_RETURN_NOT_OK(ChooseAuthentication(&connection));
  return result;
}

}  // namespace bulkhaul::opensearch
