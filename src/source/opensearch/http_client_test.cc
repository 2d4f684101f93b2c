#include "source/opensearch/http_client.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <thread>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace bulkhaul::opensearch {
namespace {

using testing::HasSubstr;

// Gives the port.
int BindToLoopback(int descriptor) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_EQ(bind(descriptor, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  socklen_t size = sizeof(address);
  getsockname(descriptor, reinterpret_cast<sockaddr*>(&address), &size);
  return ntohs(address.sin_port);
}

// Answers request number n (from 0) with what `script` gives, as raw bytes, on 127.0.0.1. "" closes
// the connection. What ends in kHold keeps it open, silent.
constexpr char kHold[] = "<hold>";

class ScriptedServer {
 public:
  explicit ScriptedServer(std::function<std::string(int)> script) : script_(std::move(script)) {
    listener_ = socket(AF_INET, SOCK_STREAM, 0);
    port_ = BindToLoopback(listener_);
    listen(listener_, 16);
    thread_ = std::thread([this] { Serve(); });
  }
  ~ScriptedServer() {
    stopping_ = true;
    shutdown(listener_, SHUT_RDWR);
    if (const int client = client_; client >= 0) shutdown(client, SHUT_RDWR);
    thread_.join();
    close(listener_);
  }
  int port() const { return port_; }
  int requests() const { return requests_; }

 private:
  void Serve() {
    while (!stopping_) {
      const int client = accept(listener_, nullptr, nullptr);
      if (client < 0) return;
      client_ = client;
      Talk(client);
      client_ = -1;
      close(client);
    }
  }
  void Talk(int client) {
    std::string received;
    char bytes[4096];
    for (;;) {
      const ssize_t count = recv(client, bytes, sizeof(bytes), 0);
      if (count <= 0) return;
      received.append(bytes, static_cast<size_t>(count));
      // Requests of these tests have no body, or one that comes in the same segment.
      if (received.find("\r\n\r\n") == std::string::npos) continue;
      received.clear();
      std::string answer = script_(requests_++);
      if (answer.empty()) return;
      const bool hold = answer.ends_with(kHold);
      if (hold) answer.resize(answer.size() - sizeof(kHold) + 1);
      send(client, answer.data(), answer.size(), MSG_NOSIGNAL);
    }
  }

  const std::function<std::string(int)> script_;
  int listener_ = -1, port_ = 0;
  std::atomic<int> client_{-1}, requests_{0};
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

std::string Json(const std::string& body) {
  return fmt::format(
      "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{}",
      body.size(), body);
}

ConnectionSettings At(std::vector<int> ports) {
  ConnectionSettings settings;
  for (const int port : ports) settings.hosts.push_back({"127.0.0.1", port});
  return settings;
}

// A port that nobody listens on, and nobody else can meanwhile.
class DeadPort {
 public:
  DeadPort() : bound_(socket(AF_INET, SOCK_STREAM, 0)), port_(BindToLoopback(bound_)) {}
  ~DeadPort() { close(bound_); }
  int port() const { return port_; }

 private:
  const int bound_, port_;
};

TEST(HttpClient, BodiesStayValidForOneRequestMoreAndArePadded) {
  ScriptedServer server([](int number) { return Json(fmt::format("[{}]", number)); });
  const auto client = HttpClient::Make(At({server.port()})).ValueOrDie();
  const auto first = client->Request({.path = "/a"}).ValueOrDie();
  const auto aside = client->Request({.path = "/b", .body = {}, .aside = true}).ValueOrDie();
  const auto second = client->Request({.path = "/c"}).ValueOrDie();
  EXPECT_EQ(first.body, "[0]");
  EXPECT_EQ(aside.body, "[1]");
  EXPECT_EQ(second.body, "[2]");
  ASSERT_GE(second.body_capacity, second.body.size() + kBodyPaddingBytes);
  for (size_t i = 0; i < kBodyPaddingBytes; ++i) {
    EXPECT_EQ(second.body.data()[second.body.size() + i], '\0');
  }
  EXPECT_EQ(client->connections_opened(), 1);
}

TEST(HttpClient, GoesOnWithTheNextHost) {
  ScriptedServer server([](int) { return Json("{}"); });
  const DeadPort dead;
  const auto client = HttpClient::Make(At({dead.port(), server.port()})).ValueOrDie();
  const auto response =
      client->Request({.method = "POST", .path = "/", .body = "{}", .repeatable = false});
  ASSERT_TRUE(response.ok()) << response.status().ToString();
  EXPECT_EQ(response->host.port, server.port());
}

TEST(HttpClient, NoHostIsATransientError) {
  const DeadPort dead;
  const auto client = HttpClient::Make(At({dead.port()})).ValueOrDie();
  const auto response = client->Request({.path = "/x?secret_query"});
  ASSERT_FALSE(response.ok());
  EXPECT_EQ(KindOf(response.status()), ErrorKind::kTransient);
  EXPECT_THAT(MessageOf(response.status()), HasSubstr("GET /x on 127.0.0.1"));
}

// A kept connection that is closed in place of an answer: libcurl alone would send it again.
TEST(HttpClient, WhatMayNotBeRepeatedIsSentOnce) {
  ScriptedServer server([](int number) { return number == 1 ? "" : Json("{}"); });
  const auto client = HttpClient::Make(At({server.port(), server.port()})).ValueOrDie();
  ASSERT_TRUE(client->Request({.path = "/"}).ok());
  const auto lost = client->Request(
      {.method = "POST", .path = "/_search/scroll", .body = "{}", .repeatable = false});
  ASSERT_FALSE(lost.ok());
  EXPECT_EQ(KindOf(lost.status()), ErrorKind::kTransient);
  EXPECT_EQ(server.requests(), 2);
  EXPECT_TRUE(client->Request({.path = "/"}).ok());
}

TEST(HttpClient, WhatMayBeRepeatedIsSentOnceMore) {
  ScriptedServer server([](int number) { return number == 0 ? "" : Json("{}"); });
  const auto client = HttpClient::Make(At({server.port(), server.port()})).ValueOrDie();
  EXPECT_TRUE(client->Request({.path = "/"}).ok());
  EXPECT_EQ(server.requests(), 2);
}

TEST(HttpClient, AnAnswerThatStallsIsGivenUp) {
  ScriptedServer server([](int) {
    return std::string(
               "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
               "Content-Length: 100\r\n\r\n{\"a\":") +
           kHold;
  });
  auto settings = At({server.port()});
  settings.stall_timeout_ms = 50;
  const auto client = HttpClient::Make(settings).ValueOrDie();
  const auto stalled = client->Request({.path = "/"});
  ASSERT_FALSE(stalled.ok());
  EXPECT_EQ(CodeOf(stalled.status()), "stalled");
  EXPECT_EQ(KindOf(stalled.status()), ErrorKind::kTransient);
}

TEST(HttpClient, AStopEndsTheWait) {
  ScriptedServer server([](int) { return std::string(kHold); });
  const auto client = HttpClient::Make(At({server.port()})).ValueOrDie();
  std::stop_source stop;
  std::thread stopper([&] {
    while (server.requests() == 0) std::this_thread::yield();
    stop.request_stop();
  });
  const auto stopped = client->Request({.path = "/"}, stop.get_token());
  stopper.join();
  ASSERT_FALSE(stopped.ok());
  EXPECT_EQ(KindOf(stopped.status()), ErrorKind::kCancelled);
  EXPECT_FALSE(client->started());
}

TEST(HttpClient, AnswersHaveALimit) {
  ScriptedServer server([](int) { return Json(std::string(5000, ' ')); });
  auto settings = At({server.port()});
  settings.response_bytes_max = 4999;
  const auto client = HttpClient::Make(settings).ValueOrDie();
  EXPECT_EQ(CodeOf(client->Request({.path = "/"}).status()), "response_too_large");
}

TEST(HttpClient, HtmlWithStatus200IsNoAnswer) {
  ScriptedServer server([](int) {
    return std::string(
        "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\n<html>");
  });
  const auto client = HttpClient::Make(At({server.port()})).ValueOrDie();
  EXPECT_EQ(CodeOf(client->Request({.path = "/"}).status()), "not_json");
}

TEST(ConnectionSettings, ContradictionsAreRefused) {
  EXPECT_EQ(KindOf(HttpClient::Make(ConnectionSettings()).status()), ErrorKind::kUser);
  auto settings = At({1});
  settings.fingerprint = std::string(64, 'a');
  EXPECT_EQ(KindOf(HttpClient::Make(settings).status()), ErrorKind::kUser);  // without TLS
  settings.tls = true;
  EXPECT_TRUE(HttpClient::Make(settings).ok());
  settings.fingerprint = "ab:cd";
  EXPECT_EQ(KindOf(HttpClient::Make(settings).status()), ErrorKind::kUser);
  settings.fingerprint.clear();
  settings.ca_file = "/nowhere/ca.pem";
  EXPECT_EQ(KindOf(HttpClient::Make(settings).status()), ErrorKind::kUser);
  settings.ca_file.clear();
  settings.authentication = Authentication::kBearer;
  settings.bearer_token = Secret("a\r\nX-Other: b");
  EXPECT_EQ(KindOf(HttpClient::Make(settings).status()), ErrorKind::kUser);
}

}  // namespace
}  // namespace bulkhaul::opensearch
