"""A forward proxy: CONNECT tunnels, and requests that name their whole URI."""

from __future__ import annotations

import base64
import http.client
import http.server
import socket
import urllib.parse

from support.proxy_server import ANY_PORT, ProxyServer, tunnel


class HttpProxy(ProxyServer, http.server.ThreadingHTTPServer):
    """`login` ("user:password"): what clients must say. Use as a context manager."""

    request_queue_size = 256

    def __init__(self, login: str | None = None):
        super().__init__(ANY_PORT, _Handler)
        self.expected = login and "Basic " + base64.b64encode(login.encode()).decode()
        self.lines: list[str] = []  # "CONNECT host:port", "POST http://host:port/path"
        self.serve()


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: HttpProxy

    def _allowed(self) -> bool:
        self.server.lines.append(f"{self.command} {self.path}")
        expected = self.server.expected
        if expected is None or self.headers.get("Proxy-Authorization") == expected:
            return True
        self.send_response(407)
        self.send_header("Proxy-Authenticate", "Basic")
        self.send_header("Content-Length", "0")
        self.end_headers()
        return False

    def do_CONNECT(self) -> None:
        if not self._allowed():
            return
        host, port = self.path.rsplit(":", 1)
        with socket.create_connection((host, int(port)), timeout=60) as there:
            self.send_response(200)
            self.end_headers()
            tunnel(self.connection, there)
        self.close_connection = True

    def _forward(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length) if length else None
        if not self._allowed():
            return
        uri = urllib.parse.urlsplit(self.path)
        there = http.client.HTTPConnection(uri.netloc, timeout=60)
        try:
            there.request(self.command, self.path.split(uri.netloc, 1)[1], body,
                          {"Content-Type": "application/json"})
            answer = there.getresponse()
            text = answer.read()
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.getheader("Content-Type", ""))
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)
        finally:
            there.close()

    do_GET = do_POST = do_DELETE = _forward

    def log_message(self, *_) -> None:
        pass
