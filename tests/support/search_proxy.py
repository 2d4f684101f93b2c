"""An HTTP proxy in front of a search node that misbehaves on request."""

from __future__ import annotations

import http.client
import http.server
import json
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

HTML = b"<!DOCTYPE html><html><body>Please log in</body></html>"


@dataclass
class Fault:
    """What happens to requests whose "METHOD /path?query" holds `part`.

    html: 200 with a login page       cut: whole answer whose JSON ends in the middle
    drop: half the body, then FIN     reset: half the body, then RST
    stall: half the body, then silence
    lose: the node gets the request, the connection is closed without an answer
    a number: that status, as the servers answer when they are overloaded
    a function: called before the node gets the request
    """

    kind: str | int | Callable[[], None]
    part: str
    skip: int  # so many of them pass first
    times: int


class SearchProxy(http.server.ThreadingHTTPServer):
    """Forwards to the node at `address` ("host:port"); use as a context manager."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(self, address: str, tls: ssl.SSLContext | None = None,
                 authorization: str | None = None, allows: Callable | None = None,
                 prefix: str = ""):
        super().__init__(("127.0.0.1", 0), _Handler)
        if tls is not None:
            self.socket = tls.wrap_socket(self.socket, server_side=True,
                                          do_handshake_on_connect=False)
        self.address = address
        self.authorization = authorization  # the header that every request must have
        self.allows = allows  # or what is asked: (method, path, headers, body) → bool
        self.prefix = prefix  # that every path must have, and the node does not see
        self.requests: list[str] = []  # "METHOD /path?query"
        self.bodies: list[bytes] = []
        self.headers: list[dict] = []
        self.statuses: list[int] = []  # of answers, in the order in which they were given
        self.contexts_open: set[str] = set()  # scroll ids that clients were told and did not close
        self.faults_done = 0
        self.dead = False
        self.silent = threading.Event()  # ends every stall
        self._mutex = threading.Lock()
        self._faults: list[Fault] = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def port(self) -> int:
        return self.server_address[1]

    def uri(self, path: str, scheme: str = "opensearch", login: str = "") -> str:
        return f"{scheme}://{login}127.0.0.1:{self.port}/{path}"

    def inject(self, kind: str | int | Callable[[], None], part: str, skip: int = 0, times: int = 1) -> None:
        with self._mutex:
            self._faults.append(Fault(kind, part, skip, times))

    def forget_faults(self) -> None:
        with self._mutex:
            self._faults.clear()

    def fault_for(self, line: str) -> str | int | Callable[[], None] | None:
        with self._mutex:
            for fault in self._faults:
                if fault.part in line and fault.times > 0:
                    if fault.skip > 0:
                        fault.skip -= 1
                        continue
                    fault.times -= 1
                    self.faults_done += 1
                    return fault.kind
        return None

    def note(self, line: str, body: bytes | None, headers) -> None:
        with self._mutex:
            self.requests.append(line)
            self.bodies.append(body or b"")
            self.headers.append(dict(headers))

    def note_contexts(self, line: str, body: bytes | None, status: int, answer: bytes) -> None:
        if "scroll" not in line or status not in (200, 404):
            return
        with self._mutex:
            if line.startswith("DELETE"):
                self.contexts_open.difference_update(json.loads(body)["scroll_id"])
            elif status == 200:
                self.contexts_open.add(json.loads(answer)["_scroll_id"])

    def die(self) -> None:
        """Accepts no connection any more and closes those it has."""
        self.dead = True
        self.shutdown()
        self.server_close()

    def handle_error(self, *_) -> None:
        pass  # clients that refuse the certificate or break off

    def __exit__(self, *_) -> None:
        self.silent.set()
        self.shutdown()
        self.server_close()


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: SearchProxy

    def _serve(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length) if length else None
        line = f"{self.command} {self.path}"
        self.server.note(line, body, self.headers)
        wanted = self.server.authorization
        allows = self.server.allows
        if (wanted is not None and self.headers.get("Authorization") != wanted) or (
                allows and not allows(self.command, self.path, self.headers, body or b"")):
            self._error(401, "security_exception", "missing or wrong credentials")
            return
        if not self.path.startswith(self.server.prefix):
            self._error(404, "not_found", "there is nothing at this path")
            return
        fault = self.server.fault_for(line)
        if isinstance(fault, int):
            self._error(fault, "rejected_execution_exception", "the queue is full")
            return
        if fault == "html":
            self._answer(200, "text/html", HTML)
            return
        if callable(fault):
            fault()
            fault = None
        if self.server.dead:
            self.close_connection = True
            self.connection.close()
            return
        status, kind, text = self._ask(
            self.command, self.path.removeprefix(self.server.prefix), body)
        self.server.note_contexts(line, body, status, text)
        if fault is None:
            self._answer(status, kind, text)
        elif fault == "slow":  # a network of less than 2 MB/s
            self._answer(status, kind, text, pause=0.05)
        elif fault == "cut":
            self._answer(status, kind, text[:len(text) // 2])
        else:
            self._break(fault, status, kind, text)

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = _serve

    def _ask(self, method: str, path: str, body: bytes | None) -> tuple[int, str, bytes]:
        connection = http.client.HTTPConnection(self.server.address, timeout=60)
        try:
            connection.request(method, path, body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            return answer.status, answer.getheader("Content-Type", ""), answer.read()
        except OSError:
            return 502, "text/html", b"<html>bad gateway</html>"
        finally:
            connection.close()

    def _answer(self, status: int, kind: str, text: bytes, pause: float = 0) -> None:
        self.server.statuses.append(status)
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        for begin in range(0, len(text), 1 << 16):
            self.wfile.write(text[begin:begin + (1 << 16)])
            if pause:
                self.wfile.flush()
                time.sleep(pause)

    def _error(self, status: int, kind: str, reason: str) -> None:
        error = {"type": kind, "reason": reason}
        self._answer(status, "application/json", json.dumps(
            {"error": {"root_cause": [error], **error}, "status": status}).encode())

    def _break(self, fault: str, status: int, kind: str, text: bytes) -> None:
        self.close_connection = True
        if fault != "lose":
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text[:len(text) // 2])
            self.wfile.flush()
        if fault == "stall":
            self.server.silent.wait()
        if fault == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                       struct.pack("ii", 1, 0))
        self.connection.close()

    def log_message(self, *_) -> None:
        pass
