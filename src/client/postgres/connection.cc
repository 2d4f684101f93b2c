#include "client/postgres/connection.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <condition_variable>
#include <cstring>
#include <mutex>
#include <regex>
#include <thread>

#include <fmt/format.h>
#include <libpq-fe.h>

namespace bulkhaul::postgres {
namespace {

using Parameters = std::vector<std::pair<std::string, std::string>>;

// How often a wait looks at its stop token.
constexpr int kStopCheckMs = 100;
constexpr int64_t kCancelSendMs = 1'000;
constexpr int64_t kCancelDrainMs = 900;

Result<Parameters> ParseConninfo(const Secret& conninfo) {
  char* error = nullptr;
  PQconninfoOption* options = PQconninfoParse(conninfo.Reveal().c_str(), &error);
  if (options == nullptr) {
    // libpq's message may quote a part of the text, which may be the password.
    PQfreemem(error);
    return UserError(
        "the PostgreSQL connection string is not understood; write "
        "postgres://user@host:port/database?option=value or 'host=… dbname=…', and percent-encode "
        "special characters of the password in a URI");
  }
  Parameters parameters;
  for (const auto* option = options; option->keyword != nullptr; ++option) {
    if (option->val != nullptr) parameters.emplace_back(option->keyword, option->val);
  }
  PQconninfoFree(options);
  return parameters;
}

std::string Get(const Parameters& parameters, std::string_view name) {
  for (const auto& [key, value] : parameters) {
    if (key == name) return value;
  }
  return "";
}

void Set(Parameters* parameters, std::string_view name, const std::string& value) {
  std::erase_if(*parameters, [&](const auto& parameter) { return parameter.first == name; });
  if (!value.empty()) parameters->emplace_back(name, value);
}

void SetDefault(Parameters* parameters, std::string_view name, const std::string& value) {
  if (Get(*parameters, name).empty()) parameters->emplace_back(name, value);
}

std::vector<std::string> SplitList(const std::string& text) {
  std::vector<std::string> parts(1);
  for (const char byte : text) {
    if (byte == ',') {
      parts.emplace_back();
    } else {
      parts.back() += byte;
    }
  }
  return parts;
}

// One set of parameters a host, so that each host has a deadline of its own: libpq's non-blocking
// connect has none. prefer-standby is two passes over the hosts, as libpq does it.
std::vector<Parameters> Attempts(const Parameters& parameters) {
  const auto hosts = SplitList(Get(parameters, "host"));
  const auto addresses = SplitList(Get(parameters, "hostaddr"));
  const auto ports = SplitList(Get(parameters, "port"));
  const size_t count = std::max(hosts.size(), addresses.size());
  const bool consistent = (hosts.size() == count || hosts.size() == 1) &&
                          (addresses.size() == count || addresses.size() == 1) &&
                          (ports.size() == count || ports.size() == 1);
  if (count == 1 || !consistent) return {parameters};
  std::vector<Parameters> attempts;
  const bool prefer_standby = Get(parameters, "target_session_attrs") == "prefer-standby";
  for (const char* wanted : {"standby", "any"}) {
    for (size_t i = 0; i < count; ++i) {
      Parameters one = parameters;
      Set(&one, "host", hosts.size() == 1 ? hosts[0] : hosts[i]);
      Set(&one, "hostaddr", addresses.size() == 1 ? addresses[0] : addresses[i]);
      Set(&one, "port", ports.size() == 1 ? ports[0] : ports[i]);
      if (prefer_standby) Set(&one, "target_session_attrs", wanted);
      attempts.push_back(std::move(one));
    }
    if (!prefer_standby) break;
  }
  return attempts;
}

bool Contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

// libpq tells why a connection failed by text alone; asked for verbose errors, the text of what the
// server said begins with its SQLSTATE ("FATAL:  28P01: …").
Status ConnectError(std::string_view libpq_text, const std::string& where) {
  const std::string text(libpq_text.substr(0, libpq_text.find_last_not_of(" \n") + 1));
  static const std::regex server_error("[A-Z\\x80-\\xff]+:  ([0-9A-Z]{5}): ([^\\n]*)");
  std::smatch match;
  if (std::regex_search(text, match, server_error)) {
    ServerError error{.severity = "FATAL", .sqlstate = match[1], .message = match[2]};
    return ServerErrorStatus(error, {}, fmt::format("cannot connect to PostgreSQL {}", where));
  }
  bool user = false;
  for (const char* sign :
       {"no password supplied", "certificate", "does not support SSL", "Name or service not known",
        "definition of service", "invalid", "session is", "server is", "password authentication",
        "GSSAPI", "sslmode", "private key"}) {
    user = user || Contains(text, sign);
  }
  // A standby that is not promoted yet, or a primary that is gone, may change; a wrong name will
  // not.
  if (Contains(text, "session is") || Contains(text, "server is")) user = false;
  // As where the server says it.
  const char* code = Contains(text, "no password supplied") ? "28P01" : "";
  return MakeError(user ? ErrorKind::kUser : ErrorKind::kTransient,
                   Redact(fmt::format("cannot connect to PostgreSQL {}: {}", where, text)), code);
}

std::string Place(const Parameters& parameters) {
  const std::string host = Get(parameters, "host");
  const std::string port = Get(parameters, "port");
  const std::string service = Get(parameters, "service");
  if (host.empty() && !service.empty()) return fmt::format("(service {})", service);
  return fmt::format("at {}{}{}", host.empty() ? "the default host" : host, port.empty() ? "" : ":",
                     port);
}

}  // namespace

SteadyTime DeadlineIn(int64_t milliseconds) {
  if (milliseconds <= 0) return SteadyTime::max();
  return std::chrono::steady_clock::now() + std::chrono::milliseconds(milliseconds);
}

Status WaitOnSocket(int socket, WaitFor what, const WaitLimit& limit) {
  pollfd entry{.fd = socket,
               .events = static_cast<short>(what == WaitFor::kRead ? POLLIN : POLLOUT),
               .revents = 0};
  while (true) {
    if (limit.stop.stop_requested()) return CancelledError();
    int timeout_ms = kStopCheckMs;
    if (limit.deadline != SteadyTime::max()) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(
          limit.deadline - std::chrono::steady_clock::now());
      if (left.count() <= 0) return TransientError("timed out");
      timeout_ms = static_cast<int>(std::min<int64_t>(timeout_ms, left.count()));
    }
    const int ready = poll(&entry, 1, timeout_ms);
    if (ready > 0) return Status::OK();
    if (ready < 0 && errno != EINTR) {
      return TransientError(fmt::format("poll failed: {}", std::strerror(errno)));
    }
  }
}

ServerError ErrorOf(const pg_result* result) {
  const auto field = [&](int code) {
    const char* text = PQresultErrorField(result, code);
    return std::string(text == nullptr ? "" : text);
  };
  return {.severity = field(PG_DIAG_SEVERITY_NONLOCALIZED),
          .sqlstate = field(PG_DIAG_SQLSTATE),
          .message = field(PG_DIAG_MESSAGE_PRIMARY),
          .detail = field(PG_DIAG_MESSAGE_DETAIL),
          .hint = field(PG_DIAG_MESSAGE_HINT),
          .context = field(PG_DIAG_CONTEXT)};
}

Status CheckConninfo(const Secret& conninfo) { return ParseConninfo(conninfo).status(); }

ResultSet::ResultSet(pg_result* result) : result_(result) {}
ResultSet::~ResultSet() { PQclear(result_); }
ResultSet::ResultSet(ResultSet&& other) noexcept : result_(std::exchange(other.result_, nullptr)) {}
ResultSet& ResultSet::operator=(ResultSet&& other) noexcept {
  std::swap(result_, other.result_);
  return *this;
}
int ResultSet::rows() const { return PQntuples(result_); }
int ResultSet::columns() const { return PQnfields(result_); }
int64_t ResultSet::affected() const { return std::atoll(PQcmdTuples(result_)); }
bool ResultSet::is_null(int row, int column) const {
  return PQgetisnull(result_, row, column) != 0;
}
std::string_view ResultSet::text(int row, int column) const {
  return {PQgetvalue(result_, row, column), static_cast<size_t>(PQgetlength(result_, row, column))};
}
int64_t ResultSet::integer(int row, int column, int64_t if_null) const {
  const std::string_view digits = text(row, column);
  int64_t value = if_null;
  std::from_chars(digits.data(), digits.data() + digits.size(), value);
  return value;
}
bool ResultSet::boolean(int row, int column) const { return text(row, column) == "t"; }
std::string_view ResultSet::column_name(int column) const { return PQfname(result_, column); }
uint32_t ResultSet::column_type(int column) const { return PQftype(result_, column); }
int32_t ResultSet::column_typmod(int column) const { return PQfmod(result_, column); }

Result<std::unique_ptr<Connection>> Connection::Open(const ConnectionSettings& settings,
                                                     std::stop_token stop) {
  ARROW_ASSIGN_OR_RAISE(Parameters parameters, ParseConninfo(settings.conninfo));
  if (!settings.address.empty()) {
    Set(&parameters, "host", settings.address.host);
    Set(&parameters, "hostaddr", settings.address.hostaddr);
    Set(&parameters, "port", settings.address.port);
    Set(&parameters, "target_session_attrs", "");
    Set(&parameters, "load_balance_hosts", "");
  }
  Set(&parameters, "application_name", settings.application_name);
  Set(&parameters, "client_encoding", "UTF8");
  SetDefault(&parameters, "keepalives_idle", "30");
  SetDefault(&parameters, "keepalives_interval", "10");
  SetDefault(&parameters, "keepalives_count", "3");
  Status last = TransientError("no host to connect to");
  for (const auto& attempt : Attempts(parameters)) {
    auto connection = OpenOne(attempt, settings.connect_timeout_ms, stop);
    if (connection.ok() || KindOf(connection.status()) == ErrorKind::kCancelled) return connection;
    last = connection.status();
  }
  return last;
}

Result<std::unique_ptr<Connection>> Connection::OpenOne(const Parameters& parameters,
                                                        int64_t timeout_ms, std::stop_token stop) {
  std::vector<const char*> names, values;
  for (const auto& [name, value] : parameters) {
    names.push_back(name.c_str());
    values.push_back(value.c_str());
  }
  names.push_back(nullptr);
  values.push_back(nullptr);
  const WaitLimit limit{.deadline = DeadlineIn(timeout_ms), .stop = stop};
  std::unique_ptr<Connection> connection(
      new Connection(PQconnectStartParams(names.data(), values.data(), 0)));
  PGconn* raw = connection->connection_;
  if (raw == nullptr) return PermanentError("out of memory while connecting to PostgreSQL");
  const std::string where = Place(parameters);
  if (PQstatus(raw) == CONNECTION_BAD) return ConnectError(PQerrorMessage(raw), where);
  PQsetErrorVerbosity(raw, PQERRORS_VERBOSE);
  PostgresPollingStatusType state = PGRES_POLLING_WRITING;
  while (state != PGRES_POLLING_OK) {
    const auto what = state == PGRES_POLLING_READING ? WaitFor::kRead : WaitFor::kWrite;
    const Status waited = WaitOnSocket(PQsocket(raw), what, limit);
    if (!waited.ok()) {
      if (KindOf(waited) == ErrorKind::kCancelled) return waited;
      return TransientError(
          fmt::format("cannot connect to PostgreSQL {}: no answer within {} ms; is the server up "
                      "and not overloaded? connect_timeout is the limit",
                      where, timeout_ms));
    }
    state = PQconnectPoll(raw);
    if (state == PGRES_POLLING_FAILED) return ConnectError(PQerrorMessage(raw), where);
  }
  PQsetErrorVerbosity(raw, PQERRORS_DEFAULT);
  // Notices would go to stderr, over the live view.
  PQsetNoticeReceiver(
      raw, [](void*, const PGresult*) {}, nullptr);
  if (PQsetnonblocking(raw, 1) != 0) return BugError("libpq refuses a non-blocking connection");
  if (PQserverVersion(raw) < 120000) {
    return UserError(fmt::format("the server {} is PostgreSQL {}; version 12 or later is needed",
                                 where, PQparameterStatus(raw, "server_version")));
  }
  return connection;
}

Connection::~Connection() {
  if (broken_) Break();  // no polite goodbye to a peer that does not read
  PQfinish(connection_);
}

bool Connection::ok() const { return !broken_ && PQstatus(connection_) == CONNECTION_OK; }

bool Connection::in_transaction() const { return PQtransactionStatus(connection_) != PQTRANS_IDLE; }

void Connection::Break() {
  broken_ = true;
  if (PQsocket(connection_) >= 0) shutdown(PQsocket(connection_), SHUT_RDWR);
}

int Connection::socket() const { return PQsocket(connection_); }
int Connection::server_version() const { return PQserverVersion(connection_); }
int Connection::backend_pid() const { return PQbackendPID(connection_); }
std::string Connection::parameter(const char* name) const {
  const char* value = PQparameterStatus(connection_, name);
  return value == nullptr ? "" : value;
}
ServerAddress Connection::address() const {
  const auto text = [](const char* value) { return std::string(value == nullptr ? "" : value); };
  return {text(PQhost(connection_)), text(PQhostaddr(connection_)), text(PQport(connection_))};
}

Status Connection::LostError(std::string_view what) const {
  std::string_view text = PQerrorMessage(connection_);
  text = text.substr(0, text.find_last_not_of(" \n") + 1);
  return MakeError(situation.holding_snapshot ? ErrorKind::kSnapshotLost : ErrorKind::kTransient,
                   Redact(fmt::format("{}: the connection to PostgreSQL was lost: {}", what, text)),
                   "08006");
}

Status Connection::Send(bool sent, const WaitLimit& limit, std::string_view what) {
  if (!sent) {
    broken_ = true;
    return LostError(what);
  }
  while (true) {
    const int pending = PQflush(connection_);
    if (pending == 0) return Status::OK();
    if (pending < 0) {
      broken_ = true;
      return LostError(what);
    }
    const Status waited = WaitOnSocket(PQsocket(connection_), WaitFor::kWrite, limit);
    if (!waited.ok()) {
      Break();
      return WithContext(waited, std::string(what));
    }
  }
}

Result<pg_result*> Connection::NextResult(const WaitLimit& limit) {
  while (PQisBusy(connection_) != 0) {
    RETURN_NOT_OK(WaitOnSocket(PQsocket(connection_), WaitFor::kRead, limit));
    if (PQconsumeInput(connection_) == 0) break;  // PQgetResult gives the error as a result
  }
  return PQgetResult(connection_);
}

Result<std::vector<ResultSet>> Connection::Collect(const WaitLimit& limit, std::string_view what) {
  std::vector<ResultSet> results;
  Status failure;
  while (true) {
    auto next = NextResult(limit);
    if (!next.ok()) {
      CancelAndDrain();
      if (KindOf(next.status()) == ErrorKind::kCancelled) return next.status();
      return TransientError(fmt::format("{}: no answer from PostgreSQL in time", what), "57014");
    }
    if (*next == nullptr) break;
    ResultSet result(*next);
    const auto status = PQresultStatus(*next);
    if (status == PGRES_FATAL_ERROR || status == PGRES_BAD_RESPONSE) {
      const ServerError error = ErrorOf(*next);
      if (failure.ok()) {
        failure =
            error.sqlstate.empty() ? LostError(what) : ServerErrorStatus(error, situation, what);
      }
    } else if (status == PGRES_COPY_OUT || status == PGRES_COPY_IN) {
      Break();
      return BugError("a COPY was sent through Query()");
    }
    results.push_back(std::move(result));
  }
  if (PQstatus(connection_) != CONNECTION_OK) {
    broken_ = true;
    if (failure.ok()) failure = LostError(what);
  }
  RETURN_NOT_OK(failure);
  return results;
}

Result<std::vector<ResultSet>> Connection::Query(const std::string& sql, const WaitLimit& limit,
                                                 std::string_view what) {
  RETURN_NOT_OK(Send(PQsendQuery(connection_, sql.c_str()) == 1, limit, what));
  return Collect(limit, what);
}

Result<ResultSet> Connection::QueryOne(const std::string& sql, const WaitLimit& limit,
                                       std::string_view what) {
  ARROW_ASSIGN_OR_RAISE(auto results, Query(sql, limit, what));
  if (results.empty()) return BugError(fmt::format("{}: a statement without a result", what));
  return std::move(results.back());
}

Status Connection::Execute(const std::string& sql, const WaitLimit& limit, std::string_view what) {
  return Query(sql, limit, what).status();
}

Result<ResultSet> Connection::Describe(const std::string& sql, const WaitLimit& limit,
                                       std::string_view what) {
  RETURN_NOT_OK(Send(PQsendPrepare(connection_, "", sql.c_str(), 0, nullptr) == 1, limit, what));
  RETURN_NOT_OK(Collect(limit, what));
  RETURN_NOT_OK(Send(PQsendDescribePrepared(connection_, "") == 1, limit, what));
  ARROW_ASSIGN_OR_RAISE(auto results, Collect(limit, what));
  if (results.empty()) return BugError(fmt::format("{}: a statement without a description", what));
  return std::move(results.back());
}

void Connection::CancelStatement(int64_t wait_ms) {
  PGcancel* cancel = PQgetCancel(connection_);
  if (cancel == nullptr) return;
  struct Shared {
    std::mutex mutex;
    std::condition_variable changed;
    bool done = false;  // guarded by mutex
  };
  auto shared = std::make_shared<Shared>();
  // Detached: a firewall that swallows packets would otherwise hold us up for minutes.
  std::thread([cancel, shared] {
    char message[256];
    PQcancel(cancel, message, sizeof message);
    PQfreeCancel(cancel);
    std::lock_guard lock(shared->mutex);
    shared->done = true;
    shared->changed.notify_all();
  }).detach();
  std::unique_lock lock(shared->mutex);
  shared->changed.wait_for(lock, std::chrono::milliseconds(wait_ms), [&] { return shared->done; });
}

void Connection::CancelAndDrain() {
  CancelStatement(kCancelSendMs);
  const WaitLimit limit{.deadline = DeadlineIn(kCancelDrainMs), .stop = {}};
  while (true) {
    auto next = NextResult(limit);
    if (!next.ok()) {
      Break();
      return;
    }
    if (*next == nullptr) break;
    PQclear(*next);
  }
  if (PQstatus(connection_) != CONNECTION_OK) broken_ = true;
}

}  // namespace bulkhaul::postgres
