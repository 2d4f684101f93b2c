"""What the proxies that tests put between have in common: a port of their own, threads, an end."""

from __future__ import annotations

import socket
import threading

ANY_PORT = ("127.0.0.1", 0)


class ProxyServer:
    """Beside a threading server of `socketserver`, and before it. Use as a context manager."""

    daemon_threads = True

    def serve(self) -> None:
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def port(self) -> int:
        return self.server_address[1]

    def __exit__(self, *_) -> None:
        self.shutdown()
        self.server_close()


def tunnel(client: socket.socket, there: socket.socket) -> None:
    """Hands on what either says until both have ended."""
    back = threading.Thread(target=_pump, args=(there, client), daemon=True)
    back.start()
    _pump(client, there)
    back.join()


def _pump(source: socket.socket, target: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass
