"""What the settings of a cluster or of an index forbid: done in another way, or refused in time."""

from __future__ import annotations

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
