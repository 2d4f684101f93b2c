#include "source/postgres/hold_process.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/text.h"

namespace bulkhaul::postgres {
namespace {

using nlohmann::json;

constexpr size_t kLineBytesMax = 64 << 20;  // lock statements of very many tables
constexpr int64_t kHeartbeatMs = 10'000;
constexpr int64_t kAnswerMs = 30'000;
// Longer than a lock may be waited for, many times over; the holder itself has finite limits.
constexpr int64_t kHoldStartMs = 24 * 3'600'000;

class FileDescriptor {
 public:
  explicit FileDescriptor(int fd) : fd_(fd) {}
  ~FileDescriptor() {
    if (fd_ >= 0) close(fd_);
  }
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;
  int get() const { return fd_; }
  int release() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

Status WriteAll(int socket, std::string_view text) {
  while (!text.empty()) {
    const ssize_t sent = send(socket, text.data(), text.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) {
      return SnapshotLostError(
          fmt::format("the process that holds the snapshot is gone: {}", std::strerror(errno)));
    }
    text.remove_prefix(static_cast<size_t>(sent));
  }
  return Status::OK();
}

// Up to a line feed, which is taken off. Nothing else may follow on the socket.
Result<std::string> ReadLine(int socket, const WaitLimit& limit) {
  std::string line;
  char buffer[4096];
  while (true) {
    RETURN_NOT_OK(WaitOnSocket(socket, WaitFor::kRead, limit));
    const ssize_t received = recv(socket, buffer, sizeof buffer, 0);
    if (received < 0 && errno == EINTR) continue;
    if (received <= 0) return SnapshotLostError("the process that holds the snapshot is gone");
    line.append(buffer, static_cast<size_t>(received));
    if (line.back() == '\n') {
      line.pop_back();
      return line;
    }
    if (line.size() > kLineBytesMax) return BugError("an endless line from the snapshot's holder");
  }
}

sockaddr_un AbstractAddress(const std::string& name, socklen_t* length) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  // A first byte of zero makes the name abstract: it leaves no file behind.
  const size_t bytes = std::min(name.size(), sizeof address.sun_path - 1);
  std::memcpy(address.sun_path + 1, name.data(), bytes);
  *length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + bytes);
  return address;
}

bool IsSameUser(int socket) {
  ucred peer{};
  socklen_t length = sizeof peer;
  return getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0 && peer.uid == geteuid();
}

// The holder's half: waits for questions and for the end of its time.
class HolderServer {
 public:
  HolderServer(SnapshotHolder* holder, int listener, int first_client, int64_t keep_ms)
      : holder_(holder), listener_(listener), keep_ms_(keep_ms), clients_{first_client} {}
  ~HolderServer() {
    for (const int client : clients_) close(client);
  }

  void Run() {
    SteadyTime next_check = DeadlineIn(kHeartbeatMs);
    while (!released_) {
      std::vector<pollfd> entries = {{.fd = listener_, .events = POLLIN, .revents = 0}};
      for (const int client : clients_)
        entries.push_back({.fd = client, .events = POLLIN, .revents = 0});
      SteadyTime wake = next_check;
      if (clients_.empty()) wake = std::min(wake, end_);
      const auto left =
          std::chrono::ceil<std::chrono::milliseconds>(wake - std::chrono::steady_clock::now());
      poll(entries.data(), entries.size(),
           static_cast<int>(std::clamp<int64_t>(left.count(), 0, kHeartbeatMs)));
      const auto now = std::chrono::steady_clock::now();
      if (clients_.empty() && now >= end_) return;
      if (now >= next_check) {
        if (!holder_->Check().ok()) return;
        next_check = DeadlineIn(kHeartbeatMs);
      }
      for (size_t i = 1; i < entries.size(); ++i) {
        if (entries[i].revents != 0) Serve(entries[i].fd);
      }
      if (entries[0].revents != 0) Accept();
    }
  }

 private:
  void Accept() {
    const int client = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (client < 0) return;
    if (IsSameUser(client)) {
      clients_.push_back(client);
    } else {
      close(client);
    }
  }

  void Serve(int client) {
    const auto line = ReadLine(client, {.deadline = DeadlineIn(kAnswerMs)});
    bool keep = line.ok();
    if (keep && *line == "release") {
      released_ = true;
    } else if (keep && *line == "check") {
      const Status status = holder_->Check();
      const std::string answer = status.ok() ? "ok\n" : MessageOf(status) + "\n";
      keep = WriteAll(client, answer).ok();
    }
    if (keep) return;
    close(client);
    std::erase(clients_, client);
    if (clients_.empty()) end_ = DeadlineIn(std::max<int64_t>(1, keep_ms_));
  }

  SnapshotHolder* const holder_;
  const int listener_;
  const int64_t keep_ms_;
  std::vector<int> clients_;
  SteadyTime end_ = SteadyTime::max();  // when nobody is connected
  bool released_ = false;
};

Result<int> Listen(const std::string& name) {
  FileDescriptor listener(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  socklen_t length = 0;
  const sockaddr_un address = AbstractAddress(name, &length);
  if (listener.get() < 0 ||
      bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), length) != 0 ||
      listen(listener.get(), 8) != 0) {
    return ErrnoError(errno, "listen on", "@" + name);
  }
  return listener.release();
}

Status ServeRequest(int parent) {
  ARROW_ASSIGN_OR_RAISE(const auto line, ReadLine(parent, {.deadline = DeadlineIn(kAnswerMs)}));
  const json request = json::parse(line, nullptr, false);
  if (!request.is_object()) return BugError("the request to hold a snapshot is no JSON");
  const ConnectionSettings settings{.conninfo = Secret(request.at("conninfo").get<std::string>()),
                                    .application_name = request.at("application_name"),
                                    .connect_timeout_ms = request.at("connect_timeout_ms"),
                                    .address = {}};
  ARROW_ASSIGN_OR_RAISE(const auto plan, HoldPlan::FromJson(request.at("plan").dump()));
  ARROW_ASSIGN_OR_RAISE(auto holder, SnapshotHolder::Take(settings, plan, {}));
  const std::string name = "bulkhaul-snapshot-" + NewId();
  ARROW_ASSIGN_OR_RAISE(const int listening, Listen(name));
  const FileDescriptor listener(listening);
  const HeldSnapshot& held = holder->snapshot();
  RETURN_NOT_OK(WriteAll(parent, json{{"id", held.id},
                                      {"description", held.description},
                                      {"host", held.address.host},
                                      {"hostaddr", held.address.hostaddr},
                                      {"port", held.address.port},
                                      {"socket", name}}
                                         .dump() +
                                     "\n"));
  HolderServer(holder.get(), listener.get(), parent, request.at("keep_ms")).Run();
  return Status::OK();
}

// In the child: only calls that are safe after fork() in a program with threads.
[[noreturn]] void BecomeHolder(int socket) {
  setsid();
  const pid_t pid =
      fork();  // the first child ends at once, so that nobody has to wait for the holder
  if (pid != 0) _exit(pid < 0 ? 1 : 0);
  if (socket == 0) {
    fcntl(0, F_SETFD, 0);
  } else if (dup2(socket, 0) < 0) {
    _exit(1);
  }
  const int null = open("/dev/null", O_RDWR);
  if (null < 0 || dup2(null, 1) < 0 || dup2(null, 2) < 0 || chdir("/") != 0) _exit(1);
  // Nothing of the job stays open here: not its lock, not a pipe that somebody waits for the end
  // of.
  syscall(SYS_close_range, 3u, ~0u, 0u);
  char program[] = "bulkhaul", verb[sizeof kHoldVerb];
  std::memcpy(verb, kHoldVerb, sizeof kHoldVerb);
  char* const arguments[] = {program, verb, nullptr};
  execve("/proc/self/exe", arguments, environ);
  _exit(1);
}

Result<HeldSnapshot> ReadAnswer(const std::string& line, std::string* socket_name) {
  const json answer = json::parse(line, nullptr, false);
  if (!answer.is_object()) return BugError("the snapshot's holder gave no JSON");
  if (answer.contains("error")) {
    ARROW_ASSIGN_OR_RAISE(const auto kind, ErrorKindFromName(answer.value("kind", "bug")));
    return MakeError(kind, answer.value("error", ""), answer.value("code", ""));
  }
  *socket_name = answer.value("socket", "");
  return HeldSnapshot{.id = answer.value("id", ""),
                      .description = answer.value("description", ""),
                      .address = {answer.value("host", ""), answer.value("hostaddr", ""),
                                  answer.value("port", "")}};
}

}  // namespace

int RunSnapshotHolder() {
  Status status;
  try {
    status = ServeRequest(0);
  } catch (const std::exception& error) {
    status = BugError(error.what());
  }
  if (status.ok()) return 0;
  (void)WriteAll(0, json{{"error", MessageOf(status)},
                         {"kind", ErrorKindName(KindOf(status))},
                         {"code", CodeOf(status)}}
                            .dump() +
                        "\n");
  return 1;
}

Result<std::unique_ptr<HolderProcess>> HolderProcess::Start(const ConnectionSettings& settings,
                                                            const HoldPlan& plan, int64_t keep_ms,
                                                            std::stop_token stop) {
  int sockets[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) != 0) {
    return ErrnoError(errno, "make", "a socket pair");
  }
  FileDescriptor ours(sockets[0]);
  {
    const FileDescriptor theirs(sockets[1]);
    const pid_t pid = fork();
    if (pid < 0) return ErrnoError(errno, "start", "the snapshot's holder");
    if (pid == 0) BecomeHolder(theirs.get());
    while (waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
    }
  }
  const json request = {{"conninfo", settings.conninfo.Reveal()},
                        {"application_name", settings.application_name},
                        {"connect_timeout_ms", settings.connect_timeout_ms},
                        {"keep_ms", keep_ms},
                        {"plan", json::parse(plan.ToJson())}};
  RETURN_NOT_OK(WriteAll(ours.get(), request.dump() + "\n"));
  ARROW_ASSIGN_OR_RAISE(const auto line,
                        ReadLine(ours.get(), {.deadline = DeadlineIn(kHoldStartMs), .stop = stop}));
  std::string name;
  ARROW_ASSIGN_OR_RAISE(auto snapshot, ReadAnswer(line, &name));
  std::unique_ptr<HolderProcess> holder(new HolderProcess(ours.release(), name));
  holder->snapshot_ = std::move(snapshot);
  return holder;
}

Result<std::unique_ptr<HolderProcess>> HolderProcess::Connect(const std::string& socket_name) {
  FileDescriptor connected(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  socklen_t length = 0;
  const sockaddr_un address = AbstractAddress(socket_name, &length);
  if (connected.get() < 0 ||
      connect(connected.get(), reinterpret_cast<const sockaddr*>(&address), length) != 0 ||
      !IsSameUser(connected.get())) {
    return SnapshotLostError("the process that kept the snapshot is gone: its time was over");
  }
  std::unique_ptr<HolderProcess> holder(new HolderProcess(connected.release(), socket_name));
  RETURN_NOT_OK(holder->Check());
  return holder;
}

HolderProcess::~HolderProcess() { close(socket_); }

Result<std::string> HolderProcess::Ask(const std::string& question, int64_t timeout_ms) {
  RETURN_NOT_OK(WriteAll(socket_, question + "\n"));
  return ReadLine(socket_, {.deadline = DeadlineIn(timeout_ms)});
}

Status HolderProcess::Check() {
  std::lock_guard lock(mutex_);
  auto answer = Ask("check", kAnswerMs);
  if (!answer.ok()) return SnapshotLostError(MessageOf(answer.status()));
  return *answer == "ok" ? Status::OK() : SnapshotLostError(*answer);
}

void HolderProcess::Release() noexcept {
  std::lock_guard lock(mutex_);
  (void)WriteAll(socket_, "release\n");
}

}  // namespace bulkhaul::postgres
