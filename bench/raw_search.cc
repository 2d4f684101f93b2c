// The limit that an export through the search API can reach: receives the pages of one scroll for
// each index, several at once, and throws them away.
//
//   raw_search HOST:PORT STREAMS PAGE_DOCUMENTS INDEX…
#include <curl/curl.h>
#include <fmt/format.h>

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace {

constexpr long kSocketReadBytes = 512 << 10;

[[noreturn]] void Fail(const std::string& what) {
  fmt::print(stderr, "raw_search: {}\n", what);
  std::exit(1);
}

// Keeps its memory from page to page.
size_t Receive(char* bytes, size_t size, size_t count, void* body) {
  static_cast<std::string*>(body)->append(bytes, size * count);
  return size * count;
}

class Client {
 public:
  explicit Client(std::string address) : address_(std::move(address)) {
    headers_ = curl_slist_append(nullptr, "Content-Type: application/json");
    curl_easy_setopt(easy_, CURLOPT_WRITEFUNCTION, &Receive);
    curl_easy_setopt(easy_, CURLOPT_WRITEDATA, &body_);
    curl_easy_setopt(easy_, CURLOPT_HTTPHEADER, headers_);
    curl_easy_setopt(easy_, CURLOPT_BUFFERSIZE, kSocketReadBytes);
    curl_easy_setopt(easy_, CURLOPT_NOSIGNAL, 1L);
  }
  ~Client() {
    curl_easy_cleanup(easy_);
    curl_slist_free_all(headers_);
  }
  std::string_view Send(const char* method, const std::string& path, const std::string& request) {
    body_.clear();
    const std::string url = fmt::format("http://{}{}", address_, path);
    curl_easy_setopt(easy_, CURLOPT_URL, url.c_str());
    curl_easy_setopt(easy_, CURLOPT_CUSTOMREQUEST, method);
    curl_easy_setopt(easy_, CURLOPT_COPYPOSTFIELDS, request.c_str());
    const CURLcode code = curl_easy_perform(easy_);
    if (code != CURLE_OK) Fail(fmt::format("{}: {}", path, curl_easy_strerror(code)));
    long status = 0;
    curl_easy_getinfo(easy_, CURLINFO_RESPONSE_CODE, &status);
    if (status != 200) Fail(fmt::format("{}: HTTP {}: {}", path, status, body_.substr(0, 300)));
    return body_;
  }

 private:
  const std::string address_;
  CURL* const easy_ = curl_easy_init();
  curl_slist* headers_ = nullptr;
  std::string body_;
};

// What stands between the two, the first time; "" when there is none.
std::string Between(std::string_view text, std::string_view before, std::string_view after) {
  const size_t begin = text.find(before);
  if (begin == text.npos) return {};
  const size_t end = text.find(after, begin + before.size());
  return std::string(text.substr(begin + before.size(), end - begin - before.size()));
}

// Documents received. Pages are counted, not parsed.
int64_t ReadIndex(Client& client, const std::string& index, int64_t page_documents) {
  std::string_view page = client.Send(
      "POST", fmt::format("/{}/_search?scroll=5m", index),
      fmt::format(R"({{"size":{},"sort":["_doc"],"track_total_hits":true}})", page_documents));
  const int64_t total = std::atoll(Between(page, R"("total":{"value":)", ",").c_str());
  std::string id;
  for (int64_t received = page_documents;; received += page_documents) {
    id = Between(page, R"("_scroll_id":")", "\"");
    if (received >= total) break;
    page = client.Send("POST", "/_search/scroll",
                       fmt::format(R"({{"scroll":"5m","scroll_id":"{}"}})", id));
  }
  client.Send("DELETE", "/_search/scroll", fmt::format(R"({{"scroll_id":["{}"]}})", id));
  return total;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 5) {
    fmt::print(stderr, "usage: raw_search HOST:PORT STREAMS PAGE_DOCUMENTS INDEX…\n");
    return 2;
  }
  curl_global_init(CURL_GLOBAL_DEFAULT);
  const std::string address = argv[1];
  const int streams = std::atoi(argv[2]);
  const int64_t page_documents = std::atoll(argv[3]);
  const std::vector<std::string> indices(argv + 4, argv + argc);
  std::atomic<size_t> next = 0;
  std::atomic<int64_t> documents = 0;
  std::vector<std::jthread> threads;
  for (int i = 0; i < streams; ++i) {
    threads.emplace_back([&] {
      Client client(address);
      for (size_t index; (index = next.fetch_add(1)) < indices.size();) {
        documents += ReadIndex(client, indices[index], page_documents);
      }
    });
  }
  threads.clear();
  fmt::print("{} documents\n", documents.load());
  return 0;
}
