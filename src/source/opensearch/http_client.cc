#include "source/opensearch/http_client.h"

#include <algorithm>
#include <chrono>
#include <ctime>
#include <optional>
#include <vector>

#include <curl/curl.h>
#include <fmt/format.h>

#include "base/log.h"
#include "base/units.h"
#include "source/opensearch/aws_signature.h"
#include "source/opensearch/classify.h"
#include "source/opensearch/response_buffer.h"
#include "source/opensearch/tls_fingerprint.h"

namespace bulkhaul::opensearch {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kPollMs = 1000;
constexpr long kSocketReadBytes = 512 << 10;
// An answer that came slower, and of which so much was waited for, is asked for compressed.
constexpr double kSlowMegabytesASecond = 4;
constexpr size_t kSpeedBytesMin = 256 << 10;
// What a buffer keeps from one answer to the next.
constexpr size_t kKeptBufferBytes = 8 << 20;

struct CurlFree {
  void operator()(CURL* easy) const { curl_easy_cleanup(easy); }
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};
struct MultiFree {
  void operator()(CURLM* multi) const { curl_multi_cleanup(multi); }
};

bool IsJson(std::string_view content_type) {
  // "application/json", "application/vnd.elasticsearch+json;compatible-with=8"
  return content_type.find("json") != std::string_view::npos;
}

}  // namespace

std::string PercentEncode(std::string_view text) {
  std::string encoded;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (std::isalnum(byte) || c == '-' || c == '.' || c == '_' || c == '~') {
      encoded += c;
    } else {
      encoded += fmt::format("%{:02X}", byte);
    }
  }
  return encoded;
}

class HttpClient::Impl {
 public:
  Impl(const ConnectionSettings& settings, size_t first_host, std::shared_ptr<HostHealth> health)
      : settings_(settings),
        first_host_(first_host % settings.hosts.size()),
        health_(std::move(health)),
        current_(first_host_) {}
  ~Impl() { Abandon(); }

  Status Configure();
  Status Start(HttpRequest request);
  Result<HttpResponse> Finish(std::stop_token stop, int64_t patience_ms);
  bool started() const { return started_; }
  void Abandon();
  int64_t connections_opened() const { return connections_opened_; }
  size_t hosts_count() const { return settings_.hosts.size(); }

 private:
  void ConfigureLogin();
  void ConfigureTls();
  // `path` gets the form that is signed.
  void SignForAws(std::string* path);
  void Send(size_t host);
  std::optional<size_t> NextHost() { return health_->Choose(first_host_, tried_, Clock::now()); }
  // Whether the transfer ended; sets outcome_.
  bool Advance();
  void LearnSpeed();
  Status Drive(std::stop_token stop, Clock::time_point deadline);
  Status FailureOf(CURLcode code) const;
  bool MayGoElsewhere(CURLcode code) const;
  Result<HttpResponse> Answer();
  std::string RequestLine() const;

  static size_t OnBody(char* bytes, size_t size, size_t count, void* self);
  static int OnSend(void* self, char*, char*, int, int);
  static CURLcode OnTls(CURL*, void* context, void* self);

  const ConnectionSettings settings_;
  const size_t first_host_;
  const std::shared_ptr<HostHealth> health_;
  std::unique_ptr<CURLM, MultiFree> multi_;
  std::unique_ptr<curl_slist, CurlFree> headers_, signed_headers_;
  std::unique_ptr<CURL, CurlFree> easy_;
  std::optional<FingerprintCheck> fingerprint_;
  char error_text_[CURL_ERROR_SIZE] = {};

  size_t current_;           // host
  std::vector<bool> tried_;  // hosts, by the request at hand
  HttpRequest request_;
  bool started_ = false;
  int sends_ = 0;  // of this transfer: libcurl repeats one on its own when a kept connection
                   // is closed before the first byte
  bool was_seen_ = false;  // by any server, in any transfer of this request
  bool resent_ = false;
  bool too_large_ = false, out_of_memory_ = false;
  std::optional<CURLcode> outcome_;
  Clock::time_point started_at_, last_byte_at_;
  // Of the answer at hand: what came while it was waited for, and how long that was, from the first
  // byte on; and the wait at hand.
  size_t waited_bytes_ = 0;
  Clock::duration waited_{};
  struct Wait {
    Clock::time_point since;
    size_t had_bytes;
  };
  std::optional<Wait> wait_;
  bool compresses_ = false;  // kAuto: it has been found worth while
  ResponseBuffer buffers_[3] = {ResponseBuffer(kBodyPaddingBytes),
                                ResponseBuffer(kBodyPaddingBytes),
                                ResponseBuffer(kBodyPaddingBytes)};
  int buffer_ = 0;       // the one that the request at hand fills
  int page_buffer_ = 0;  // 0 or 1: of the last request that was not aside
  int64_t connections_opened_ = 0;
  bool reached_ = false;
};

Status HttpClient::Impl::Configure() {
  static const CURLcode global = curl_global_init(CURL_GLOBAL_DEFAULT);
  multi_.reset(curl_multi_init());
  easy_.reset(curl_easy_init());
  if (global != CURLE_OK || !multi_ || !easy_) return PermanentError("libcurl does not start");
  if (!settings_.fingerprint.empty()) {
    fingerprint_.emplace();
    ARROW_ASSIGN_OR_RAISE(fingerprint_->wanted, ParseFingerprint(settings_.fingerprint));
  }
  curl_multi_setopt(multi_.get(), CURLMOPT_MAXCONNECTS, 1L);
  CURL* const easy = easy_.get();
  curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, error_text_);
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, &Impl::OnBody);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, this);
  curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, &Impl::OnSend);
  curl_easy_setopt(easy, CURLOPT_PREREQDATA, this);
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
  curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
  curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, kSocketReadBytes);
  curl_easy_setopt(easy, CURLOPT_USERAGENT, "bulkhaul");
  curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS,
                   static_cast<long>(settings_.connect_timeout_ms));
  curl_easy_setopt(easy, CURLOPT_PROXY, settings_.proxy.Reveal().c_str());
  if (settings_.compress == Compress::kOn) curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, "gzip");
  ConfigureLogin();
  ConfigureTls();
  return Status::OK();
}

void HttpClient::Impl::ConfigureLogin() {
  CURL* const easy = easy_.get();
  curl_slist* headers = nullptr;
  const auto add = [&](const std::string& line) {
    headers = curl_slist_append(headers, line.c_str());
  };
  add("Accept: application/json");
  add("Content-Type: application/json");
  add("Expect:");
  switch (settings_.authentication) {
    case Authentication::kNone:
      break;
    case Authentication::kBasic:
      curl_easy_setopt(easy, CURLOPT_HTTPAUTH, static_cast<long>(CURLAUTH_BASIC));
      curl_easy_setopt(easy, CURLOPT_USERNAME, settings_.user.c_str());
      curl_easy_setopt(easy, CURLOPT_PASSWORD, settings_.password.Reveal().c_str());
      break;
    case Authentication::kApiKey:
      add("Authorization: ApiKey " + settings_.api_key.Reveal());
      break;
    case Authentication::kBearer:
      add("Authorization: Bearer " + settings_.bearer_token.Reveal());
      break;
    case Authentication::kAwsSigV4:
      break;  // SignForAws(), for each request
  }
  headers_.reset(headers);
  curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
}

// libcurl signs too, but Debian 12's (7.88) neither sorts the query nor encodes the path again.
void HttpClient::Impl::SignForAws(std::string* path) {
  const size_t question = std::min(path->find('?'), path->size());
  AwsRequest request;
  request.method = request_.method;
  request.path = path->substr(0, question);
  request.query = AwsQuery(question < path->size() ? path->substr(question + 1) : "");
  request.body = request_.body;
  const HostAddress& host = settings_.hosts[current_];
  const bool usual_port = host.port == (settings_.tls ? 443 : 80);
  const std::string with_port = host.ToString();
  request.host = usual_port ? with_port.substr(0, with_port.rfind(':')) : with_port;
  const AwsKeys keys{settings_.aws_region, settings_.aws_service, settings_.aws_access_key_id,
                     settings_.aws_secret_access_key.Reveal(),
                     settings_.aws_session_token.Reveal()};
  curl_slist* headers = nullptr;
  for (const curl_slist* line = headers_.get(); line != nullptr; line = line->next) {
    headers = curl_slist_append(headers, line->data);
  }
  headers = curl_slist_append(headers, ("Host: " + request.host).c_str());
  for (const auto& [name, value] : AwsHeaders(request, keys, std::time(nullptr))) {
    headers = curl_slist_append(headers, (name + ": " + value).c_str());
  }
  signed_headers_.reset(headers);
  curl_easy_setopt(easy_.get(), CURLOPT_HTTPHEADER, headers);
  *path = request.path + (request.query.empty() ? "" : "?" + request.query);
}

void HttpClient::Impl::ConfigureTls() {
  CURL* const easy = easy_.get();
  const bool verify = settings_.verify_certificate && !fingerprint_;
  curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, verify ? 1L : 0L);
  curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, verify ? 2L : 0L);
  const auto set = [&](CURLoption option, const std::string& value) {
    if (!value.empty()) curl_easy_setopt(easy, option, value.c_str());
  };
  if (verify) {
    set(CURLOPT_CAINFO, settings_.ca_file);
    set(CURLOPT_CAPATH, settings_.ca_folder);
  }
  set(CURLOPT_SSLCERT, settings_.certificate);
  set(CURLOPT_SSLKEY, settings_.certificate_key);
  set(CURLOPT_KEYPASSWD, settings_.certificate_key_password.Reveal());
  if (fingerprint_) {
    curl_easy_setopt(easy, CURLOPT_SSL_CTX_FUNCTION, &Impl::OnTls);
    curl_easy_setopt(easy, CURLOPT_SSL_CTX_DATA, this);
  }
}

CURLcode HttpClient::Impl::OnTls(CURL*, void* context, void* self) {
  TrustFingerprint(context, &*static_cast<Impl*>(self)->fingerprint_);
  return CURLE_OK;
}

size_t HttpClient::Impl::OnBody(char* bytes, size_t size, size_t count, void* self) {
  auto& client = *static_cast<Impl*>(self);
  ResponseBuffer& buffer = client.buffers_[client.buffer_];
  const size_t total = size * count;
  client.last_byte_at_ = Clock::now();
  const auto limit = static_cast<size_t>(client.settings_.response_bytes_max);
  if (buffer.text().empty()) {
    curl_off_t announced = -1;
    curl_easy_getinfo(client.easy_.get(), CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &announced);
    if (announced > 0 && static_cast<size_t>(announced) <= limit) {
      buffer.Reserve(static_cast<size_t>(announced));
    }
  }
  if (buffer.text().size() + total > limit) {
    client.too_large_ = true;
    return 0;
  }
  if (!buffer.Append(bytes, total)) {
    client.out_of_memory_ = true;
    return 0;
  }
  return total;
}

int HttpClient::Impl::OnSend(void* self, char*, char*, int, int) {
  auto& client = *static_cast<Impl*>(self);
  if (client.sends_++ > 0 && !client.request_.repeatable) return CURL_PREREQFUNC_ABORT;
  client.was_seen_ = true;
  return CURL_PREREQFUNC_OK;
}

Status HttpClient::Impl::Start(HttpRequest request) {
  if (started_) return BugError("a request is already under way");
  request_ = std::move(request);
  tried_.assign(settings_.hosts.size(), false);
  was_seen_ = resent_ = false;
  if (!request_.aside) page_buffer_ ^= 1;
  buffer_ = request_.aside ? 2 : page_buffer_;
  started_at_ = Clock::now();
  Send(NextHost().value_or(current_));
  started_ = true;
  Advance();
  return Status::OK();
}

void HttpClient::Impl::Send(size_t host) {
  current_ = host;
  tried_[host] = true;
  outcome_.reset();
  wait_.reset();
  waited_bytes_ = 0;
  waited_ = {};
  sends_ = 0;
  too_large_ = out_of_memory_ = false;
  error_text_[0] = '\0';
  buffers_[buffer_].Clear();
  buffers_[buffer_].ShrinkTo(kKeptBufferBytes);
  CURL* const easy = easy_.get();
  std::string path = settings_.path_prefix + request_.path;
  if (settings_.authentication == Authentication::kAwsSigV4) SignForAws(&path);
  const std::string url = fmt::format("{}://{}{}", settings_.tls ? "https" : "http",
                                      settings_.hosts[host].ToString(), path);
  curl_easy_setopt(easy, CURLOPT_URL, url.c_str());
  curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L);
  if (!request_.body.empty()) {
    curl_easy_setopt(easy, CURLOPT_POST, 1L);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, request_.body.data());
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE,
                     static_cast<curl_off_t>(request_.body.size()));
  }
  curl_easy_setopt(easy, CURLOPT_NOBODY, request_.method == "HEAD" ? 1L : 0L);
  curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request_.method.c_str());
  const int64_t timeout_ms =
      request_.timeout_ms > 0 ? request_.timeout_ms : settings_.request_timeout_ms;
  curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, static_cast<long>(timeout_ms));
  last_byte_at_ = Clock::now();
  curl_multi_add_handle(multi_.get(), easy);
}

// Asks for gzip from now on when the answer came slowly. Only bytes that were waited for count: of
// those that were left lying in the socket the time says nothing.
void HttpClient::Impl::LearnSpeed() {
  if (settings_.compress != Compress::kAuto || compresses_ || waited_bytes_ < kSpeedBytesMin) {
    return;
  }
  const double megabytes_a_second =
      static_cast<double>(waited_bytes_) /
      std::max(1.0, std::chrono::duration<double, std::micro>(waited_).count());
  if (megabytes_a_second >= kSlowMegabytesASecond) return;
  compresses_ = true;
  curl_easy_setopt(easy_.get(), CURLOPT_ACCEPT_ENCODING, "gzip");
  Log(LogLevel::kDetailed, fmt::format("answers come at {:.1f} MB/s: they are asked for compressed",
                                       megabytes_a_second));
}

bool HttpClient::Impl::Advance() {
  if (outcome_) return true;
  int running = 0;
  curl_multi_perform(multi_.get(), &running);
  int waiting = 0;
  while (const CURLMsg* message = curl_multi_info_read(multi_.get(), &waiting)) {
    if (message->msg == CURLMSG_DONE) outcome_ = message->data.result;
  }
  if (wait_) {
    waited_bytes_ += buffers_[buffer_].text().size() - wait_->had_bytes;
    waited_ += Clock::now() - wait_->since;
    wait_.reset();
  }
  if (!outcome_) return false;
  if (*outcome_ == CURLE_OK) LearnSpeed();
  curl_multi_remove_handle(multi_.get(), easy_.get());
  long opened = 0;
  curl_easy_getinfo(easy_.get(), CURLINFO_NUM_CONNECTS, &opened);
  connections_opened_ += opened;
  return true;
}

Status HttpClient::Impl::Drive(std::stop_token stop, Clock::time_point deadline) {
  const std::stop_callback wake(stop, [this] { curl_multi_wakeup(multi_.get()); });
  last_byte_at_ = Clock::now();
  while (!Advance()) {
    if (stop.stop_requested()) return CancelledError();
    const ResponseBuffer& buffer = buffers_[buffer_];
    if (settings_.stall_timeout_ms > 0 && !buffer.text().empty() &&
        Clock::now() - last_byte_at_ > std::chrono::milliseconds(settings_.stall_timeout_ms)) {
      Status stalled = TransientError(
          fmt::format("{}: the answer stopped after {} and nothing came for {}", RequestLine(),
                      FormatBytes(static_cast<int64_t>(buffer.text().size())),
                      FormatDurationMs(settings_.stall_timeout_ms)),
          "stalled");
      Abandon();
      return stalled;
    }
    const auto left = deadline - Clock::now();
    if (left <= Clock::duration::zero()) {
      Abandon();
      return TransientError(fmt::format("{}: no answer in time", RequestLine()), "no_answer");
    }
    int64_t wait_ms = kPollMs;
    if (settings_.stall_timeout_ms > 0) wait_ms = std::min(wait_ms, settings_.stall_timeout_ms);
    if (left < std::chrono::milliseconds(wait_ms)) {
      wait_ms = std::chrono::duration_cast<std::chrono::milliseconds>(left).count() + 1;
    }
    const size_t had_bytes = buffer.text().size();
    if (had_bytes > 0) wait_ = {Clock::now(), had_bytes};
    curl_multi_poll(multi_.get(), nullptr, 0, static_cast<int>(wait_ms), nullptr);
  }
  return Status::OK();
}

std::string HttpClient::Impl::RequestLine() const {
  return fmt::format("{} {}{} on {}", request_.method, settings_.path_prefix,
                     request_.path.substr(0, request_.path.find('?')),
                     settings_.hosts[current_].ToString());
}

Status HttpClient::Impl::FailureOf(CURLcode code) const {
  if (too_large_) {
    return TransientError(fmt::format("{}: the answer is larger than response_bytes_max ({})",
                                      RequestLine(), FormatBytes(settings_.response_bytes_max)),
                          "response_too_large");
  }
  if (out_of_memory_) {
    return PermanentError(fmt::format("{}: no memory for the answer", RequestLine()), "ENOMEM");
  }
  if (code == CURLE_ABORTED_BY_CALLBACK) {
    return TransientError(fmt::format("{}: the connection was closed without an answer; the "
                                      "request may have been carried out and is not repeated",
                                      RequestLine()),
                          "connection_closed");
  }
  const Status status = ClassifyCurl(code, error_text_, RequestLine(), reached_);
  if (fingerprint_ && !fingerprint_->refused.empty() && KindOf(status) == ErrorKind::kUser) {
    return MakeError(ErrorKind::kUser,
                     fmt::format("{}: the server's certificate does not match the fingerprint that "
                                 "was given; its own is {}",
                                 RequestLine(), fingerprint_->refused),
                     CodeOf(status));
  }
  return status;
}

bool HttpClient::Impl::MayGoElsewhere(CURLcode code) const {
  if (too_large_ || out_of_memory_ || code == CURLE_ABORTED_BY_CALLBACK) return false;
  if (KindOf(ClassifyCurl(code, error_text_, "", reached_)) != ErrorKind::kTransient &&
      code != CURLE_COULDNT_RESOLVE_HOST) {
    return false;
  }
  return !was_seen_ || (request_.repeatable && !resent_);
}

Result<HttpResponse> HttpClient::Impl::Finish(std::stop_token stop, int64_t patience_ms) {
  if (!started_) return BugError("no request is under way");
  const auto deadline = patience_ms > 0 ? Clock::now() + std::chrono::milliseconds(patience_ms)
                                        : Clock::time_point::max();
  for (;;) {
    ARROW_RETURN_NOT_OK(Drive(stop, deadline));
    if (*outcome_ == CURLE_OK) break;
    const CURLcode code = *outcome_;
    const Status failure = FailureOf(code);
    // A kept connection that was closed says nothing about its host.
    if (!too_large_ && !out_of_memory_ && code != CURLE_ABORTED_BY_CALLBACK) {
      health_->Failed(current_, Clock::now());
    }
    const auto next = MayGoElsewhere(code) ? NextHost() : std::nullopt;
    if (!next) {
      started_ = false;
      return failure;
    }
    LogWarning(
        fmt::format("{}; going on with {}", MessageOf(failure), settings_.hosts[*next].ToString()));
    resent_ = was_seen_;
    Send(*next);
  }
  started_ = false;
  reached_ = true;
  health_->Answered(current_);
  return Answer();
}

Result<HttpResponse> HttpClient::Impl::Answer() {
  HttpResponse response;
  long status = 0;
  curl_off_t body_bytes = 0;
  long header_bytes = 0;
  char* content_type = nullptr;
  curl_easy_getinfo(easy_.get(), CURLINFO_RESPONSE_CODE, &status);
  curl_easy_getinfo(easy_.get(), CURLINFO_SIZE_DOWNLOAD_T, &body_bytes);
  curl_easy_getinfo(easy_.get(), CURLINFO_HEADER_SIZE, &header_bytes);
  curl_easy_getinfo(easy_.get(), CURLINFO_CONTENT_TYPE, &content_type);
  ResponseBuffer& buffer = buffers_[buffer_];
  if (!buffer.Terminate()) {
    return PermanentError(fmt::format("{}: no memory for the answer", RequestLine()), "ENOMEM");
  }
  response.status = static_cast<int>(status);
  response.body = buffer.text();
  response.body_capacity = buffer.capacity();
  response.content_type = content_type == nullptr ? "" : content_type;
  response.wire_bytes = body_bytes + header_bytes;
  response.elapsed_ms =
      std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - started_at_).count();
  response.host = settings_.hosts[current_];
  if (status < 200 || status >= 300) {
    return ClassifyHttp(response.status, response.body, response.content_type, RequestLine());
  }
  if (!response.body.empty() && !IsJson(response.content_type)) {
    return NotJsonError(response.status, response.body, response.content_type, RequestLine());
  }
  return response;
}

void HttpClient::Impl::Abandon() {
  if (!started_) return;
  started_ = false;
  // In the middle of a transfer this closes its connection.
  if (!outcome_) curl_multi_remove_handle(multi_.get(), easy_.get());
}

HttpClient::HttpClient(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
HttpClient::~HttpClient() = default;

Result<std::unique_ptr<HttpClient>> HttpClient::Make(const ConnectionSettings& settings,
                                                     size_t first_host,
                                                     std::shared_ptr<HostHealth> health) {
  ARROW_RETURN_NOT_OK(CheckConnectionSettings(settings));
  if (health == nullptr) {
    health = std::make_shared<HostHealth>(settings.hosts.size(), settings.host_pause_ms);
  }
  auto impl = std::make_unique<Impl>(settings, first_host, std::move(health));
  ARROW_RETURN_NOT_OK(impl->Configure());
  return std::unique_ptr<HttpClient>(new HttpClient(std::move(impl)));
}

Result<HttpResponse> HttpClient::Request(const HttpRequest& request, std::stop_token stop) {
  ARROW_RETURN_NOT_OK(impl_->Start(request));
  auto response = impl_->Finish(stop, 0);
  if (!response.ok()) impl_->Abandon();
  return response;
}

Status HttpClient::Start(HttpRequest request) { return impl_->Start(std::move(request)); }
Result<HttpResponse> HttpClient::Finish(std::stop_token stop, int64_t patience_ms) {
  return impl_->Finish(std::move(stop), patience_ms);
}
bool HttpClient::started() const { return impl_->started(); }
void HttpClient::Abandon() { impl_->Abandon(); }
size_t HttpClient::hosts_count() const { return impl_->hosts_count(); }
int64_t HttpClient::connections_opened() const { return impl_->connections_opened(); }

}  // namespace bulkhaul::opensearch
