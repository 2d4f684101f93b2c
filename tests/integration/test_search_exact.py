"""What users ask of a search index and get exactly: values, bounds, names, rates. One node."""

from __future__ import annotations

import json
import time

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


def test_caps_hold_for_all_workers_together(bulkhaul, node, index, tmp_path):
    """What is let through at once is one page of each worker: it never takes less than this."""
    for number in range(8):
        index(f"rate-{number}", {"properties": {"a": {"type": "long"}}},
              [{"a": n} for n in range(400)])
    begin = time.monotonic()
    bulkhaul("copy", node.uri("rate-*"), tmp_path / "out", "--workers", "8",
             "--documents-per-second", "1600")
    assert time.monotonic() - begin > 1.7
    assert table(tmp_path / "out").num_rows == 3200


@pytest.mark.parametrize("slice", ["3x", "0", "1w"])
def test_wrong_slices_are_refused_when_they_are_planned(bulkhaul, index, tmp_path, slice):
    uri = index("sl", {"properties": {"@timestamp": {"type": "date"}}}, [{"@timestamp": 1}])
    for verb in ("plan", "copy"):
        assert "neither auto" in bulkhaul(verb, uri, tmp_path / "out", "--slice", slice, code=2).err


def units_of(bulkhaul, uri, out, *words) -> int:
    report = out.parent / f"{out.name}.json"
    bulkhaul("copy", uri, out, "--report", report, *words)
    return json.loads(report.read_text())["totals"]["units"]


def test_stray_documents_do_not_make_slices_of_nothing(bulkhaul, node, index, tmp_path):
    day = 1709251200000  # 2024-03-01
    times = [0, *(day + 900_000 * n for n in range(20))]
    uri = index("stray", {"properties": {"@timestamp": {"type": "date"}}},
                [{"@timestamp": at} for at in times])
    # Each slice with documents, and those without a time.
    assert units_of(bulkhaul, uri, tmp_path / "quarter", "--slice", "15m") == 21 + 1
    assert units_of(bulkhaul, uri, tmp_path / "day", "--slice", "day") == 2 + 1
    for out in ("quarter", "day"):
        assert table(tmp_path / out).num_rows == len(times)
    some = ["--gte", "1970-01-01T00:00:00.001Z", "--lt", "2024-03-01T02:10"]
    assert units_of(bulkhaul, uri, tmp_path / "some", "--slice", "hour", *some) == 3
    assert table(tmp_path / "some").num_rows == 9
    # Kept slices are the same ones for a job that takes fewer of them.
    cached = ["--slice", "hour", "--cache", "--cache-dir", tmp_path / "cache"]
    bulkhaul("copy", uri, tmp_path / "all", *cached)
    report = tmp_path / "hits.json"
    bulkhaul("copy", uri, tmp_path / "less", *cached, "--gte", "2024-03-01T01:00", "--report",
             report)
    assert json.loads(report.read_text())["cache"]["hit_rate"] == 1.0
    assert table(tmp_path / "less").num_rows == 16


def test_too_many_slices_are_refused_when_they_are_planned(bulkhaul, index, tmp_path):
    uri = index("many", {"properties": {"@timestamp": {"type": "date"}}},
                [{"@timestamp": 2000 * n} for n in range(10_001)])
    for verb in ("plan", "copy"):
        refused = bulkhaul(verb, uri, tmp_path / "out", "--slice", "1s", code=2)
        assert "more than 10000 units" in refused.err


def test_an_index_without_a_mapping(bulkhaul, node, index, tmp_path):
    uri = index("unmapped", {})
    for verb in ("plan", "copy"):
        assert "unmapped" in bulkhaul(verb, uri, tmp_path / "out", code=2).err
    index("mapped", {"properties": {"a": {"type": "long"}}}, [{"a": 1}])
    done = bulkhaul("copy", node.uri(), tmp_path / "out")
    assert "left out because empty and without a mapping: unmapped" in done.err
    names = [folder.name for folder in exports.table_folders(tmp_path / "out")]
    assert "mapped" in names and "unmapped" not in names
    bulkhaul("copy", uri, tmp_path / "extra", "--extra")
    assert table(tmp_path / "extra").num_rows == 0


@pytest.mark.parametrize("words,said", [
    (["--q", "severity:ERROR"], "its fields are http, http.path, level"),
    (["--q", "lvl:ERROR"], "did you mean 'level'"),
    (["--query", '{"term": {"levle": "x"}}'], "did you mean 'level'"),
    (["--query", '{"bool": {"must_not": [{"exists": {"field": "http.pth"}}]}}'],
     "did you mean 'http.path'"),
], ids=lambda value: " ".join(value) if isinstance(value, list) else "")
def test_query_fields_that_no_mapping_has_are_refused(bulkhaul, index, tmp_path, words, said):
    uri = index("qf", {"properties": {
        "level": {"type": "keyword"}, "http": {"properties": {"path": {"type": "keyword"}}}}},
        [{"level": "x"}])
    refused = bulkhaul("copy", uri, tmp_path / "out", *words, code=2)
    assert "which no mapping of" in refused.err and said in refused.err


@pytest.mark.parametrize("q", [
    "level:x", "text.raw:a", "flat.any.thing:1", "_exists_:level", "_id:*", "le\\*:x", "renamed:x",
    '"odd:x" OR level:x', "say._2gram:a*"])
def test_query_fields_that_may_be_there_are_not_refused(bulkhaul, index, tmp_path, q):
    uri = index("qk", {"properties": {
        "level": {"type": "keyword"}, "renamed": {"type": "alias", "path": "level"},
        "text": {"type": "text", "fields": {"raw": {"type": "keyword"}}},
        "say": {"type": "search_as_you_type"}, "flat": {"type": "flat_object"}}},
        [{"level": "x"}])
    bulkhaul("copy", uri, tmp_path / "out", "--q", q)


def test_exclude_is_about_indices_too(bulkhaul, node, index, tmp_path):
    for number in (1, 2, 3):
        index(f"bu-{number}", {"properties": {"a": {"type": "long"}}}, [{"a": number}])
    for out, words in (("table", [node.uri(), "--table", "bu-*"]), ("path", [node.uri("bu-*")])):
        bulkhaul("copy", words[0], tmp_path / out, *words[1:], "--exclude", "bu-1")
        assert sorted(table(tmp_path / out)["a"].to_pylist()) == [2, 3]


def test_wildcards_over_dated_names_report_gaps(bulkhaul, node, index, tmp_path):
    for day in (8, 9, 10):
        index(f"gap-2024.03.{day:02}", {"properties": {"@timestamp": {"type": "date"}}},
              [{"@timestamp": f"2024-03-{day:02}T05:00:00Z"}])
    done = bulkhaul("copy", node.uri("gap-*?gte=2024-03-08&lt=2024-03-14"), tmp_path / "out")
    assert ("no index for 3 of the dates asked for: gap-2024.03.11, gap-2024.03.12, gap-2024.03.13"
            in done.err)
    index("gap-other", {"properties": {"@timestamp": {"type": "date"}}})
    done = bulkhaul("copy", node.uri("gap-*?gte=2024-03-08&lt=2024-03-14"), tmp_path / "no")
    assert "dates asked for" not in done.err


def test_names_with_percent_signs(bulkhaul, node, index, tmp_path):
    index("odd%25name", {"properties": {"a": {"type": "long"}}}, [{"a": 1}])
    bulkhaul("copy", node.uri(), tmp_path / "out", "--table", "odd%%name")
    assert table(tmp_path / "out")["a"].to_pylist() == [1]
    refused = bulkhaul("copy", node.uri(), tmp_path / "no", "--table", "odd%name", code=2)
    assert "%% for a '%'" in refused.err


def test_a_second_value_has_advice_that_can_be_followed(bulkhaul, index, tmp_path):
    documents = [*({"a": n} for n in range(300)), {"a": [1, 2]}]
    uri = index("second", {"properties": {"a": {"type": "long"}}}, documents)
    refused = bulkhaul("copy", uri, tmp_path / "out", code=1)
    assert "choose arrays: list, first or json" in refused.err and "sample" not in refused.err
    refused = bulkhaul("copy", uri, tmp_path / "no", "--fetch", "doc_values", code=1)
    assert "metadata_columns: _id" in refused.err and "choose fetch: source" in refused.err


@pytest.mark.parametrize("words", [
    ["--arrays", "auto"], ["--slice", "sometimes"], ["--gte", "2024-13-45"],
    ["--fields", "aa"], ["--retries", "0", "--type-mismatch", "error", "--fields", "b"]],
    ids=lambda words: words[0] + words[-1])
def test_an_option_that_is_at_fault_is_not_mended_by_a_resume(bulkhaul, index, tmp_path, words):
    documents = [*({"a": n, "@timestamp": n} for n in range(300)), {"a": [1, 2], "b": "ten"}]
    uri = index("fault", {"properties": {"a": {"type": "long"}, "@timestamp": {"type": "date"},
                                         "b": {"type": "long", "ignore_malformed": True}}},
                documents)
    refused = bulkhaul("copy", uri, tmp_path / "out", *words, code=None)
    assert refused.code in (1, 2)
    assert "bulkhaul resume" not in refused.err
    if refused.code == 1:
        assert "change the job's options and start a new job" in refused.err


def test_arrays_of_derived_source_are_those_of_the_server(bulkhaul, index, tmp_path):
    """Sorted, keywords and IPs without repeats: nothing else is kept of the document."""
    uri = index("derived", {"properties": {"k": {"type": "keyword"}, "n": {"type": "long"},
                                           "ip": {"type": "ip"}}},
                [{"k": ["b", "a", "b"], "n": [3, 1, 3], "ip": ["10.0.0.2", "10.0.0.1", "10.0.0.2"]}],
                **{"index.derived_source.enabled": True})
    bulkhaul("copy", uri, tmp_path / "out")
    assert table(tmp_path / "out").to_pylist() == [
        {"ip": ["10.0.0.1", "10.0.0.2"], "k": ["a", "b"], "n": [1, 3, 3]}]


@pytest.mark.parametrize("where", ["long", "double"])
def test_long_and_double_in_two_indices_are_exact_or_refused(bulkhaul, node, index, tmp_path,
                                                             where):
    edge = 2**53
    types = {"wide-l": "long", "wide-d": "double"}
    for name, kind in types.items():
        index(name, {"properties": {"n": {"type": kind}}},
              [{"n": edge}, {"n": -edge}, {"n": edge + 2}, {"n": 7}])
    index("wide-f", {"properties": {"n": {"type": "double"}}}, [{"n": 0.5}])
    bulkhaul("copy", node.uri("wide-*"), tmp_path / "out")
    column = table(tmp_path / "out")["n"]
    assert str(column.type) == "double"
    assert sorted(map(float.hex, column.to_pylist())) == sorted(
        map(float.hex, [float(edge), float(-edge), float(edge + 2), 7.0] * 2 + [0.5]))
    bad = next(name for name, kind in types.items() if kind == where)
    node.call("PUT", f"/{bad}/_doc/odd?refresh=true", {"n": edge + 1})
    refused = bulkhaul("copy", node.uri("wide-*"), tmp_path / "no", "--metadata-columns", "_id",
                       code=1)
    assert (f"document 'odd' of index '{bad}', field 'n': {edge + 1} is an integer that double, "
            "the type of this column, cannot hold exactly") in refused.err
    assert "because the mappings differ: read the indices apart" in refused.err
    assert exports.visible(tmp_path / "no") == []
    bulkhaul("copy", node.uri("wide-l"), tmp_path / "apart")
    assert set(table(tmp_path / "apart")["n"].to_pylist()) >= {edge + 2, 7}
    assert (edge + 1 in table(tmp_path / "apart")["n"].to_pylist()) == (where == "long")


def test_a_time_of_several_types_says_which_index_has_which(bulkhaul, node, index, tmp_path):
    index("ts-a", {"properties": {"ts": {"type": "keyword"}}}, [{"ts": "x"}])
    index("ts-b", {"properties": {"ts": {"type": "date"}}}, [{"ts": 1}])
    refused = bulkhaul("copy", node.uri("ts-*?time=ts&gte=2024"), tmp_path / "out", code=2)
    assert "keyword in ts-a" in refused.err and "date in ts-b" in refused.err
    assert "did you mean" not in refused.err
    node.call("POST", "/ts-a/_close")
    refused = bulkhaul("copy", node.uri("ts-a"), tmp_path / "out", "--closed-indices", "skip",
                       code=2)
    assert "leaves nothing to read: ts-a" in refused.err


@pytest.mark.parametrize("path,words,said", [
    ("x?gte=", [], "gte is empty"), ("x", ["--lt", ""], "lt is empty"),
    ("x?gte=2024&gte=2025", [], "'gte' twice"),
    ("x?api_key=a&bearer_token=b", [], "more than one way to log in")])
def test_what_would_be_ignored_is_refused(bulkhaul, node, index, tmp_path, path, words, said):
    index("x", {"properties": {"@timestamp": {"type": "date"}}}, [{"@timestamp": 1}])
    assert said in bulkhaul("copy", node.uri(path), tmp_path / "out", *words, code=2).err


def test_derived_fields_of_every_type(bulkhaul, node, index, tmp_path):
    """A date comes in its own format, for the server takes none; an object is the script's text."""
    moment = "doc['ts'].value.toInstant().toEpochMilli()"
    scripts = {
        "b": ("boolean", "emit(doc['v'].value > 1)"), "d": ("double", "emit(1.10)"),
        "g": ("geo_point", "emit(1.5, 2.5)"), "i": ("ip", "emit('10.0.0.1')"),
        "k": ("keyword", "emit('b'); emit('a')"), "l": ("long", "emit(9007199254740993L)"),
        "o": ("object", """emit('{"a": 1.10}')"""), "t": ("date", f"emit({moment})"),
        "x": ("text", "emit('abc')")}
    derived = {name: {"type": kind, "script": {"source": source}}
               for name, (kind, source) in scripts.items()}
    derived["ts_seconds"] = {**derived["t"], "format": "epoch_second"}
    uri = index("dv", {"derived": derived, "properties": {
        "v": {"type": "long"}, "ts": {"type": "date"}}}, [{"v": 2, "ts": 1709251200123}])
    bulkhaul("copy", uri, tmp_path / "out")
    found = table(tmp_path / "out")
    for name in ("t", "ts_seconds"):
        assert found[name].type == found["ts"].type
        assert found[name].to_pylist() == found["ts"].to_pylist()
    assert found.drop_columns(["t", "ts_seconds", "ts"]).to_pylist() == [{
        "b": True, "d": 1.1, "g": {"lat": 1.5, "lon": 2.5}, "i": "10.0.0.1", "k": ["b", "a"],
        "l": 9007199254740993, "o": '{"a": 1.10}', "v": 2, "x": "abc"}]
    # A mapped date of the same name comes as exact, or is refused.
    index("dv-same", {"properties": {"t": {"type": "date"}}}, [{"t": "2024-03-01T00:00:00.456Z"}])
    index("dv-finer", {"properties": {"t": {"type": "date_nanos"}}}, [{"t": 1}])
    bulkhaul("copy", node.uri("dv,dv-same"), tmp_path / "same", "--columns", "t", "--output-name",
             "s")
    assert sorted(time.microsecond for time in table(tmp_path / "same")["t"].to_pylist()) == [
        123000, 456000]
    refused = bulkhaul("copy", node.uri("dv,dv-finer"), tmp_path / "no", code=2)
    assert "'t' is a derived date in index 'dv'" in refused.err and "exclude_fields" in refused.err


@pytest.mark.parametrize("time,said", [
    ("d", "it is a derived field in tf, and the server cannot tell which"),
    ("n.t", "it is inside a nested field"), ("r", "it is date_range in tf"),
    ("nothing", "no date field 'nothing'")])
def test_times_that_cannot_be_asked_for_are_refused(bulkhaul, index, tmp_path, time, said):
    nested = {"type": "nested", "properties": {"t": {"type": "date"}}}
    uri = index("tf", {
        "derived": {"d": {"type": "date", "script": {
            "source": "emit(doc['m.t'].value.toInstant().toEpochMilli())"}}},
        "properties": {"n": nested, "m": {**nested, "include_in_root": True},
                       "r": {"type": "date_range"}}},
        [{"n": [{"t": f"2024-03-0{day}"}], "m": [{"t": f"2024-03-0{day}"}]} for day in (1, 2, 3)])
    refused = bulkhaul("copy", f"{uri}?time={time}&gte=2024-03-02", tmp_path / "out", code=2)
    assert said in refused.err and "its date fields are m.t" in refused.err
    bulkhaul("copy", f"{uri}?time=m.t&gte=2024-03-02&exclude_fields=n,r,m", tmp_path / "out")
    assert table(tmp_path / "out").num_rows == 2


def test_digits_of_a_second_are_no_misfit(bulkhaul, index, tmp_path):
    uri = index("dg", {"properties": {"t": {"type": "date"}}},
                [{"t": "2024-03-06T00:00:00.1234567Z"}])
    words = ["--type-mismatch", "null", "--date-digits"]
    refused = bulkhaul("copy", uri, tmp_path / "no", *words, "error", code=1)
    assert "has more digits of a second than the column" in refused.err
    bulkhaul("copy", uri, tmp_path / "out", *words, "truncate")
    assert table(tmp_path / "out")["t"].to_pylist()[0].microsecond == 123456


def test_a_field_of_what_is_an_object_in_one_index_only(bulkhaul, node, index, tmp_path):
    index("oz-a", {"properties": {"o": {"properties": {"z": {"type": "long"}}}}}, [{"o": {"z": 7}}])
    index("oz-b", {"properties": {"o": {"type": "keyword"}}}, [{"o": "x"}])
    for words in ([], ["--type-conflict", "json"]):
        out = tmp_path / f"out{len(words)}"
        bulkhaul("copy", node.uri("oz-*"), out, "--fields", "o.z", *words)
        assert sorted(table(out)["o.z"].to_pylist(), key=str) == [7, None]


@pytest.mark.parametrize("key,words,groups", [
    ("tags", ["--arrays", "json"], ['["a","b"]', '["a"]']),
    ("n", ["--nested", "json"], ['[{"x":1}]', '[{"x":2}]']),
    ("o", ["--objects", "struct"], [])])
def test_what_is_said_of_keys_that_are_no_keys_helps(bulkhaul, index, tmp_path, key, words, groups):
    uri = index("gk", {"properties": {
        "tags": {"type": "keyword"}, "o": {"properties": {"x": {"type": "long"}}},
        "n": {"type": "nested", "properties": {"x": {"type": "long"}}}}},
        [{"tags": ["a", "b"], "n": [{"x": 1}], "o": {"x": 1}},
         {"tags": ["a"], "n": [{"x": 2}], "o": {"x": 2}}])
    grouping = ["--group-by", key, "--aggregates", "count(*)"]
    refused = bulkhaul("copy", uri, tmp_path / "no", *grouping, *(words if key == "o" else []),
                       code=None)
    assert refused.code in (1, 2) and "cannot be a group's key; leave it out, or" in refused.err
    if groups:
        assert f"{words[0][2:]}: json" in refused.err
        bulkhaul("copy", uri, tmp_path / "out", *grouping, *words)
        assert sorted(table(tmp_path / "out")[key].to_pylist()) == sorted(groups)
    else:
        assert "objects: flatten" in refused.err


def test_objects_as_structs(bulkhaul, index, tmp_path):
    uri = index("st", {"properties": {"a": {"type": "long"}, "http": {"properties": {
        "path": {"type": "keyword"}, "request": {"properties": {"bytes": {"type": "long"}}}}}}},
        [{"a": 1, "http": {"path": "/x", "request": {"bytes": 2**53 + 1}}}, {"a": 2},
         {"a": 3, "http.path": "/y"}, {"a": 4, "http": {"request": {}}}])
    bulkhaul("copy", uri, tmp_path / "out", "--objects", "struct")
    assert table(tmp_path / "out").sort_by("a").to_pylist() == [
        {"a": 1, "http": {"path": "/x", "request": {"bytes": 2**53 + 1}}},
        {"a": 2, "http": None}, {"a": 3, "http": {"path": "/y", "request": None}},
        {"a": 4, "http": None}]
    words = ["--objects", "struct", "--fetch", "doc_values", "--fields", "a,http"]
    bulkhaul("copy", uri, tmp_path / "values", *words)
    assert table(tmp_path / "values").sort_by("a") == table(tmp_path / "out").sort_by("a")


@pytest.mark.parametrize("arrays,wanted,said", [
    ("first", [3, 7, None, 5], "first"), ("json", ["[3,1]", "7", "[]", "[5]"], "")])
def test_arrays_as_asked_for(bulkhaul, index, tmp_path, arrays, wanted, said):
    uri = index("ar", {"properties": {"id": {"type": "long"}, "n": {"type": "long"}}},
                [{"id": 1, "n": [3, 1]}, {"id": 2, "n": 7}, {"id": 3, "n": []},
                 {"id": 4, "n": [5]}])
    done = bulkhaul("copy", uri, tmp_path / "out", "--arrays", arrays)
    assert table(tmp_path / "out").sort_by("id")["n"].to_pylist() == wanted
    assert said in done.out + done.err


def test_sequence_numbers_as_a_column(bulkhaul, node, index, tmp_path):
    uri = index("sn", {"properties": {"a": {"type": "long"}}}, [{"a": n} for n in range(50)],
                number_of_shards=2)
    bulkhaul("copy", uri, tmp_path / "out", "--metadata-columns", "_seq_no,_id")
    found = {row["_id"]: row["_seq_no"] for row in table(tmp_path / "out").to_pylist()}
    hits = node.call("POST", "/sn/_search", {"size": 100, "seq_no_primary_term": True})["hits"]
    assert found == {hit["_id"]: hit["_seq_no"] for hit in hits["hits"]} and len(found) == 50


def test_bytes_are_capped(bulkhaul, index, tmp_path):
    """Three seconds' worth at the least: only the last page's share is not waited for."""
    uri = index("by", {"properties": {"a": {"type": "long"}}}, [{"a": n} for n in range(1000)])
    report = tmp_path / "report.json"
    bulkhaul("copy", uri, tmp_path / "free", "--report", report)
    size = json.loads(report.read_text())["tables"][0]["source_bytes"]
    begin = time.monotonic()
    bulkhaul("copy", uri, tmp_path / "out", "--workers", "1", "--bytes-per-second", size // 3)
    assert time.monotonic() - begin > 1.2
    assert table(tmp_path / "out").num_rows == 1000


def test_monthly_patterns(bulkhaul, node, index, tmp_path):
    for month in (1, 2, 4):
        index(f"mon-2024.{month:02}", {"properties": {"@timestamp": {"type": "date"}}},
              [{"@timestamp": f"2024-{month:02}-{day:02}T05:00:00Z"} for day in (1, 15, 28)])
    index("mon-2024.02.01", {"properties": {"@timestamp": {"type": "date"}}},
          [{"@timestamp": "2024-02-01T06:00:00Z"}])
    done = bulkhaul("copy", node.uri("mon-%Y.%m"), tmp_path / "out", "--gte", "2024-02-10", "--lt",
                    "2024-04-10")
    days = [time.strftime("%m-%d") for time in table(tmp_path / "out")["@timestamp"].to_pylist()]
    assert sorted(days) == ["02-15", "02-28", "04-01"]
    assert "no index for 1 of the dates asked for: mon-2024.03" in done.err
