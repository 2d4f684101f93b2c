"""A TCP proxy in front of a server that misbehaves on request."""

from __future__ import annotations

import socket
import struct
import threading
import time
from dataclasses import dataclass

CHUNK_BYTES = 16 << 10


@dataclass
class Fault:
    """What happens to a connection once the server has sent `after_bytes` on it."""

    kind: str  # "reset" (RST), "close" (FIN), "stall" (open, but silent)
    after_bytes: int
    times: int  # how many connections it hits


class Link:
    """One proxied connection."""

    def __init__(self, client: socket.socket, server: socket.socket):
        self.client = client
        self.server = server
        self.sent = 0  # by the server, bytes

    def close(self, reset: bool = False) -> None:
        for side in (self.client, self.server):
            try:
                if reset:
                    # Only a close() without lingering sends RST, and it waits for the recv() that
                    # the other thread is in, which the one-sided shutdown ends.
                    side.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                side.shutdown(socket.SHUT_RD if reset else socket.SHUT_RDWR)
            except OSError:
                pass
            side.close()


class FaultProxy:
    """Forwards 127.0.0.1:port to the server at `target_port`; use as a context manager."""

    def __init__(self, target_port: int):
        self._target_port = target_port
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self._listener.getsockname()[1]
        self._mutex = threading.Lock()
        self._links: list[Link] = []
        self._faults: list[Fault] = []
        self._hold_after = -1
        self._hold_at_connection = -1
        self._sent = 0
        self._closed = False
        self.held = threading.Event()  # the gate has stopped the first byte
        self._gate = threading.Event()
        self._gate.set()
        self.latency_seconds = 0.0
        self.refuse = False  # close each new connection at once
        self.connections = 0
        self.faults_done = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def uri(self, database: str, user: str = "postgres") -> str:
        return f"postgres://{user}@127.0.0.1:{self.port}/{database}"

    def inject(self, kind: str, after_bytes: int, times: int = 1) -> None:
        with self._mutex:
            self._faults.append(Fault(kind, after_bytes, times))

    def hold_after(self, sent_bytes: int) -> None:
        """Lets the server send so many bytes more, in all, then nothing until release()."""
        with self._mutex:
            self._hold_after = self._sent + sent_bytes

    def hold_at_connection(self, number: int) -> None:
        """Lets nothing through from the moment that connection `number`, from 1, is asked for."""
        self._hold_at_connection = number

    def release(self) -> None:
        with self._mutex:
            self._hold_after = -1
        self._gate.set()

    def reset_all(self) -> None:
        """Breaks every connection that is open now."""
        with self._mutex:
            links = list(self._links)
        for link in links:
            link.close(reset=True)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self.refuse:
                client.close()
                continue
            if self.connections + 1 == self._hold_at_connection:
                self._gate.clear()
                self.held.set()
                self._gate.wait()
            try:
                server = socket.create_connection(("127.0.0.1", self._target_port))
            except OSError:
                client.close()
                continue
            for side in (client, server):
                side.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            link = Link(client, server)
            with self._mutex:
                self.connections += 1
                self._links.append(link)
                if self._closed:
                    link.close()
                    return
            threading.Thread(target=self._to_server, args=(link,), daemon=True).start()
            threading.Thread(target=self._to_client, args=(link,), daemon=True).start()

    def _to_server(self, link: Link) -> None:
        try:
            while data := link.client.recv(CHUNK_BYTES):
                link.server.sendall(data)
        except OSError:
            pass
        self._end(link)

    def _to_client(self, link: Link) -> None:
        try:
            while data := link.server.recv(CHUNK_BYTES):
                if self.latency_seconds:
                    time.sleep(self.latency_seconds)
                self._pass_gate(len(data))
                kind, allowed = self._fault_for(link, len(data))
                link.client.sendall(data[:allowed])
                link.sent += allowed
                if kind == "stall":
                    return  # both sockets stay open
                if kind:
                    link.close(reset=kind == "reset")
                    break
        except OSError:
            pass
        self._end(link)

    def _pass_gate(self, size: int) -> None:
        with self._mutex:
            self._sent += size
            if 0 <= self._hold_after < self._sent:
                self._gate.clear()
                self.held.set()
        self._gate.wait()

    def _fault_for(self, link: Link, size: int) -> tuple[str, int]:
        with self._mutex:
            for fault in self._faults:
                if fault.times > 0 and link.sent + size > fault.after_bytes:
                    fault.times -= 1
                    self.faults_done += 1
                    return fault.kind, max(0, fault.after_bytes - link.sent)
        return "", size

    def _end(self, link: Link) -> None:
        link.close()
        with self._mutex:
            if link in self._links:
                self._links.remove(link)

    def close(self) -> None:
        with self._mutex:
            self._closed = True
            links = list(self._links)
        self._listener.close()
        self._gate.set()
        for link in links:
            link.close(reset=True)

    def __enter__(self) -> FaultProxy:
        return self

    def __exit__(self, *_) -> None:
        self.close()


class SilentServer:
    """Accepts connections and never answers."""

    def __init__(self):
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self._listener.getsockname()[1]
        self._clients: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                self._clients.append(self._listener.accept()[0])
            except OSError:
                return

    @property
    def connections(self) -> int:
        return len(self._clients)

    def __enter__(self) -> SilentServer:
        return self

    def __exit__(self, *_) -> None:
        self._listener.close()
        for client in self._clients:
            client.close()
