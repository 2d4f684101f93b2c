"""What the settings of a cluster or of an index forbid: done in another way, or refused in time."""

from __future__ import annotations

import json
import os

import pytest

from support import exports
from support.search import SearchNode
from support.search_cache import PROPERTIES, CachedJobs, check_changes_are_seen
from support.search_proxy import SearchProxy

# $BULKHAUL_TEST_SEARCH_KINDS: further kinds, separated by commas.
KINDS = os.environ.get("BULKHAUL_TEST_SEARCH_KINDS", "opensearch-3").split(",")
DOCUMENTS = 900


@pytest.fixture(scope="module", params=KINDS)
def node(request):
    """As where a proxy decides by the path who may read which index."""
    made = SearchNode(request.param, "rest.action.multi.allow_explicit_index=false")
    yield made
    made.stop()


@pytest.fixture
def index(node):
    """Makes indices of numbered documents that end with the test."""
    made = []

    def make(name: str, properties: dict = PROPERTIES, documents: int = DOCUMENTS,
             **settings) -> str:
        node.create(name, properties, **settings)
        made.append(name)
        node.bulk(name, [{"@timestamp": 1709251200000 + 1000 * number, "seq": number}
                         for number in range(documents)])
        return node.uri(name)

    yield make
    for name in made:
        node.drop(name)


def sequence(out) -> list[int]:
    return sorted(exports.read(exports.table_folders(out)[0])["seq"].to_pylist())


def test_indices_may_be_named_in_the_path_alone(bulkhaul, node, index, tmp_path):
    for name in ("path-a", "path-b", "path-c"):
        index(name)
    with SearchProxy(node.address) as proxy:
        bulkhaul("copy", proxy.uri("path-*?gte=2024-03-01T00:05&lt=2024-03-01T00:10"),
                 tmp_path / "out", "--slice", "1m", "--output-name", "t")
        assert proxy.requests.count("POST /_msearch") == 1, "asked once, and remembered"
    assert sequence(tmp_path / "out") == sorted([*range(300, 600)] * 3)


def test_kept_rows_where_indices_are_named_in_the_path_alone(bulkhaul, node, tmp_path):
    check_changes_are_seen(CachedJobs(bulkhaul, tmp_path), node, shards=2)


@pytest.mark.parametrize("window", [1000, 100, 1])
def test_pages_are_no_larger_than_the_index_allows(bulkhaul, node, index, tmp_path, window):
    documents = min(3 * window, 2500) if window > 1 else 30
    uri = index("window", documents=documents, **{"index.max_result_window": window})
    report = tmp_path / "report.json"
    with SearchProxy(node.address) as proxy:
        bulkhaul("copy", proxy.uri("window"), tmp_path / "out", "--report", report)
        pages = [json.loads(body)["size"] for line, body in zip(proxy.requests, proxy.bodies)
                 if "/window/_search?scroll" in line]
    assert pages == [window] and sequence(tmp_path / "out") == list(range(documents))
    said = (f"pages of window have {window:,} documents at most, not 5,000 (page_documents): the "
            "index allows no more (index.max_result_window)")
    assert said in json.loads(report.read_text())["warnings"][0]
    assert said in bulkhaul("plan", uri, tmp_path / "out").out
    smaller = bulkhaul("copy", uri, tmp_path / "small", "--page-documents", "1")
    assert "max_result_window" not in smaller.err + smaller.out


def test_a_window_that_no_page_fills_is_not_spoken_of(bulkhaul, index, tmp_path):
    uri = index("roomy", documents=50, **{"index.max_result_window": 100})
    done = bulkhaul("copy", uri, tmp_path / "out")
    assert "max_result_window" not in done.err + done.out
    assert sequence(tmp_path / "out") == list(range(50))


def test_a_scroll_that_would_be_kept_for_too_long_names_its_option(bulkhaul, node, index,
                                                                   tmp_path):
    uri = index("short")
    with node.cluster_settings({"search.max_keep_alive": "1m", "search.default_keep_alive": "30s"}):
        refused = bulkhaul("copy", uri, tmp_path / "out", "--job-id", "job", code=1)
        assert "It must be less than (1m)" in refused.err
        assert "choose a shorter scroll_keep_alive" in refused.err
        bulkhaul("resume", "job", "--scroll-keep-alive", "1m")
    assert sequence(tmp_path / "out") == list(range(DOCUMENTS))


def test_doc_values_of_too_many_fields_are_refused_when_they_are_planned(bulkhaul, index,
                                                                         tmp_path):
    fields = {"seq": {"type": "long"}, "@timestamp": {"type": "date"},
              **{f"f{number}": {"type": "long"} for number in range(100)}}
    uri = index("wide", fields, documents=10)
    index("narrow", fields, documents=10, **{"index.max_docvalue_fields_search": 2})
    for verb in ("plan", "copy"):
        refused = bulkhaul(verb, uri, tmp_path / "out", "--fetch", "doc_values", code=2)
        assert "would ask for 102 fields, and index wide gives 100 at most" in refused.err
    narrow = uri.replace("wide", "narrow")
    refused = bulkhaul("copy", narrow, tmp_path / "no", "--fetch", "doc_values", "--fields",
                       "seq,f1,f2", code=2)
    assert "would ask for 3 fields, and index narrow gives 2 at most" in refused.err
    for fetch, chosen in (("doc_values", "seq,f1"), ("auto", "seq,f1,f2")):
        bulkhaul("copy", narrow, tmp_path / fetch, "--fetch", fetch, "--fields", chosen)
        assert sequence(tmp_path / fetch) == list(range(10))
