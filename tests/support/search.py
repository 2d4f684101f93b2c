"""A real OpenSearch or Elasticsearch node, and what tests ask of it."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent.parent
TEST_SEARCH = REPOSITORY / "scripts" / "test-search"
QUICK = {"BULKHAUL_SEARCH_QUICK": "1", "BULKHAUL_SEARCH_HEAP_MB": "512"}
START_SECONDS_MAX = 600  # the first start also gets the server from Maven Central


class SearchError(Exception):
    def __init__(self, status: int, body: str):
        super().__init__(f"HTTP {status}: {body[:500]}")
        self.status = status
        self.body = body


class SearchNode:
    """A throw-away node; it dies with the test process at the latest."""

    def __init__(self, kind: str = "opensearch-3", *settings: str):
        self.kind = kind
        self._parent = tempfile.mkdtemp(prefix="bulkhaul-search-")
        os.chmod(self._parent, 0o755)  # the server runs as another user when we are root
        self.folder = pathlib.Path(self._parent) / "node"
        self.http = self._run("start", "--owner", str(os.getpid()), kind, str(self.folder),
                              *settings)

    @staticmethod
    def _run(*words: str) -> str:
        done = subprocess.run(
            [str(TEST_SEARCH), *words], capture_output=True, text=True, timeout=START_SECONDS_MAX,
            stdin=subprocess.DEVNULL, env={**QUICK, **os.environ},
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    @property
    def address(self) -> str:
        return self.http.split("://", 1)[1]

    def uri(self, path: str = "", scheme: str = "opensearch") -> str:
        return f"{scheme}://{self.address}/{path}"

    def call(self, method: str, path: str, body=None, timeout: float = 120):
        if isinstance(body, str):
            data = body.encode()
        else:
            data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            self.http + path, data, {"Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=timeout) as answer:
                return json.loads(answer.read())
        except urllib.error.HTTPError as error:
            raise SearchError(error.code, error.read().decode(errors="replace")) from None

    def create(self, index: str, properties: dict | None = None, **settings) -> None:
        body: dict = {"settings": {"number_of_replicas": 0, **settings}}
        if properties is not None:
            body["mappings"] = {"properties": properties}
        self.call("PUT", f"/{index}", body)

    def bulk(self, index: str, documents, refresh: bool = True, verb: str = "create") -> None:
        """Documents are dicts; "_id" and "_routing" in them are the document's own."""
        lines = []
        for document in documents:
            document = dict(document)
            action = {key: document.pop(name) for name, key in
                      (("_id", "_id"), ("_routing", "routing")) if name in document}
            lines.append(json.dumps({verb: action}) + "\n" + json.dumps(document) + "\n")
        for begin in range(0, len(lines), 5000):
            done = self.call("POST", f"/{index}/_bulk", "".join(lines[begin:begin + 5000]))
            assert not done["errors"], [item for item in done["items"]][:3]
        if refresh:
            self.call("POST", f"/{index}/_refresh")

    def change_settings(self, settings: dict) -> None:
        """Of the cluster; None takes a setting back."""
        self.call("PUT", "/_cluster/settings", {"transient": settings})

    @contextlib.contextmanager
    def cluster_settings(self, settings: dict):
        self.change_settings(settings)
        try:
            yield
        finally:
            self.change_settings(dict.fromkeys(settings))

    def drop(self, pattern: str) -> None:
        for index in self.call("GET", f"/_resolve/index/{pattern}?expand_wildcards=all")["indices"]:
            if "data_stream" not in index:
                self.call("DELETE", f"/{index['name']}")

    def open_scrolls(self) -> int:
        nodes = self.call("GET", "/_nodes/stats/indices/search")["nodes"]
        return sum(node["indices"]["search"]["open_contexts"] for node in nodes.values())

    def has_no_scroll_soon(self) -> bool:
        """What a client closed before it ended may still be on its way; long before a context would
        end with its keep-alive of five minutes."""
        deadline = time.monotonic() + 60
        while self.open_scrolls() > 0:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True

    def forget_scrolls(self) -> None:
        """Those that a killed program has left to their keep-alive."""
        self.call("DELETE", "/_search/scroll/_all")

    def crash(self) -> None:
        self._run("crash", str(self.folder))

    def start(self) -> None:
        """Brings a crashed node back, on the same port."""
        self._run("start", self.kind, str(self.folder))

    def stop(self) -> None:
        if self.folder.exists():
            self._run("stop", str(self.folder))
        shutil.rmtree(self._parent, ignore_errors=True)
