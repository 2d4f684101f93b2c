"""Jobs that keep rows between them, over an index of a few days."""

from __future__ import annotations

import datetime
import json

from support import exports

DAY = datetime.timedelta(days=1)
START = datetime.datetime(2024, 3, 1)
PER_DAY = 300
DAYS = 5
PROPERTIES = {"@timestamp": {"type": "date"}, "seq": {"type": "long"},
              "level": {"type": "keyword"}}
SLICED = ("--slice", "day")


def document(number: int, time: datetime.datetime | None = None) -> dict:
    time = time or START + number * DAY / PER_DAY
    return {"_id": str(number), "@timestamp": time.isoformat(timespec="milliseconds") + "Z",
            "seq": number, "level": ("INFO", "ERROR")[number % 2]}


class CachedJobs:
    """Runs jobs with one cache."""

    def __init__(self, bulkhaul, folder):
        self.bulkhaul = bulkhaul
        self.folder = folder
        self.cache = folder / "cache"
        self.number = 0

    def words(self, uri, *words) -> list:
        self.number += 1
        self.out = self.folder / f"out{self.number}"
        self.report = self.folder / f"report{self.number}.json"
        return ["copy", uri, self.out, "--cache", "--cache-dir", self.cache, "--report",
                self.report, *words]

    def __call__(self, uri, *words) -> dict:
        """What the report says of the cache."""
        self.outcome = self.bulkhaul(*self.words(uri, *words))
        return json.loads(self.report.read_text())["cache"]

    def rows(self, sql="SELECT seq, level FROM {rows} ORDER BY seq, level") -> list:
        return exports.query(exports.table_folders(self.out)[0], sql)

    def entries(self) -> list[dict]:
        return self.bulkhaul("cache", "ls", "--cache-dir", self.cache, "--output",
                             "json").json["entries"]

    def files(self) -> list:
        return sorted(self.cache.glob("*.rows"))


def on_server(node, index) -> list[tuple]:
    found = node.call("POST", f"/{index}/_search", {"size": 10_000, "sort": ["seq", "level"]})
    return [(hit["_source"]["seq"], hit["_source"]["level"]) for hit in found["hits"]["hits"]]


def check_changes_are_seen(jobs: CachedJobs, node, shards: int) -> None:
    """Whatever is written to an index, exactly the slices that it concerns are read again."""
    index = f"changes-{shards}"
    node.create(index, PROPERTIES, number_of_shards=shards)
    node.bulk(index, [document(number) for number in range(PER_DAY * DAYS)])
    jobs(node.uri(index), *SLICED)
    late = PER_DAY * DAYS
    moved = PER_DAY // 2
    changes = {
        "an update": (lambda: node.bulk(index, [{**document(400), "level": "FATAL"}],
                                        verb="index"), 1),
        "a delete": (lambda: node.call("DELETE", f"/{index}/_doc/700?refresh=true"), 1),
        "a late document": (lambda: node.bulk(index, [document(late, START + DAY / 2)]), 1),
        "a document that moves": (lambda: node.bulk(
            index, [document(moved, START + 3 * DAY + DAY / 3)], verb="index"), 2),
        "one goes and one comes": (lambda: (
            node.call("DELETE", f"/{index}/_doc/1100"),
            node.bulk(index, [document(late + 1, START + 3.5 * DAY)])), 1),
        "a document without a time": (lambda: node.bulk(
            index, [{"_id": "x", "seq": 7, "level": "NONE"}]), 1),
        "a new mapping": (lambda: node.call(
            "PUT", f"/{index}/_mapping", {"properties": {"more": {"type": "long"}}}), DAYS + 1),
    }
    for what, (change, concerned) in changes.items():
        change()
        seen = jobs(node.uri(index), *SLICED)
        assert seen["misses"] == concerned, (what, seen)
        assert jobs.rows() == on_server(node, index), what
        assert jobs(node.uri(index), *SLICED)["hit_rate"] == 1, what
    node.call("POST", f"/{index}/_forcemerge?max_num_segments=1")
    assert jobs(node.uri(index), *SLICED)["hit_rate"] == 1, "a merge changes no document"
    node.drop(index)
    node.create(index, PROPERTIES, number_of_shards=shards)
    node.bulk(index, [document(number) for number in range(PER_DAY * DAYS)])
    assert jobs(node.uri(index), *SLICED)["hits"] == 0, "another index of the same name"
    node.drop(index)
