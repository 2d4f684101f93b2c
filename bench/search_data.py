"""A search node with a million log documents, made once under build/bench and kept.

13 fields, about 330 bytes a document; ten daily indices hold 80 % of them, three monthly ones the
rest. Everything is merged to one segment a shard, so that no run pays for merges.
"""

from __future__ import annotations

import datetime
import http.client
import json
import os
import random
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor

from data import FOLDER, REPOSITORY, say

KIND = "opensearch-3"
HEAP_MB = 2048
DOCUMENTS = 1_000_000
INDICES = "logs-*"
FIELDS = ["@timestamp", "seq", "level", "service", "host", "status", "bytes", "latency_ms",
          "user_id", "client_ip", "message", "http.method", "http.path", "http.version"]
BULK_DOCUMENTS = 5000
LOADERS = 2

KEYWORD = {"type": "keyword"}
SETTINGS = {
    "settings": {"number_of_shards": 1, "number_of_replicas": 0, "refresh_interval": "-1"},
    "mappings": {"dynamic": "strict", "properties": {
        "@timestamp": {"type": "date"}, "seq": {"type": "long"}, "level": KEYWORD,
        "service": KEYWORD, "host": KEYWORD, "status": {"type": "short"},
        "bytes": {"type": "integer"}, "latency_ms": {"type": "float"},
        "user_id": {"type": "integer"}, "client_ip": {"type": "ip"}, "message": {"type": "text"},
        "http": {"properties": {"method": KEYWORD, "path": KEYWORD, "version": KEYWORD}}}},
}
LEVELS = ["INFO"] * 90 + ["WARN"] * 7 + ["ERROR"] * 3
SERVICES = ["checkout", "search", "auth", "catalog", "gateway", "billing", "mail", "image"]
PATHS = ["/api/v1/items", "/api/v1/users", "/health", "/login", "/cart/add", "/static/app.js"]
WORDS = ("upstream timeout retry cache hit miss session token request completed pool worker queued "
         "shard primary replica client closed connection").split()


def log_line(chance: random.Random, number: int, time: str) -> str:
    """One document; every one has its own `seq`."""
    draw = chance.random()
    method = "GET" if draw < 0.8 else "POST"
    path = PATHS[int(draw * 60_000) % 6]
    latency = chance.expovariate(1 / 25)
    status = 200 if draw < 0.93 else chance.choice((301, 404, 500, 503))
    words = " ".join(chance.choices(WORDS, k=6))
    return (
        f'{{"@timestamp":"{time}Z","seq":{number},"level":"{LEVELS[int(chance.random() * 100)]}",'
        f'"service":"{SERVICES[int(draw * 800) % 8]}","host":"web-{int(draw * 50):03d}",'
        f'"status":{status},"bytes":{int(latency * 900)},"latency_ms":{latency:.3f},'
        f'"user_id":{int(chance.random() * 500_000)},"client_ip":"10.{int(chance.random() * 4)}.'
        f'{int(chance.random() * 256)}.{int(chance.random() * 256)}","http":{{"method":"{method}",'
        f'"path":"{path}","version":"1.1"}},"message":"{words} {method} {path} {status}"}}')


def index_plan() -> list[tuple[str, datetime.datetime, int, int]]:
    """Name, first time, seconds spanned, documents."""
    plan = [(f"logs-2024.03.{day:02d}", datetime.datetime(2024, 3, day), 86_400,
             DOCUMENTS * 8 // 100) for day in range(1, 11)]
    months = [DOCUMENTS // 15, DOCUMENTS // 15, DOCUMENTS // 5 - 2 * (DOCUMENTS // 15)]
    plan += [(f"logs-m-2024.{month:02d}", datetime.datetime(2024, month, 1), days * 86_400, count)
             for month, days, count in zip((1, 2, 3), (31, 29, 31), months)]
    return plan


class SearchNode:
    """The benchmark's own node; its data stay from run to run."""

    def __init__(self):
        FOLDER.mkdir(parents=True, exist_ok=True)
        self.folder = FOLDER / "search"
        self.address = self._call("start", KIND, str(self.folder)).split("://", 1)[1]
        self.version = self.call("GET", "/")["version"]["number"]
        self._ensure()

    @staticmethod
    def _call(*words: str) -> str:
        return subprocess.run(
            [str(REPOSITORY / "scripts" / "test-search"), *words], check=True, text=True,
            stdout=subprocess.PIPE, stdin=subprocess.DEVNULL,
            env={**os.environ, "BULKHAUL_SEARCH_HEAP_MB": str(HEAP_MB)},
        ).stdout.strip()

    def stop(self) -> None:
        """Ends the processes and leaves the data for the next run."""
        self._call("crash", str(self.folder))

    def call(self, method: str, path: str, body: str | None = None) -> dict:
        connection = http.client.HTTPConnection(self.address, timeout=600)
        try:
            connection.request(method, path, body.encode() if body else None,
                               {"Content-Type": "application/json"})
            answer = connection.getresponse()
            text = answer.read()
        finally:
            connection.close()
        if answer.status >= 300:
            raise RuntimeError(f"{method} {path}: HTTP {answer.status}: {text[:300]!r}")
        return json.loads(text)

    def _ensure(self) -> None:
        try:
            # The alias is set last: indices without it are what a broken-off run left.
            if self.call("GET", "/whole/_count")["count"] == DOCUMENTS:
                return
        except RuntimeError:
            pass
        say(f"loading {DOCUMENTS:,} log documents")
        chance = random.Random(1)
        number = 0
        free = threading.Semaphore(2 * LOADERS)
        with ThreadPoolExecutor(LOADERS) as pool:
            sent = []
            for index, begin, seconds, count in index_plan():
                try:
                    self.call("DELETE", f"/{index}")
                except RuntimeError:
                    pass
                self.call("PUT", f"/{index}", json.dumps(SETTINGS))
                step = seconds * 1000 / count
                lines: list[str] = []
                for position in range(count):
                    time = begin + datetime.timedelta(milliseconds=int(position * step))
                    lines += ['{"index":{}}',
                              log_line(chance, number, time.isoformat(timespec="milliseconds"))]
                    number += 1
                    if len(lines) == 2 * BULK_DOCUMENTS or position + 1 == count:
                        free.acquire()
                        future = pool.submit(self._bulk, index, "\n".join(lines) + "\n")
                        future.add_done_callback(lambda _: free.release())
                        sent.append(future)
                        lines = []
            for future in sent:
                future.result()
        self.call("POST", f"/{INDICES}/_refresh")
        self.call("POST", f"/{INDICES}/_forcemerge?max_num_segments=1")
        self.call("POST", f"/{INDICES}/_flush")
        self.call("PUT", f"/{INDICES}/_alias/whole")

    def _bulk(self, index: str, lines: str) -> None:
        done = self.call("POST", f"/{index}/_bulk?filter_path=errors,items.*.error", lines)
        if done["errors"]:
            raise RuntimeError(f"bulk load of {index}: {done['items'][0]}")
