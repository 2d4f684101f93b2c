"""Names of a search cluster that lead to indices by a detour: aliases of data streams, closed and
hidden indices."""

from __future__ import annotations

import pytest

from support import exports
from support.search import SearchError

PROPERTIES = {"@timestamp": {"type": "date"}, "seq": {"type": "long"}}


def documents(first: int, count: int = 10) -> list[dict]:
    return [{"@timestamp": 1709251200000 + number, "seq": number}
            for number in range(first, first + count)]


def sequence(out) -> list[int]:
    found = exports.query(exports.table_folders(out)[0], "SELECT seq FROM {rows} ORDER BY seq")
    return [row[0] for row in found]


def make_stream(node, name: str) -> list[str]:
    """A data stream of 20 documents in two backing indices, whose names it gives."""
    node.call("PUT", f"/_index_template/{name}", {
        "index_patterns": [name], "data_stream": {}, "priority": 500,
        "template": {"settings": {"number_of_replicas": 0},
                     "mappings": {"properties": PROPERTIES}}})
    node.bulk(name, documents(0))
    node.call("POST", f"/{name}/_rollover")
    node.bulk(name, documents(10))
    return node.call("GET", f"/_resolve/index/{name}")["data_streams"][0]["backing_indices"]


def add_alias(node, alias: str, *indices: str, **more) -> None:
    node.call("POST", "/_aliases", {"actions": [
        {"add": {"index": index, "alias": alias, **more}} for index in indices]})


def check_stream_aliases_filter(bulkhaul, node, folder) -> None:
    """The server keeps them by the stream, not by its backing indices; OpenSearch has none."""
    make_stream(node, "kept-a")
    make_stream(node, "kept-b")
    filtered = {"filter": {"range": {"seq": {"gte": 8, "lt": 12}}}}
    if not node.kind.startswith("elastic"):
        with pytest.raises(SearchError):
            add_alias(node, "some", "kept-a", **filtered)
        return
    add_alias(node, "some", "kept-a", **filtered)
    bulkhaul("copy", node.uri("some"), folder / "some")
    assert sequence(folder / "some") == [8, 9, 10, 11]
    # Each stream of an alias has a filter of its own.
    add_alias(node, "some", "kept-b", filter={"term": {"seq": 3}})
    bulkhaul("copy", node.uri("so*"), folder / "both", "--output-name", "t")
    assert sequence(folder / "both") == [3, 8, 9, 10, 11]
    bulkhaul("copy", node.uri("some,kept-b"), folder / "whole", "--output-name", "t")
    assert sequence(folder / "whole") == sorted([*range(20), 8, 9, 10, 11])
    add_alias(node, "all", "kept-a")
    bulkhaul("copy", node.uri("some,all"), folder / "all", "--output-name", "t")
    assert sequence(folder / "all") == sorted([*range(20), 3])
    # A stream that is excluded is excluded from its aliases too.
    bulkhaul("copy", node.uri("some"), folder / "out", "--exclude", "kept-a")
    assert sequence(folder / "out") == [3]


def check_closed_behind_names(bulkhaul, node, folder) -> None:
    """Closed indices are found wherever a name leads to them."""
    for number in (1, 2):
        node.create(f"cl-{number}", PROPERTIES)
        node.bulk(f"cl-{number}", documents(10 * number))
    add_alias(node, "cl-all", "cl-1", "cl-2")
    add_alias(node, "cl-shut", "cl-2")
    node.call("POST", "/cl-2/_close")
    backing = make_stream(node, "cl-stream")
    node.call("POST", f"/{backing[0]}/_close")
    for path, closed, left in (("cl-1*,cl-2*,cl-a*", "cl-2", range(10, 20)),
                               ("cl-all", "cl-2", range(10, 20)),
                               ("cl-stream", backing[0], range(10, 20)),
                               ("cl-st*", backing[0], range(10, 20))):
        refused = bulkhaul("copy", node.uri(path), folder / "no", code=2)
        assert f"1 index is closed and cannot be read: {closed};" in refused.err, path
        assert "closed_indices: skip" in refused.err
        out = folder / path.replace("*", "x")
        done = bulkhaul("copy", node.uri(path + "?closed_indices=skip"), out)
        assert f"left out because closed: {closed}\n" in done.err, path
        assert sequence(out) == list(left)
    refused = bulkhaul("copy", node.uri("cl-shut?closed_indices=skip"), folder / "no", code=2)
    assert "leaves nothing to read: cl-2" in refused.err
    assert exports.visible(folder / "no") == []
    bulkhaul("copy", node.uri("cl-all,-cl-2"), folder / "minus", "--output-name", "t")
    assert sequence(folder / "minus") == list(range(10, 20))
    for index in ("cl-2", backing[0]):
        node.call("POST", f"/{index}/_open")


def check_hidden_names(bulkhaul, node, folder) -> None:
    """A wildcard leaves hidden indices out, and the report says so."""
    for number in (1, 2, 4):
        node.create(f"hid-2024.03.{number:02}", PROPERTIES, **{"index.hidden": number == 2})
        node.bulk(f"hid-2024.03.{number:02}", documents(10 * number))
    add_alias(node, "hid-alias", "hid-2024.03.01", is_hidden=True)
    note = "left out because hidden, which a wildcard does not name: hid-2024.03.02\n"
    gap = "no index for 1 of the dates asked for: hid-2024.03.03\n"
    for out, path in (("wildcard", "hid-*"), ("dated", "hid-%Y.%m.%d")):
        done = bulkhaul("copy", node.uri(path), folder / out)
        assert note in done.err and gap in done.err
        assert sequence(folder / out) == [*range(10, 20), *range(40, 50)]
        done = bulkhaul("copy", node.uri(path), folder / (out + "-out"), "--exclude", "*.02")
        assert "hidden" not in done.err and gap in done.err
    done = bulkhaul("copy", node.uri("hid-*,hid-2024.03.02"), folder / "all", "--output-name", "t")
    assert "hidden" not in done.err and gap in done.err
    assert sequence(folder / "all") == [*range(10, 30), *range(40, 50)]
    refused = bulkhaul("copy", node.uri("hid-*.02"), folder / "no", code=2)
    assert "matches hidden names only, which a wildcard leaves out: hid-2024.03.02;" in refused.err
