#include "source/opensearch/session.h"

#include <algorithm>
#include <map>
#include <optional>

#include <fmt/format.h>

#include "base/log.h"
#include "source/opensearch/content.h"
#include "source/opensearch/http_client.h"
#include "source/opensearch/page_head.h"
#include "source/opensearch/scroll.h"
#include "source/opensearch/unit_token.h"

namespace bulkhaul::opensearch {
namespace {

// The rows of a usual page are batch enough: gathering more wins nothing and holds memory in every
// worker.
constexpr int64_t kBatchBytesEnough = 512 << 10;
constexpr int64_t kAheadBytesMax = 8 << 20;

class SearchSession;

class ScrollReader final : public UnitReader {
 public:
  ScrollReader(SearchSession* session, WorkUnit unit, UnitToken token, UnitContext& context,
               int64_t documents_max, std::unique_ptr<search::SearchPageDecoder> decoder);
  ~ScrollReader() override;

  Status Begin(std::string_view members);
  std::shared_ptr<arrow::Schema> schema() const override { return decoder_->schema(); }
  Status ReadNext(std::shared_ptr<arrow::RecordBatch>* batch) override;
  UnitRange covered() const override { return unit_.range; }
  int64_t bytes_read() const override { return bytes_read_; }
  std::map<std::string, int64_t> counters() const override { return decoder_->counters(); }

 private:
  bool has_enough() const { return documents_max_ > 0 && progress_.documents >= documents_max_; }
  Status Fill();
  Status FetchPage();
  // Asks for the page after the one at hand, when it is certain that there is one.
  Status AskAhead();
  Status DecodePage();
  void Account(int64_t wire_bytes);
  // Waits until the job's caps let the next page through: where a scroll is open, never so long
  // that it would end.
  Status AwaitTurn(int64_t documents, bool open);
  void SettleTurn(const PageCost& found);
  Status Explain(const Status& status) const;

  SearchSession* const session_;
  const WorkUnit unit_;
  const UnitToken token_;
  UnitContext& context_;
  const int64_t documents_max_;  // 0: all
  const std::unique_ptr<search::SearchPageDecoder> decoder_;
  Scroll scroll_;
  int64_t page_documents_ = 0;        // asked for in each page
  std::optional<PageCost> booked_;    // with the limiter, and not settled yet
  std::optional<HttpResponse> page_;  // received and not decoded yet
  ScrollProgress progress_;
  std::shared_ptr<arrow::RecordBatch> ready_;  // flushed; given out in slices of batch_rows_max
  int64_t ready_given_ = 0;
  int64_t bytes_read_ = 0, rows_given_ = 0;
  bool finished_ = false;  // every page is decoded and the context closed
  Status failure_;
};

class SearchSession final : public Session {
 public:
  SearchSession(std::unique_ptr<HttpClient> client, const ScrollSettings& settings,
                ReadingOf reading_of, std::span<const Dataset> datasets, RateLimiter* limiter)
      : client_(std::move(client)),
        closer_(client_.get()),
        settings_(settings),
        reading_of_(std::move(reading_of)),
        datasets_(datasets),
        limiter_(limiter) {
    if (limiter_ != nullptr) limiter_->Join();
  }
  ~SearchSession() override {
    if (limiter_ != nullptr) limiter_->Leave();
  }

  Result<std::unique_ptr<UnitReader>> Read(const WorkUnit& unit, UnitContext& context) override;
  Result<UnitContent> Content(const WorkUnit& unit, UnitContext& context) override;

 private:
  friend class ScrollReader;
  Result<const DatasetReading*> ReadingFor(const DatasetId& id);
  int64_t PageDocuments(const UnitToken& token) const;
  // Mean size of a document's JSON; 0: unknown.
  int64_t DocumentBytes(const UnitToken& token) const;
  // What a page of this index turned out to hold.
  void Learn(const std::string& index, int64_t documents, int64_t bytes);
  // The server, or we, had no room for a page.
  void LearnTooLarge(const UnitToken& token, int64_t page_documents, const std::string& code);

  const std::unique_ptr<HttpClient> client_;
  ContextCloser closer_;
  const ScrollSettings settings_;
  const ReadingOf reading_of_;
  const std::span<const Dataset> datasets_;
  RateLimiter* const limiter_;
  std::optional<DatasetId> prepared_id_;
  DatasetReading prepared_;
  std::map<std::string, int64_t> document_bytes_;  // by index: mean size of a document's JSON
  bool reading_ = false;
};

ScrollReader::ScrollReader(SearchSession* session, WorkUnit unit, UnitToken token,
                           UnitContext& context, int64_t documents_max,
                           std::unique_ptr<search::SearchPageDecoder> decoder)
    : session_(session),
      unit_(std::move(unit)),
      token_(std::move(token)),
      context_(context),
      documents_max_(documents_max),
      decoder_(std::move(decoder)),
      scroll_(session->client_.get(), &session->closer_, token_, session->settings_.keep_alive_ms,
              context.stop) {}

ScrollReader::~ScrollReader() {
  session_->reading_ = false;
  SettleTurn({});
}

Status ScrollReader::AwaitTurn(int64_t documents, bool open) {
  if (session_->limiter_ == nullptr) return Status::OK();
  booked_ = PageCost{documents, documents * session_->DocumentBytes(token_)};
  return session_->limiter_->Wait(*booked_, open ? session_->settings_.keep_alive_ms / 2 : -1,
                                  context_.stop);
}

void ScrollReader::SettleTurn(const PageCost& found) {
  if (!booked_) return;
  session_->limiter_->Settle(*booked_, found);
  booked_.reset();
}

Status ScrollReader::Explain(const Status& status) const {
  if (status.ok() || KindOf(status) == ErrorKind::kCancelled) return status;
  std::string where = fmt::format("index {}", token_.index);
  if (progress_.pages > 0) {
    where += fmt::format(", after {} of {} documents", progress_.documents, progress_.total);
  }
  return WithContext(status, where);
}

Status ScrollReader::Begin(std::string_view members) {
  page_documents_ = session_->PageDocuments(token_);
  if (documents_max_ > 0) page_documents_ = std::min(page_documents_, documents_max_);
  ARROW_ASSIGN_OR_RAISE(const auto request, MakeSearchRequest(token_, members, page_documents_,
                                                              session_->settings_.keep_alive_ms));
  if (LogEnabled(LogLevel::kFull)) {
    Log(LogLevel::kFull, fmt::format("unit {}: POST {} {}", unit_.id, request.path, request.body));
  }
  ARROW_RETURN_NOT_OK(AwaitTurn(page_documents_, false));
  auto first = scroll_.Open(request);
  if (!first.ok()) {
    const std::string code = CodeOf(first.status());
    if (code == "response_too_large" || code == "circuit_breaking_exception") {
      session_->LearnTooLarge(token_, page_documents_, code);
    }
    return Explain(first.status());
  }
  page_ = *first;
  return Status::OK();
}

Status ScrollReader::ReadNext(std::shared_ptr<arrow::RecordBatch>* batch) {
  batch->reset();
  if (!failure_.ok()) return failure_;
  if (context_.stop.stop_requested()) {
    failure_ = CancelledError();
  } else if (ready_ == nullptr) {
    failure_ = Explain(Fill());
  }
  if (!failure_.ok()) {
    scroll_.Close();
    return failure_;
  }
  if (ready_ == nullptr) return Status::OK();
  const int64_t rows =
      std::min(std::max<int64_t>(1, context_.batch_rows_max), ready_->num_rows() - ready_given_);
  *batch = rows == ready_->num_rows() ? ready_ : ready_->Slice(ready_given_, rows);
  ready_given_ += rows;
  rows_given_ += rows;
  if (ready_given_ == ready_->num_rows()) {
    ready_.reset();
    ready_given_ = 0;
  }
  if (context_.rows_read != nullptr) *context_.rows_read += rows;
  return Status::OK();
}

Status ScrollReader::Fill() {
  while (!finished_) {
    if (!page_) ARROW_RETURN_NOT_OK(FetchPage());
    ARROW_RETURN_NOT_OK(AskAhead());
    ARROW_RETURN_NOT_OK(DecodePage());
    if (progress_.documents == progress_.total || has_enough()) {
      finished_ = true;
      scroll_.Close();
    }
    if (decoder_->bytes() >= std::min(context_.batch_bytes_max, kBatchBytesEnough) ||
        decoder_->rows() >= context_.batch_rows_max) {
      break;
    }
  }
  ARROW_ASSIGN_OR_RAISE(ready_, decoder_->Flush());
  if (has_enough()) {
    if (ready_ != nullptr) ready_ = ready_->Slice(0, documents_max_ - rows_given_);
    return Status::OK();
  }
  if (ready_ == nullptr && rows_given_ != progress_.documents) {
    return BugError(
        fmt::format("{} documents came, {} were decoded", progress_.documents, rows_given_));
  }
  return Status::OK();
}

Status ScrollReader::FetchPage() {
  if (!scroll_.asked()) {
    const int64_t left = progress_.total - progress_.documents;
    ARROW_RETURN_NOT_OK(AwaitTurn(std::min(page_documents_, left), true));
    ARROW_RETURN_NOT_OK(scroll_.Ask());
  }
  auto next = scroll_.Next();
  if (!next.ok() && CodeOf(next.status()) == "response_too_large") {
    session_->LearnTooLarge(token_, page_documents_, CodeOf(next.status()));
  }
  ARROW_ASSIGN_OR_RAISE(page_, std::move(next));
  return Status::OK();
}

Status ScrollReader::AskAhead() {
  if (!session_->settings_.pipelined) return Status::OK();
  if (session_->limiter_ != nullptr && session_->limiter_->limited()) return Status::OK();
  // Of documents that fill a page by themselves, one at a time is in memory.
  if (static_cast<int64_t>(page_->body.size()) > kAheadBytesMax) return Status::OK();
  const PageHead head = PeekPageHead(page_->body);
  if (head.scroll_id.empty() || head.total < 0) return Status::OK();
  const int64_t known = progress_.documents + page_documents_;
  if (known >= head.total || (documents_max_ > 0 && known >= documents_max_)) return Status::OK();
  scroll_.set_id(head.scroll_id);
  return scroll_.Ask();
}

Status ScrollReader::DecodePage() {
  const HttpResponse page = *std::exchange(page_, std::nullopt);
  ARROW_ASSIGN_OR_RAISE(const auto summary, decoder_->Append(page.body));
  scroll_.set_id(summary.scroll_id);
  Account(page.wire_bytes);
  session_->Learn(token_.index, summary.hits, static_cast<int64_t>(page.body.size()));
  SettleTurn({summary.hits, page.wire_bytes});
  if (context_.reservation != nullptr) {
    const int64_t held = decoder_->buffered_bytes() + 2 * static_cast<int64_t>(page.body_capacity);
    if (held > context_.reservation->bytes()) context_.reservation->Resize(held);
  }
  return CheckPage(summary, token_, &progress_);
}

void ScrollReader::Account(int64_t wire_bytes) {
  bytes_read_ += wire_bytes;
  if (context_.bytes_read != nullptr) *context_.bytes_read += wire_bytes;
}

Result<const DatasetReading*> SearchSession::ReadingFor(const DatasetId& id) {
  if (prepared_id_ == id) return &prepared_;
  const auto dataset = std::find_if(datasets_.begin(), datasets_.end(),
                                    [&](const Dataset& one) { return one.id == id; });
  if (dataset == datasets_.end()) {
    return BugError(fmt::format("{} is not a dataset of this session", id.ToString()));
  }
  prepared_id_.reset();
  ARROW_ASSIGN_OR_RAISE(prepared_, reading_of_(*dataset));
  prepared_id_ = id;
  return &prepared_;
}

int64_t SearchSession::PageDocuments(const UnitToken& token) const {
  const int64_t bytes = DocumentBytes(token);
  int64_t most = settings_.page_documents_max;
  if (token.page_documents_max > 0) most = std::min(most, token.page_documents_max);
  if (limiter_ != nullptr) most = std::min(most, limiter_->PageDocumentsMax(bytes));
  if (bytes <= 0) return most;
  return std::clamp<int64_t>(settings_.page_bytes_target / bytes, 1, most);
}

int64_t SearchSession::DocumentBytes(const UnitToken& token) const {
  const auto learned = document_bytes_.find(token.index);
  return learned != document_bytes_.end() ? learned->second : token.document_bytes;
}

void SearchSession::Learn(const std::string& index, int64_t documents, int64_t bytes) {
  if (documents > 0) document_bytes_[index] = bytes / documents + 1;
}

void SearchSession::LearnTooLarge(const UnitToken& token, int64_t page_documents,
                                  const std::string& code) {
  constexpr int64_t kSmaller = 8;
  // A circuit breaker has most often other reasons than our page, of which this much is none.
  constexpr int64_t kHarmlessPageBytes = 1 << 20;
  int64_t smaller = std::max<int64_t>(1, page_documents / kSmaller);
  if (code != "response_too_large" && token.document_bytes > 0) {
    const int64_t harmless = kHarmlessPageBytes / token.document_bytes;
    smaller = std::max(smaller, std::min(page_documents, harmless));
  }
  document_bytes_[token.index] = settings_.page_bytes_target / smaller;
}

Result<std::unique_ptr<UnitReader>> SearchSession::Read(const WorkUnit& unit,
                                                        UnitContext& context) {
  if (reading_) return BugError("a session reads one unit at a time");
  ARROW_ASSIGN_OR_RAISE(const auto* reading, ReadingFor(unit.dataset));
  ARROW_ASSIGN_OR_RAISE(auto token, UnitToken::FromJson(unit.source_state));
  ARROW_ASSIGN_OR_RAISE(auto decoder, reading->make_decoder(context));
  reading_ = true;
  auto reader = std::make_unique<ScrollReader>(this, unit, std::move(token), context,
                                               reading->documents_max, std::move(decoder));
  ARROW_RETURN_NOT_OK(reader->Begin(reading->body));
  return reader;
}

Result<UnitContent> SearchSession::Content(const WorkUnit& unit, UnitContext& context) {
  ARROW_ASSIGN_OR_RAISE(const auto token, UnitToken::FromJson(unit.source_state));
  if (token.content.address.empty()) {
    UnitContent content;
    content.reason = token.content.reason;
    return content;
  }
  ARROW_ASSIGN_OR_RAISE(const auto response,
                        client_->Request({.method = "POST",
                                          .path = "/" + PercentEncode(token.index) + "/_msearch",
                                          .body = ContentRequest(token)},
                                         context.stop));
  return ReadContent(response.body, token);
}

}  // namespace

Result<std::unique_ptr<Session>> OpenSession(const ConnectionSettings& connection,
                                             const ScrollSettings& scroll, ReadingOf reading_of,
                                             std::span<const Dataset> datasets,
                                             RateLimiter* limiter,
                                             std::shared_ptr<HostHealth> health,
                                             WorkerContext& context) {
  ARROW_ASSIGN_OR_RAISE(
      auto client,
      HttpClient::Make(connection, static_cast<size_t>(context.worker), std::move(health)));
  return std::make_unique<SearchSession>(std::move(client), scroll, std::move(reading_of), datasets,
                                         limiter);
}

}  // namespace bulkhaul::opensearch
