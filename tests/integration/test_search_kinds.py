"""OpenSearch 2 and Elasticsearch 8: types, silent loss, resume, contexts, kept rows. The other files
have the whole, against OpenSearch 3; `make test-all` runs them against these servers too."""

from __future__ import annotations

import json
import os
import signal

import pytest

from support import exports, faults
from support.search import SearchNode
from support.search_cache import CachedJobs, check_changes_are_seen
from support.search_jobs import NEXT_PAGE, sequence, words
from support.search_names import (
    check_closed_behind_names, check_hidden_names, check_stream_aliases_filter,
)
from support.search_proxy import SearchProxy
from support.search_times import check_one_sided_ranges
from support.search_types import check_doc_values, check_every_type, check_week_formats

DOCUMENTS = 3000
KINDS = os.environ.get("BULKHAUL_TEST_SEARCH_OTHER_KINDS", "opensearch-2,elasticsearch-8")
PROPERTIES = {"@timestamp": {"type": "date"}, "seq": {"type": "long"}}


@pytest.fixture(scope="module", params=KINDS.split(","))
def node(request):
    """One after the other, so that one at a time has its memory."""
    made = SearchNode(request.param)
    for name, first in (("logs-a", 0), ("logs-b", DOCUMENTS)):
        made.create(name, PROPERTIES)
        made.bulk(name, [{"@timestamp": 1709251200000 + 1000 * number, "seq": number}
                         for number in range(first, first + DOCUMENTS)])
    yield made
    made.stop()


@pytest.fixture
def proxy(node):
    with SearchProxy(node.address) as made:
        yield made


def test_every_field_type(bulkhaul, node, tmp_path):
    known = check_every_type(bulkhaul, node, tmp_path / "out")
    assert ("dense_vector" if node.kind.startswith("elastic") else "flat_object") in known


def test_doc_values(bulkhaul, node, tmp_path):
    check_doc_values(bulkhaul, node, tmp_path)


def test_dates_by_weeks(bulkhaul, node, tmp_path):
    check_week_formats(bulkhaul, node, tmp_path)


def test_fields_that_are_not_in_the_document(bulkhaul, node, tmp_path):
    """Aliases, with several values too; on Elasticsearch also runtime, lookup and passthrough."""
    properties = {"uid": {"type": "keyword"}, "same": {"type": "alias", "path": "uid"}}
    mappings: dict = {"properties": properties}
    if elastic := node.kind.startswith("elastic"):
        node.create("users", {"id": {"type": "keyword"}, "name": {"type": "keyword"}})
        node.bulk("users", [{"id": "1", "name": "Ada"}, {"id": "2", "name": "Bob"}])
        mappings["runtime"] = {"plain": {"type": "long"}, "who": {
            "type": "lookup", "target_index": "users", "input_field": "uid", "target_field": "id",
            "fetch_fields": ["name"]}}
        properties["attributes"] = {"type": "passthrough", "priority": 10, "properties": {
            "host": {"type": "keyword"}}}
    node.call("PUT", "/lent", {"settings": {"number_of_replicas": 0}, "mappings": mappings})
    node.bulk("lent", [{"uid": "1", "plain": 5, "attributes": {"host": "h"}},
                       {"uid": ["1", "2"]}, {"uid": "9", "attributes.host": "i"}])
    bulkhaul("copy", node.uri("lent"), tmp_path / "out")
    rows = sorted(exports.read(tmp_path / "out" / "lent").to_pylist(), key=lambda row: row["uid"])
    assert [row["same"] for row in rows] == [["1"], ["1", "2"], ["9"]]
    if elastic:
        assert [row["plain"] for row in rows] == [5, None, None]
        assert [row["attributes.host"] for row in rows] == ["h", None, "i"]
        assert [row["who"] and json.loads(row["who"]) for row in rows] == [
            {"name": ["Ada"]}, [{"name": ["Ada"]}, {"name": ["Bob"]}], None]


def test_names_of_fields_that_other_names_begin_with(bulkhaul, node, tmp_path):
    """Only Elasticsearch has such fields: `subobjects: false`."""
    if not node.kind.startswith("elastic"):
        return
    for kind in ("long", "integer"):  # the server filters documents of integers
        name = f"dots-{kind}"
        node.call("PUT", f"/{name}", {"settings": {"number_of_replicas": 0}, "mappings": {
            "subobjects": False, "properties": {
                field: {"type": kind} for field in ("a", "a.b", "c")}}})
        node.bulk(name, [{"a": 1, "a.b": 2, "c": 3}, {"a": 4}, {"a": {"b": 5}}])

        def rows(*words):
            out = tmp_path / "_".join((name, *words))
            bulkhaul("copy", node.uri(name), out, *words)
            found = exports.read(out / name)
            return found.column_names, sorted(map(str, found.to_pylist()))

        whole = rows()[0]
        assert whole == ["a", "a.b", "c"]
        below = ["{'a.b': 2}", "{'a.b': 5}", "{'a.b': None}"]
        assert rows("--fields", "a.b") == (["a.b"], below)
        assert rows("--columns", "a.b") == (["a.b"], below)
        assert rows("--exclude-fields", "a,c") == (["a.b"], below)
        alone = ["{'a': 1}", "{'a': 4}", "{'a': None}"]
        assert rows("--fields", "a") == (["a"], alone)
        assert rows("--exclude-fields", "a.b,c") == (["a"], alone)


def test_ranges_and_slices(bulkhaul, node, tmp_path):
    bulkhaul(*words(node.uri("logs-*?gte=2024-03-01T00:10&lt=2024-03-01T01:00"), tmp_path / "out",
                    "--unit-rows", "200", "--workers", "4"))
    assert sequence(tmp_path / "out") == list(range(600, 3600))


def test_an_upper_bound_alone_can_be_cut(bulkhaul, node, tmp_path):
    check_one_sided_ranges(bulkhaul, node, tmp_path)


def test_an_alias_of_data_streams_shows_what_its_filter_lets_pass(bulkhaul, node, tmp_path):
    check_stream_aliases_filter(bulkhaul, node, tmp_path)


def test_closed_indices_behind_aliases_and_data_streams_do_not_vanish(bulkhaul, node, tmp_path):
    check_closed_behind_names(bulkhaul, node, tmp_path)


def test_hidden_indices_do_not_vanish(bulkhaul, node, tmp_path):
    check_hidden_names(bulkhaul, node, tmp_path)


@pytest.mark.parametrize("kind", ["lose", "cut", 429])
def test_a_lost_page(bulkhaul, node, proxy, tmp_path, kind):
    proxy.inject(kind, NEXT_PAGE, skip=2)
    bulkhaul(*words(proxy.uri("logs-*"), tmp_path / "out"))
    assert proxy.faults_done == 1 and "GET /" not in proxy.requests
    assert sequence(tmp_path / "out") == list(range(2 * DOCUMENTS))
    assert node.has_no_scroll_soon()


def test_contexts_that_are_gone(bulkhaul, node, proxy, tmp_path):
    proxy.inject(node.forget_scrolls, NEXT_PAGE, skip=2)
    bulkhaul(*words(proxy.uri("logs-*"), tmp_path / "out"))
    assert proxy.faults_done == 1
    assert sequence(tmp_path / "out") == list(range(2 * DOCUMENTS))


def test_an_unassigned_shard_and_a_missing_index(bulkhaul, node, tmp_path):
    node.call("PUT", "/red?wait_for_active_shards=0", {
        "settings": {"number_of_replicas": 0, "number_of_shards": 2,
                     "index.routing.allocation.require._name": "nobody"},
        "mappings": {"properties": PROPERTIES}})
    try:
        done = bulkhaul(*words(node.uri("red"), tmp_path / "out", "--retries", "0"), code=None)
        assert done.code != 0 and "red" in done.err and "shard" in done.err
    finally:
        node.call("DELETE", "/red")
    done = bulkhaul("copy", node.uri("lgos-*"), tmp_path / "out", code=None)
    assert done.code != 0 and "matches no index" in done.err
    assert exports.visible(tmp_path / "out") == []


def test_contexts_are_too_many(bulkhaul, node, tmp_path):
    with node.cluster_settings({"search.max_open_scroll_context": 1}):
        node.call("POST", "/logs-a/_search?scroll=1m", {"size": 1})
        done = bulkhaul(*words(node.uri("logs-a"), tmp_path / "out", "--retries", "1"), code=None)
        assert done.code != 0 and "max_open_scroll_context" in done.err
        node.forget_scrolls()
        bulkhaul("resume", "job")
    assert sequence(tmp_path / "out") == list(range(DOCUMENTS))


def test_killed_resumed_and_what_changed_is_read_again(bulkhaul, node, tmp_path):
    node.create("live", PROPERTIES)
    node.bulk("live", [{"@timestamp": 1709251200000 + number, "seq": number, "_id": str(number)}
                       for number in range(500)])
    killed = bulkhaul(*words(node.uri("live,logs-a"), tmp_path / "out", "--output-name", "t",
                             "--unit-rows", "100", "--workers", "1"),
                      env={"BULKHAUL_CRASH_AT": "ledger.unit_done#20"}, code=None)
    assert killed.code == -signal.SIGKILL
    node.call("DELETE", "/live/_doc/3?refresh=true")
    done = bulkhaul("resume", "job")
    assert "read again, because live changed" in done.err
    assert sequence(tmp_path / "out") == sorted([*range(DOCUMENTS), *({*range(500)} - {3})])
    node.forget_scrolls()


def test_a_stop_closes_contexts(bulkhaul, node, tmp_path):
    process = bulkhaul.start(*words(node.uri("logs-*"), tmp_path / "out", "--documents-per-second",
                                    "100", "--workers", "2"))
    faults.wait_until(lambda: node.open_scrolls() == 2, what="the scrolls")
    process.send_signal(signal.SIGINT)
    assert bulkhaul.finish(process).code == 130
    assert node.has_no_scroll_soon()


def test_kept_rows_are_those_of_the_server(bulkhaul, node, tmp_path):
    """Counts and highest _seq_no, shard by shard, tell updates and deletes on these servers too."""
    check_changes_are_seen(CachedJobs(bulkhaul, tmp_path), node, shards=3)
