"""A SOCKS5 proxy without login (RFC 1928) that is told names, not addresses."""

from __future__ import annotations

import socket
import socketserver
import struct

from support.proxy_server import ANY_PORT, ProxyServer, tunnel


class SocksProxy(ProxyServer, socketserver.ThreadingTCPServer):
    """`hosts`: where each name leads, "name:port" to "host:port". Use as a context manager."""

    def __init__(self, hosts: dict[str, str]):
        super().__init__(ANY_PORT, _Handler)
        self.hosts = hosts
        self.asked: list[str] = []  # "name:port"
        self.serve()


class _Handler(socketserver.BaseRequestHandler):
    server: SocksProxy

    def _read(self, count: int) -> bytes:
        data = self.request.recv(count, socket.MSG_WAITALL)
        if len(data) < count:
            raise ConnectionError
        return data

    def handle(self) -> None:
        _, methods = self._read(2)
        self._read(methods)
        self.request.sendall(b"\x05\x00")
        _, command, _, kind = self._read(4)
        assert (command, kind) == (1, 3), "CONNECT to a name"
        name = self._read(self._read(1)[0]).decode()
        asked = f"{name}:{struct.unpack('!H', self._read(2))[0]}"
        self.server.asked.append(asked)
        host, port = self.server.hosts[asked].rsplit(":", 1)
        with socket.create_connection((host, int(port)), timeout=60) as there:
            self.request.sendall(b"\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00")
            tunnel(self.request, there)
