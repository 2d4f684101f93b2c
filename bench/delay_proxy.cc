// A node far away: hands every request on after a delay, and answers at once.
//
//   delay_proxy HOST_ADDRESS PORT DELAY_MS      prints its own port
//
// Two threads for each connection. Answers go through a pipe inside the kernel (splice), so that
// the proxy does not become what is measured. Ends when its standard input is closed.
#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>
#include <vector>

namespace {

constexpr size_t kRequestBytes = 64 << 10;
constexpr size_t kPipeBytes = 1 << 20;

[[noreturn]] void Fail(const char* what) {
  fmt::print(stderr, "delay_proxy: {}: {}\n", what, std::strerror(errno));
  std::exit(1);
}

bool WriteAll(int to, const char* bytes, size_t count) {
  while (count > 0) {
    const ssize_t done = send(to, bytes, count, MSG_NOSIGNAL);
    if (done <= 0) return false;
    bytes += done;
    count -= static_cast<size_t>(done);
  }
  return true;
}

// A client has one request under way, so that waiting after each read delays each request once.
void HandOnRequests(int client, int server, std::chrono::milliseconds delay) {
  std::vector<char> buffer(kRequestBytes);
  for (;;) {
    const ssize_t count = recv(client, buffer.data(), buffer.size(), 0);
    if (count <= 0) break;
    std::this_thread::sleep_for(delay);
    if (!WriteAll(server, buffer.data(), static_cast<size_t>(count))) break;
  }
  shutdown(server, SHUT_RDWR);
  shutdown(client, SHUT_RDWR);
}

void HandOnAnswers(int server, int client) {
  int ends[2];
  if (pipe(ends) != 0) Fail("pipe");
  fcntl(ends[1], F_SETPIPE_SZ, kPipeBytes);
  for (bool open = true; open;) {
    ssize_t held = splice(server, nullptr, ends[1], nullptr, kPipeBytes, SPLICE_F_MOVE);
    open = held > 0;
    while (held > 0) {
      const ssize_t done =
          splice(ends[0], nullptr, client, nullptr, static_cast<size_t>(held), SPLICE_F_MOVE);
      if (done <= 0) {
        open = false;
        break;
      }
      held -= done;
    }
  }
  close(ends[0]);
  close(ends[1]);
  shutdown(client, SHUT_RDWR);
  shutdown(server, SHUT_RDWR);
}

void Serve(int client, sockaddr_in node, std::chrono::milliseconds delay) {
  const int one = 1;
  setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
  const int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  setsockopt(server, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
  if (connect(server, reinterpret_cast<sockaddr*>(&node), sizeof(node)) == 0) {
    std::jthread answers([=] { HandOnAnswers(server, client); });
    HandOnRequests(client, server, delay);
  }
  close(server);
  close(client);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    fmt::print(stderr, "usage: delay_proxy HOST_ADDRESS PORT DELAY_MS\n");
    return 2;
  }
  std::signal(SIGPIPE, SIG_IGN);
  sockaddr_in node{};
  node.sin_family = AF_INET;
  node.sin_port = htons(static_cast<uint16_t>(std::atoi(argv[2])));
  if (inet_pton(AF_INET, argv[1], &node.sin_addr) != 1) Fail("the address");
  const std::chrono::milliseconds delay(std::atoi(argv[3]));
  const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in own{};
  own.sin_family = AF_INET;
  own.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof(own);
  if (bind(listener, reinterpret_cast<sockaddr*>(&own), length) != 0) Fail("bind");
  if (listen(listener, SOMAXCONN) != 0) Fail("listen");
  getsockname(listener, reinterpret_cast<sockaddr*>(&own), &length);
  fmt::print("{}\n", ntohs(own.sin_port));
  std::fflush(stdout);
  std::thread([] {
    while (std::getchar() != EOF) {
    }
    std::_Exit(0);
  }).detach();
  for (;;) {
    const int client = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
    if (client < 0) Fail("accept");
    std::thread([=] { Serve(client, node, delay); }).detach();
  }
}
