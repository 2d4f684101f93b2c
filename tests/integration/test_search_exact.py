"""What users ask of a search index and get exactly: values, bounds, names, rates. One node."""

from __future__ import annotations

import json

import pytest

from support import exports
from support.search import SearchNode


@pytest.fixture(scope="module")
def node():
    made = SearchNode("opensearch-3")
    yield made
    made.stop()


@pytest.fixture
def index(node, request):
    """Makes indices that end with the test."""
    made = []

    def make(name: str, mappings: dict, documents=(), **settings) -> str:
        node.call("PUT", f"/{name}", {"settings": {"number_of_replicas": 0, **settings},
                                      "mappings": mappings})
        made.append(name)
        if documents:
            # JSON text keeps numbers as they are written.
            lines = [f'{{"create":{{}}}}\n{document}\n' for document in (
                one if isinstance(one, str) else json.dumps(one) for one in documents)]
            assert not node.call("POST", f"/{name}/_bulk?refresh=true", "".join(lines))["errors"]
        return node.uri(name)

    yield make
    for name in made:
        node.call("DELETE", f"/{name}")


def table(destination):
    return exports.read(exports.table_folders(destination)[0])


@pytest.mark.parametrize("words", [
    [], ["--columns", "a,_extra"], ["--fields", "a"], ["--exclude-fields", "b"]], ids=" ".join)
def test_extra_is_there_whatever_is_chosen(bulkhaul, index, tmp_path, words):
    uri = index("ext", {"dynamic": False, "properties": {"a": {"type": "long"},
                                                         "b": {"type": "long"}}},
                [{"a": 1, "b": 2, "z": 5}])
    bulkhaul("copy", uri, tmp_path / "out", "--extra", *words)
    assert table(tmp_path / "out")["_extra"].to_pylist() == ['{"z":5}']


@pytest.mark.parametrize("words", [
    ["--fields", "id,note,j,t"], ["--columns", "id,note,j,t"], ["--exclude-fields", "other"]],
    ids=lambda words: words[0])
def test_chosen_fields_have_the_values_of_the_document(bulkhaul, index, tmp_path, words):
    uri = index("fk", {"properties": {
        "id": {"type": "keyword"}, "note": {"type": "text"}, "j": {"type": "object", "enabled": False},
        "t": {"type": "date", "format": "epoch_second"}, "other": {"type": "long"}}}, [
        '{"id":1234567890.12345678901,"note":1.10,"j":{"z":1.50,"a":1e2},"t":1709251200.123456,'
        '"other":1}',
        '{"id":0.00001,"note":12345678901234567890.5,"j":{"y":[0.10],"x":{}},"t":1,"other":2}'])
    bulkhaul("copy", uri, tmp_path / "plain")
    bulkhaul("copy", uri, tmp_path / "out", *words)
    chosen = table(tmp_path / "out").sort_by("id")
    assert chosen["id"].to_pylist() == ["0.00001", "1234567890.12345678901"]
    assert chosen["note"].to_pylist() == ["12345678901234567890.5", "1.10"]
    assert chosen["j"].to_pylist()[1] == '{"z":1.50,"a":1e2}'
    whole = table(tmp_path / "plain").sort_by("id")
    assert chosen.to_pylist() == whole.select(chosen.column_names).to_pylist()


def test_fields_that_begin_with_an_underscore(bulkhaul, index, tmp_path):
    uri = index("us", {"properties": {
        "_x": {"type": "long"}, "a": {"type": "long"},
        "_o": {"properties": {"p": {"type": "long"}}}}}, [{"_x": 7, "a": 1, "_o": {"p": 3}}])
    bulkhaul("copy", uri, tmp_path / "out", "--columns", "_o.p,a,_x,_index")
    assert table(tmp_path / "out").to_pylist() == [{"_o.p": 3, "a": 1, "_x": 7, "_index": "us"}]
    bulkhaul("copy", uri, tmp_path / "sum", "--group-by", "_x", "--aggregates", "sum(_o.p)")
    assert table(tmp_path / "sum").to_pylist() == [{"_x": 7, "sum__o.p": 3}]


def test_unknown_metadata_columns_are_refused(bulkhaul, index, tmp_path):
    uri = index("md", {"properties": {"a": {"type": "long"}}}, [{"a": 1}])
    for name, said in (("_ids", "did you mean '_id'"), ("_score", "'_score' is none of _id")):
        refused = bulkhaul("copy", uri, tmp_path / "out", "--metadata-columns", name, code=2)
        assert said in refused.err


NANOS = ["2024-02-29T23:59:59.999Z", "2024-02-29T23:59:59.999999999Z",
         "2024-03-01T00:00:00.000000001Z", "2024-03-01T23:59:59.9999Z"]


@pytest.mark.parametrize("bounds", [
    {"gt": "2024-02-29T23:59:59.999Z"}, {"lte": "2024-02-29T23:59:59.999Z"},
    {"lte": "2024-03-01T23:59:59.999"}, {"gt": "2024-02-29"}, {"lte": "2024-02-29"},
    {"lte": "2024-02-29T23:59:59"}, {"gt": "2024-02-29||/d"}, {"lte": "2024-02-29||/d"},
    {"gte": "2024-02-29T23:59:59.999999999Z", "lt": "2024-03-01T23:59:59.9999Z"},
    {"gt": "2024-02-29T23:59:59.999999999Z", "lte": "2024-03-01T23:59:59.9999Z"},
    {"lte": "1709251199999"}, {"gt": "1709251199999"}, {"gte": "2024-03-01", "lt": "2024-03-02"},
    {"gt": "2024-02-29T23:59:59.999Z", "time_zone": "-00:01"},
], ids=str)
def test_bounds_of_nanoseconds_mean_what_they_mean_on_the_server(bulkhaul, node, index, tmp_path,
                                                                 bounds):
    uri = index("nano", {"properties": {"t": {"type": "date_nanos"}}}, [{"t": t} for t in NANOS])
    words = [word for name, value in bounds.items()
             for word in ("--" + name.replace("_", "-"), value)]
    counted = node.call("POST", "/nano/_count", {"query": {"range": {"t": bounds}}})["count"]
    for more in ([], ["--slice", "hour"]):
        out = tmp_path / ("out" + "".join(more))
        bulkhaul("copy", uri, out, "--time", "t", *words, *more)
        assert table(out).num_rows == counted


def test_finer_bounds_than_the_field_are_refused(bulkhaul, node, index, tmp_path):
    index("both-nanos", {"properties": {"t": {"type": "date_nanos"}}}, [{"t": t} for t in NANOS])
    index("both-millis", {"properties": {"t": {"type": "date"}}}, [{"t": t} for t in NANOS])
    uri = node.uri("both-*")
    refused = bulkhaul("copy", uri, tmp_path / "no", "--time", "t", "--gt",
                       "2024-02-29T23:59:59.9991", code=2)
    assert "exact to the millisecond" in refused.err and "both-millis" in refused.err
    bounds = {"gt": "2024-02-29T23:59:59.999"}
    counted = node.call("POST", "/both-*/_count", {"query": {"range": {"t": bounds}}})["count"]
    bulkhaul("copy", uri, tmp_path / "out", "--time", "t", "--gt", bounds["gt"], "--output-name", "t")
    assert table(tmp_path / "out").num_rows == counted == 5
