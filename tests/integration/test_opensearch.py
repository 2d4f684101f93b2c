"""Documents of a real node, from names and times to published files."""

from __future__ import annotations

import csv
import datetime
import http.server
import json
import os
import shutil
import signal
import threading
import urllib.request

import pytest

from support import exports, faults
from support.search import SearchNode
from support.search_names import (
    check_closed_behind_names, check_hidden_names, check_stream_aliases_filter,
)
from support.search_times import check_one_sided_ranges
from support.search_types import check_doc_values, check_every_type, check_week_formats

DAY = datetime.timedelta(days=1)
START = datetime.datetime(2024, 3, 1)
PER_DAY = 500
DAYS = 4
PROPERTIES = {
    "@timestamp": {"type": "date"},
    "seq": {"type": "long"},
    "level": {"type": "keyword"},
    "http": {"properties": {"path": {"type": "keyword"}}},
}


# $BULKHAUL_TEST_SEARCH_KINDS: further kinds, separated by commas.
KINDS = os.environ.get("BULKHAUL_TEST_SEARCH_KINDS", "opensearch-3").split(",")


@pytest.fixture(scope="module", params=KINDS)
def node(request):
    made = SearchNode(request.param)
    yield made
    made.stop()


def stamp(time: datetime.datetime) -> str:
    return time.isoformat(timespec="milliseconds") + "Z"


def documents_of(day: int) -> list[dict]:
    """Even over the day, the first at its first millisecond."""
    return [
        {
            "@timestamp": stamp(START + day * DAY + number * DAY / PER_DAY),
            "seq": day * PER_DAY + number,
            "level": ("INFO", "WARN", "ERROR", "INFO")[number % 4],
            "http": {"path": f"/p/{number % 7}"},
        }
        for number in range(PER_DAY)
    ]


@pytest.fixture(scope="module")
def logs(node):
    """Four daily indices; gives the URI of them all."""
    for day in range(DAYS):
        index = f"logs-2024.03.{day + 1:02}"
        node.create(index, PROPERTIES)
        node.bulk(index, documents_of(day))
    return node.uri("logs-*")


def rows(destination, sql="SELECT seq FROM {rows} ORDER BY seq", folder=None):
    folder = destination / folder if folder else exports.table_folders(destination)[0]
    return exports.query(folder, sql)


def sequence(destination, folder=None) -> list[int]:
    return [row[0] for row in rows(destination, folder=folder)]


def plan(bulkhaul, *words) -> dict:
    return bulkhaul("plan", *words, "--output", "json").json


def test_a_range_of_daily_indices(bulkhaul, logs, tmp_path):
    out = tmp_path / "out"
    bulkhaul("copy", logs + "?time=@timestamp&gte=2024-03-01&lt=2024-04-01", out)
    assert exports.visible(out)[-1] == "logs"
    found = rows(out, 'SELECT seq, epoch_ms("@timestamp"), level, "http.path" FROM {rows} '
                      "ORDER BY seq")
    wanted = []
    for day in range(DAYS):
        for document in documents_of(day):
            time = datetime.datetime.fromisoformat(document["@timestamp"][:-1])
            moment = time.replace(tzinfo=datetime.timezone.utc).timestamp()
            wanted.append((document["seq"], round(moment * 1000), document["level"],
                           document["http"]["path"]))
    assert found == wanted


def test_only_what_is_in_the_range_is_asked_for(bulkhaul, logs, tmp_path):
    """Two indices are outside, one is cut in the middle of its day."""
    uri = logs + "?gte=2024-03-02&lt=2024-03-03T12:00"
    seen = plan(bulkhaul, uri, tmp_path / "out")
    assert seen["units"] == 2
    assert seen["estimated_rows"] == PER_DAY + PER_DAY // 2
    bulkhaul("copy", uri, tmp_path / "out")
    assert sequence(tmp_path / "out") == list(range(PER_DAY, 2 * PER_DAY + PER_DAY // 2))


def test_an_upper_bound_alone_can_be_cut(bulkhaul, node, tmp_path):
    check_one_sided_ranges(bulkhaul, node, tmp_path)


@pytest.mark.parametrize("bounds", [
    {"gte": "2024-03-02", "lte": "2024-03-03"}, {"gt": "2024-03-01", "lt": "2024-03-03"},
    {"gt": "2024-03-02T23:59:59.999", "lte": "2024-03-03T11"}, {"lte": "2024-03"},
    {"gte": "2024-03-02||+1d/d", "lte": "2024-03-03||/d"}, {"gte": "1709337600000"},
    {"gte": "2024-03-02", "lt": "2024-03-03", "time_zone": "+05:30"},
    {"gte": "2024-03-02||/d", "lte": "2024-03-02", "time_zone": "America/New_York"},
], ids=str)
def test_bounds_mean_what_they_mean_on_the_server(bulkhaul, node, logs, tmp_path, bounds):
    words = [word for name, value in bounds.items()
             for word in ("--" + name.replace("_", "-"), value)]
    bulkhaul("copy", logs, tmp_path / "out", *words)
    counted = node.call("POST", "/logs-*/_count", {"query": {"range": {"@timestamp": bounds}}})
    assert len(sequence(tmp_path / "out")) == counted["count"] > 0


def test_overlapping_ranges_are_joined_and_reported(bulkhaul, logs, tmp_path):
    done = bulkhaul("copy", logs, tmp_path / "out", "--time-ranges",
                    "2024-03-01..2024-03-02T12:00,2024-03-02..2024-03-03,2024-03-04..2024-03-05")
    assert sequence(tmp_path / "out") == [*range(2 * PER_DAY), *range(3 * PER_DAY, 4 * PER_DAY)]
    assert "overlapped and were joined" in done.err


@pytest.mark.parametrize("words", [
    ("--unit-rows", "60"), ("--slice", "hour"), ("--slice", "day"), ("--slice", "7h"),
    ("--unit-rows", "60", "--gte", "2024-03-01T06:00", "--lt", "2024-03-03T06:00"),
    ("--slice", "none", "--unit-rows", "60"),
], ids=" ".join)
def test_slices_add_up(bulkhaul, node, logs, tmp_path, words):
    seen = plan(bulkhaul, logs, tmp_path / "out", *words)
    assert (seen["units"] <= DAYS) == ("none" in words or "day" in words)
    bulkhaul("copy", logs, tmp_path / "out", *words)
    found = sequence(tmp_path / "out")
    assert found == list(range(found[0], found[0] + seen["estimated_rows"]))


def test_names_that_overlap_are_read_once(bulkhaul, node, logs, tmp_path):
    node.call("POST", "/_aliases", {"actions": [
        {"add": {"index": "logs-2024.03.01", "alias": "all-logs"}},
        {"add": {"index": "logs-2024.03.02", "alias": "all-logs"}}]})
    done = bulkhaul("copy", node.uri("logs-2024.03.0*,all-logs,logs-2024.03.02,-logs-2024.03.04"),
                    tmp_path / "out", "--output-name", "t")
    assert sequence(tmp_path / "out") == list(range(3 * PER_DAY))
    assert "more than once and read once: logs-2024.03.01, logs-2024.03.02" in done.err


def test_an_alias_shows_what_its_filter_lets_pass(bulkhaul, node, logs, tmp_path):
    node.call("POST", "/_aliases", {"actions": [
        {"add": {"index": "logs-2024.03.01", "alias": "bad", "filter": {"term": {"level": "ERROR"}}}},
        {"add": {"index": "logs-2024.03.01", "alias": "warned", "filter": {"term": {"level": "WARN"}}}},
    ]})
    bulkhaul("copy", node.uri("bad"), tmp_path / "bad")
    assert {row[0] for row in rows(tmp_path / "bad", "SELECT level FROM {rows}")} == {"ERROR"}
    bulkhaul("copy", node.uri("bad,warned"), tmp_path / "both", "--output-name", "t")
    assert len(sequence(tmp_path / "both")) == PER_DAY // 2
    # Named itself too, the index is read whole.
    bulkhaul("copy", node.uri("bad,logs-2024.03.01"), tmp_path / "whole", "--output-name", "t")
    assert len(sequence(tmp_path / "whole")) == PER_DAY


def test_an_alias_of_data_streams_shows_what_its_filter_lets_pass(bulkhaul, node, tmp_path):
    check_stream_aliases_filter(bulkhaul, node, tmp_path)


def test_data_streams(bulkhaul, node, tmp_path):
    node.call("PUT", "/_index_template/stream", {
        "index_patterns": ["stream-*"], "data_stream": {}, "priority": 500,
        "template": {"settings": {"number_of_replicas": 0}}})
    node.bulk("stream-a", documents_of(0))
    node.call("POST", "/stream-a/_rollover")
    node.bulk("stream-a", documents_of(1))
    bulkhaul("copy", node.uri("stream-*"), tmp_path / "out")
    assert sequence(tmp_path / "out") == list(range(2 * PER_DAY))


def test_hidden_indices_do_not_vanish(bulkhaul, node, tmp_path):
    check_hidden_names(bulkhaul, node, tmp_path)


def test_dated_patterns_find_gaps_and_lose_no_stray_document(bulkhaul, node, tmp_path):
    for day in (1, 2, 4):
        node.create(f"day-2024.03.{day:02}", PROPERTIES)
        node.bulk(f"day-2024.03.{day:02}", documents_of(day - 1))
    stray = {"@timestamp": "2024-03-02T10:00:00Z", "seq": -1}
    node.bulk("day-2024.03.04", [stray])  # under the wrong date
    node.create("day-abcd.ef.gh", PROPERTIES)
    done = bulkhaul("copy", node.uri("day-%Y.%m.%d"), tmp_path / "out", "--gte", "2024-03-01",
                    "--lt", "2024-03-04")
    assert sequence(tmp_path / "out") == list(range(-1, 2 * PER_DAY))
    assert "no index for 1 of the dates asked for: day-2024.03.03" in done.err
    done = bulkhaul("copy", node.uri("day-%Y.%m.%d"), tmp_path / "less", "--exclude",
                    "day-2024.03.02")
    assert len(sequence(tmp_path / "less")) == 2 * PER_DAY + 1
    assert "no index for 1 of the dates asked for: day-2024.03.03" in done.err


def test_documents_with_several_times_or_none(bulkhaul, node, tmp_path):
    node.create("odd", PROPERTIES)
    both = ["2024-03-01T01:00:00Z", "2024-03-03T01:00:00Z"]
    node.bulk("odd", [{"seq": 1, "@timestamp": both}, {"seq": 2}, {"seq": 3, "@timestamp": both[1]},
                      {"seq": 4, "@timestamp": [both[1], "2024-03-02T05:00:00Z"]}])
    uri = node.uri("odd")
    words = ["--arrays", "list", "--slice", "hour"]
    # Without a range everything is taken, once.
    bulkhaul("copy", uri, tmp_path / "all", *words)
    assert [row[0] for row in rows(tmp_path / "all", "SELECT seq[1] FROM {rows} ORDER BY 1")] == [
        1, 2, 3, 4]
    words += ["--gte", "2024-03-01"]
    done = bulkhaul("copy", uri, tmp_path / "out", *words)
    assert [row[0] for row in rows(tmp_path / "out", "SELECT seq[1] FROM {rows} ORDER BY 1")] == [
        1, 3, 4]
    assert "1 documents have no @timestamp" in done.err
    assert "several values of @timestamp" in done.err
    bulkhaul("copy", uri, tmp_path / "in", *words, "--time-missing", "include")
    assert len(rows(tmp_path / "in", "SELECT seq FROM {rows}")) == 4
    refused = bulkhaul("copy", uri, tmp_path / "no", *words, "--time-missing", "error", code=None)
    assert refused.code != 0 and "time_missing" in refused.err
    check_which_time_counts(bulkhaul, uri, tmp_path, "1 to 2 documents have several values")


def check_which_time_counts(bulkhaul, uri, tmp_path, counted):
    # By day: whose any, earliest, latest time is in it.
    wanted = {1: ([1], [1], []), 2: ([4], [4], []), 3: ([1, 3, 4], [3], [1, 3, 4])}
    for choice, which in {"any": 0, "earliest": 1, "latest": 2}.items():
        for cut in ("hour", "none"):
            words = ["--arrays", "list", "--slice", cut, "--time-several", choice]
            for day, sequences in wanted.items():
                out = tmp_path / f"{choice}-{cut}-{day}"
                bulkhaul("copy", uri, out, *words, "--gte", f"2024-03-0{day}", "--lt",
                         f"2024-03-0{day + 1}")
                found = rows(out, "SELECT seq[1] FROM {rows} ORDER BY 1")
                assert [row[0] for row in found] == sequences[which], (choice, cut, day)
            # Each once, however many ranges and slices have one of its times.
            ranges = [f"2024-03-0{day}..2024-03-0{day + 1}T00:00" for day in (1, 3)]
            done = bulkhaul("copy", uri, tmp_path / f"{choice}-{cut}", *words, "--time-ranges",
                            ",".join(ranges))
            found = rows(tmp_path / f"{choice}-{cut}", "SELECT seq[1] FROM {rows} ORDER BY 1")
            assert [row[0] for row in found] == sorted({*wanted[1][which], *wanted[3][which]})
            assert f"(time_several: {choice})" in done.err and counted in done.err
    assert "leaves out 0 documents" in done.err
    done = bulkhaul("copy", uri, tmp_path / "less", "--time-several", "earliest", "--gte",
                    "2024-03-03", "--arrays", "list")
    assert counted in done.err and "leaves out 2 documents" in done.err
    refused = bulkhaul("copy", uri, tmp_path / "no", "--time-several", "error", "--gte",
                       "2024-03-03", code=2)
    assert counted in refused.err and "any, earliest or latest" in refused.err
    # None of them has a time in this range.
    bulkhaul("copy", uri, tmp_path / "fine", "--time-several", "error", "--gte", "2024-03-04")


def test_queries(bulkhaul, node, logs, tmp_path):
    bulkhaul("copy", logs, tmp_path / "q", "--q", "level:ERROR AND seq:[0 TO 99]")
    assert sequence(tmp_path / "q") == list(range(2, 100, 4))
    job = tmp_path / "job.yaml"
    job.write_text(f"""
source: {logs}
destination: {tmp_path / 'dsl'}
query:
  bool:
    filter:
      - term: {{level: ERROR}}
      - range: {{seq: {{lt: 100}}}}
""")
    bulkhaul("run", job)
    assert sequence(tmp_path / "dsl") == list(range(2, 100, 4))
    job.write_text(f"""
source: {logs}
destination: {tmp_path / 'two'}
queries:
  - name: errors
    sql: '{{"term": {{"level": "ERROR"}}}}'
  - name: warnings
    sql: level:WARN
    gte: 2024-03-02
""")
    bulkhaul("run", job)
    assert len(sequence(tmp_path / "two", "errors")) == DAYS * PER_DAY // 4
    assert len(sequence(tmp_path / "two", "warnings")) == (DAYS - 1) * PER_DAY // 4


def test_doc_values(bulkhaul, node, tmp_path):
    check_doc_values(bulkhaul, node, tmp_path)


def test_dates_by_weeks(bulkhaul, node, tmp_path):
    check_week_formats(bulkhaul, node, tmp_path)


def test_every_field_type(bulkhaul, node, tmp_path):
    known = check_every_type(bulkhaul, node, tmp_path / "out")
    if node.kind == "opensearch-3":
        assert {"unsigned_long", "scaled_float", "flat_object", "rank_feature", "join"} <= known
    node.call("DELETE", "/every-type")


def test_nested_fields(bulkhaul, node, tmp_path):
    """Lists of structs in every format, or JSON text; shrink leaves them as they are."""
    node.create("orders", {"id": {"type": "long"}, "lines": {"type": "nested", "properties": {
        "sku": {"type": "keyword"}, "count": {"type": "long"}, "tags": {"type": "keyword"},
        "price": {"properties": {"amount": {"type": "double"}}}}}})
    node.bulk("orders", [
        {"id": 1, "lines": [{"sku": "a", "count": 2**60 + 1, "tags": ["x", "y"]}, {"sku": "b"}]},
        {"id": 2, "lines": {"sku": "c", "price": {"amount": 1.5}}}, {"id": 3, "lines": []},
        {"id": 4}])
    wanted = [
        [{"count": 2**60 + 1, "price.amount": None, "sku": "a", "tags": ["x", "y"]},
         {"count": None, "price.amount": None, "sku": "b", "tags": None}],
        [{"count": None, "price.amount": 1.5, "sku": "c", "tags": None}], [], None]
    for format in ("parquet", "arrow"):
        bulkhaul("copy", node.uri("orders"), tmp_path / format, "--format", format)
        table = exports.read(tmp_path / format / "orders").sort_by("id")
        assert table["lines"].to_pylist() == wanted
    bulkhaul("copy", node.uri("orders"), tmp_path / "small", "--shrink", "--single-file")
    table = exports.read(tmp_path / "small" / "orders").sort_by("id")
    assert table["lines"].to_pylist() == wanted
    bulkhaul("copy", node.uri("orders"), tmp_path / "csv", "--format", "csv")
    with open(exports.parts(tmp_path / "csv" / "orders", "csv")[0], newline="") as file:
        found = {int(row["id"]): row["lines"] for row in csv.DictReader(file)}
    assert [json.loads(found[number]) for number in (1, 2, 3)] == wanted[:3] and not found[4]
    bulkhaul("copy", node.uri("orders"), tmp_path / "json", "--nested", "json", "--fields", "lines")
    found = exports.read(tmp_path / "json" / "orders")["lines"].to_pylist()
    assert json.loads(found[1]) == {"sku": "c", "price": {"amount": 1.5}}
    bulkhaul("copy", node.uri("orders"), tmp_path / "part", "--fields", "lines.sku")
    assert exports.read(tmp_path / "part" / "orders")["lines"].to_pylist() == [
        [{"sku": "a"}, {"sku": "b"}], [{"sku": "c"}], [], None]


def test_query_templates(bulkhaul, logs, tmp_path):
    job = tmp_path / "job.yaml"
    job.write_text(f"""
source: {logs}
destination: {tmp_path / "out"}
templates:
  by_level: {{terms: {{level: "{{{{levels}}}}"}}}}
  from_to: {{q: "seq:[{{{{first}}}} TO {{{{last}}}}] AND http.path:{{{{path}}}}"}}
queries:
  - {{name: loud, template: by_level, parameters: {{levels: [WARN, ERROR]}}}}
  - {{name: warned, template: by_level, parameters: {{levels: ["${{LEVEL}}"]}}}}
  - {{name: few, template: from_to, parameters: {{first: 100, last: 110, path: /p/3}}}}
  - {{name: none, template: by_level, parameters: {{levels: ['WARN"]}}}}, {{"match_all": {{}}}}']}}}}
""")
    bulkhaul("run", job, env={"LEVEL": "WARN"})
    every = range(PER_DAY * DAYS)
    out = tmp_path / "out"
    in_day = {number: number % PER_DAY for number in every}
    assert sequence(out, "loud") == [number for number in every if in_day[number] % 4 in (1, 2)]
    assert sequence(out, "warned") == [number for number in every if in_day[number] % 4 == 1]
    assert sequence(out, "few") == [number for number in range(100, 111) if number % 7 == 3]
    assert sequence(out, "none") == []


def test_fields_and_metadata_columns(bulkhaul, logs, tmp_path):
    bulkhaul("copy", logs, tmp_path / "out", "--fields", "http.*,seq", "--metadata-columns",
             "_id,_index")
    table = exports.read(tmp_path / "out" / "logs")
    assert set(table.column_names) == {"http.path", "seq", "_id", "_index"}
    assert len(set(zip(table["_index"].to_pylist(), table["_id"].to_pylist()))) == DAYS * PER_DAY
    bulkhaul("copy", logs, tmp_path / "ordered", "--columns", "seq,level,@timestamp")
    assert exports.read(tmp_path / "ordered" / "logs").column_names == ["seq", "level",
                                                                       "@timestamp"]
    bulkhaul("copy", logs, tmp_path / "less", "--exclude-fields", "http")
    assert set(exports.read(tmp_path / "less" / "logs").column_names) == {"@timestamp", "seq",
                                                                         "level"}


def test_shards_with_routing_repeat_ids(bulkhaul, node, tmp_path):
    node.create("routed", PROPERTIES, number_of_shards=3)
    documents = documents_of(0)
    for copy in range(4):
        node.bulk("routed", [{**document, "seq": document["seq"] + copy * PER_DAY, "_id": str(number),
                              "_routing": f"r{copy}"} for number, document in enumerate(documents)],
                  verb="index")  # routes may share a shard, where an id is one document
    counted = node.call("GET", "/routed/_count")["count"]
    bulkhaul("copy", node.uri("routed"), tmp_path / "out", "--metadata-columns", "_id,_routing")
    found = rows(tmp_path / "out", "SELECT count(*), count(DISTINCT seq), count(DISTINCT _id) "
                                   "FROM {rows}")[0]
    assert found == (counted, counted, PER_DAY)
    assert counted > PER_DAY


def test_every_index_is_a_table_when_none_is_named(bulkhaul, node, logs, tmp_path):
    bulkhaul("copy", node.uri(), tmp_path / "out", "--exclude", "odd", "--exclude", "day-*",
             "--exclude", "routed", "--exclude", "stream-*", "--exclude", "[!l]*")
    names = [folder.name for folder in exports.table_folders(tmp_path / "out")]
    assert names == [f"logs-2024.03.{day + 1:02}" for day in range(DAYS)]
    assert len(sequence(tmp_path / "out", names[0])) == PER_DAY


def test_no_document_is_a_table_too(bulkhaul, node, logs, tmp_path):
    bulkhaul("copy", logs, tmp_path / "none", "--gte", "2031-01-01")
    assert exports.read(tmp_path / "none" / "logs").num_rows == 0
    node.create("empty", PROPERTIES)
    bulkhaul("copy", node.uri("empty"), tmp_path / "empty")
    assert "seq" in exports.read(tmp_path / "empty" / "empty").column_names


@pytest.mark.parametrize("path,words,said", [
    ("logs-2024.03.1", [], "did you mean 'logs-2024.03.01'"),
    ("lgos-*", [], "matches no index"),
    ("logs-*?tiem=x", [], "did you mean 'time'"),
    ("logs-*", ["--fields", "levle"], "level"),
    ("logs-*", ["--time", "@timestmp"], "did you mean '@timestamp'"),
    ("logs-*", ["--time", "level"], "no date field 'level'"),
    ("logs-*", ["--q", "seq:[1 TO"], "the query"),
    ("logs-*", ["--gte", "yesterday"], "is not a time"),
    ("logs-*", ["--gte", "2024-03-02", "--lt", "2024-03-01"], "empty"),
    ("logs-*", ["--where", "seq > 3"], "query"),
    ("logs-*", ["--consistency", "snapshot"], "consistency: none"),
    ("other:logs-*", [], "another cluster"),
    ("logs-a::failures", [], "without its failure store"),
], ids=lambda value: " ".join(value) if isinstance(value, list) else str(value))
def test_mistakes_have_one_clear_answer(bulkhaul, node, logs, tmp_path, path, words, said):
    done = bulkhaul("copy", node.uri(path), tmp_path / "out", *words, code=None)
    assert done.code != 0
    assert said in done.err + done.out
    assert exports.visible(tmp_path / "out") == []


def test_closed_indices_do_not_vanish(bulkhaul, node, tmp_path):
    for number in (1, 2):
        node.create(f"shut-{number}", PROPERTIES)
        node.bulk(f"shut-{number}", documents_of(number))
    node.call("POST", "/shut-1/_close")
    refused = bulkhaul("copy", node.uri("shut-*"), tmp_path / "out", code=None)
    assert refused.code != 0 and "closed and cannot be read: shut-1" in refused.err
    done = bulkhaul("copy", node.uri("shut-*"), tmp_path / "out", "--closed-indices", "skip")
    assert "left out because closed: shut-1" in done.err
    assert len(sequence(tmp_path / "out")) == PER_DAY


def test_closed_indices_of_a_whole_cluster_do_not_vanish(bulkhaul, node, tmp_path):
    for name in ("zz-open", "zz-shut"):
        node.create(name, PROPERTIES)
        node.bulk(name, documents_of(1))
    node.call("POST", "/zz-shut/_close")
    mine = ["--exclude", "[!z]*", "--closed-indices"]
    for words in (["--all"], []):
        refused = bulkhaul("copy", node.uri(), tmp_path / "out", *words, *mine, "error", code=None)
        assert refused.code != 0 and "closed and cannot be read: zz-shut" in refused.err
    done = bulkhaul("copy", node.uri(), tmp_path / "out", *mine, "skip")
    assert "left out because closed: zz-shut" in done.err
    assert len(sequence(tmp_path / "out")) == PER_DAY
    bulkhaul("copy", node.uri(), tmp_path / "less", "--exclude", "zz-shut", *mine, "error")
    nothing = bulkhaul("copy", node.uri(), tmp_path / "none", "--exclude", "zz-open", *mine, "skip",
                       code=None)
    assert "every index is closed" in nothing.err


def test_closed_indices_behind_aliases_and_data_streams_do_not_vanish(bulkhaul, node, tmp_path):
    check_closed_behind_names(bulkhaul, node, tmp_path)


def test_an_unassigned_shard_is_no_success(bulkhaul, node, tmp_path):
    node.call("PUT", "/red?wait_for_active_shards=0", {
        "settings": {"number_of_replicas": 0, "number_of_shards": 2,
                     "index.routing.allocation.require._name": "nobody"},
        "mappings": {"properties": PROPERTIES}})
    try:
        done = bulkhaul("copy", node.uri("red"), tmp_path / "out", "--retries", "1",
                        "--retry-delay", "10ms", code=None)
        assert done.code != 0
        assert "red" in done.err + done.out and "shard" in done.err + done.out
        assert exports.visible(tmp_path / "out") == []
    finally:
        node.call("DELETE", "/red")


def test_one_bad_table_does_not_stop_the_others(bulkhaul, node, tmp_path):
    for name, kind in (("mix-a", "keyword"), ("mix-b", "object"), ("fine", "keyword")):
        node.create(name, {"f": {"type": kind}})
    node.bulk("mix-a", [{"f": "x"}])
    node.bulk("mix-b", [{"f": {"g": 1}}])
    node.bulk("fine", [{"f": "x"}] * 3)
    refused = bulkhaul("copy", node.uri("mix-*"), tmp_path / "out", code=None)
    assert refused.code != 0 and "mix-a" in refused.err and "mix-b" in refused.err
    bulkhaul("copy", node.uri("mix-*"), tmp_path / "out", "--type-conflict", "json")
    assert exports.read(tmp_path / "out" / "mix").num_rows == 2


def words_of_a_job(logs, out) -> list:
    return ["copy", logs, out, "--job-id", "job", "--unit-rows", "60", "--page-documents", "25"]


def test_resume_after_a_kill(bulkhaul, node, logs, tmp_path):
    words = words_of_a_job(logs, tmp_path / "out")
    units = plan(bulkhaul, logs, tmp_path / "out", "--unit-rows", "60")["units"]
    for point in ("ledger.unit_done#7", "ledger.unit_done#20"):
        killed = bulkhaul(*words, env={"BULKHAUL_CRASH_AT": point}, code=None)
        assert killed.code == -signal.SIGKILL
        words = ["resume", "job"]
    assert exports.visible(tmp_path / "out") == []
    report = tmp_path / "report.json"
    bulkhaul("resume", "job", "--report", report)
    assert sequence(tmp_path / "out") == list(range(DAYS * PER_DAY))
    assert json.loads(report.read_text())["totals"]["units"] <= units - 25
    node.forget_scrolls()


def test_resume_reads_what_changed_again(bulkhaul, node, tmp_path):
    for number in (1, 2):
        node.create(f"live-{number}", PROPERTIES)
        node.bulk(f"live-{number}", [{**document, "_id": str(document["seq"])}
                                     for document in documents_of(number - 1)])
    words = words_of_a_job(node.uri("live-*"), tmp_path / "out")
    killed = bulkhaul(*words, "--workers", "1", env={"BULKHAUL_CRASH_AT": "ledger.unit_done#14"},
                      code=None)
    assert killed.code == -signal.SIGKILL
    # From the last slice to the first, which has been read already: lost, if nothing were read
    # again; and one document less.
    node.call("POST", "/live-1/_update/499?refresh=true",
              {"doc": {"@timestamp": stamp(START)}})
    node.call("DELETE", "/live-1/_doc/3?refresh=true")
    done = bulkhaul("resume", "job")
    assert "read again, because live-1 changed" in done.err
    assert sequence(tmp_path / "out") == sorted({*range(2 * PER_DAY)} - {3})
    node.forget_scrolls()


def test_killed_at_random_instants(bulkhaul, node, logs, tmp_path):
    out = tmp_path / "out"
    words = [*words_of_a_job(logs, out), "--metadata-columns", "_id"]
    kills = faults.RandomKills(bulkhaul, words, seed=3)
    kills.run_whole()
    wanted = exports.checksum(out / "logs")
    for turn in kills.turns(faults.rounds(15)):
        shutil.rmtree(out)
        shutil.rmtree(bulkhaul.state)
        kills.strike()
        assert not (out / "logs").exists() or exports.checksum(out / "logs") == wanted
        faults.finish_job(bulkhaul, words, "job")
        assert exports.checksum(out / "logs") == wanted, f"turn {turn}"
    node.forget_scrolls()


class Meddler(http.server.ThreadingHTTPServer):
    """Passes requests on to the node and lets a function change the answers."""

    def __init__(self, node, change):
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self):
                length = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(length) if length else None
                request = urllib.request.Request(
                    node.http + self.path, body, {"Content-Type": "application/json"},
                    method=self.command)
                try:
                    with urllib.request.urlopen(request) as found:
                        status, text = found.status, found.read()
                except urllib.error.HTTPError as error:
                    status, text = error.code, error.read()
                text = change(self.path, text)
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            do_GET = do_POST = do_DELETE = answer

            def log_message(self, *_):
                pass

        super().__init__(("127.0.0.1", 0), Handler)
        self.daemon_threads = True
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def uri(self, path: str) -> str:
        return f"opensearch://127.0.0.1:{self.server_address[1]}/{path}"

    def __exit__(self, *_):
        self.shutdown()
        self.server_close()


def fail_words(out) -> list:
    return [out, "--job-id", "job", "--retries", "1", "--retry-delay", "1ms"]


def test_counts_that_disagree_fail_the_job_and_resume_mends_it(bulkhaul, node, logs, tmp_path):
    lies = [True]

    def change(path, text):
        if lies[0] and path.startswith("/logs-2024.03.02/_count"):
            answer = json.loads(text)
            answer["count"] += 1
            return json.dumps(answer).encode()
        return text

    with Meddler(node, change) as meddler:
        done = bulkhaul("copy", meddler.uri("logs-*"), *fail_words(tmp_path / "out"), code=None)
        assert done.code != 0
        assert "500 documents of index logs-2024.03.02 were read, but the server counts 501" in (
            done.err + done.out)
        assert exports.visible(tmp_path / "out") == []
        lies[0] = False
        report = tmp_path / "report.json"
        bulkhaul("resume", "job", "--report", report)
        assert json.loads(report.read_text())["totals"]["units"] == 1
    assert sequence(tmp_path / "out") == list(range(DAYS * PER_DAY))


def a_hit_less(answer):
    if answer["hits"]["hits"]:
        answer["hits"]["hits"].pop()


def timed_out(answer):
    answer["timed_out"] = True


def a_shard_less(answer):
    answer["_shards"]["successful"] = 0


def ended_early(answer):
    answer["terminated_early"] = True


@pytest.mark.parametrize("harm", [a_hit_less, timed_out, a_shard_less, ended_early],
                         ids=lambda harm: harm.__name__)
def test_silent_losses_are_errors(bulkhaul, node, logs, tmp_path, harm):
    def change(path, text):
        if "/_search" in path and "scroll" in path:
            answer = json.loads(text)
            if "hits" in answer:
                harm(answer)
                return json.dumps(answer, separators=(",", ":")).encode()
        return text

    with Meddler(node, change) as meddler:
        # One worker: what others ask for just then is no matter of this test.
        done = bulkhaul("copy", meddler.uri("logs-*"), *fail_words(tmp_path / "out"), "--workers",
                        "1", code=None)
    assert done.code != 0
    assert exports.visible(tmp_path / "out") == []
    assert node.has_no_scroll_soon()


def test_no_scroll_is_left_open(bulkhaul, node, logs, tmp_path):
    slow = ["--page-documents", "5", "--documents-per-second", "20", "--workers", "2"]
    process = bulkhaul.start("copy", logs, tmp_path / "out", "--progress", "none", *slow)
    while node.open_scrolls() < 2:
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    assert bulkhaul.finish(process).code == 130
    assert node.has_no_scroll_soon()


def test_limit(bulkhaul, logs, tmp_path):
    bulkhaul("copy", logs, tmp_path / "out", "--limit", "7")
    assert len(sequence(tmp_path / "out")) == 7


def test_a_monthly_roll_up_equals_the_servers_aggregation(bulkhaul, node, tmp_path):
    node.create("sales", {"@timestamp": {"type": "date"}, "shop": {"type": "keyword"},
                          "bytes": {"type": "long"}, "ms": {"type": "double"}})
    node.bulk("sales", [
        {"@timestamp": stamp(START + number * DAY / 8), "shop": f"shop {number % 3}",
         **({"bytes": number * 7} if number % 5 else {}), "ms": number % 100 / 4}
        for number in range(2000)])
    bulkhaul("copy", node.uri("sales"), tmp_path / "out", "--unit-rows", 300, "--group-by",
             "shop, month(@timestamp)", "--aggregates",
             "count, sum(bytes), min(bytes), max(bytes), mean(ms) as latency")
    found = rows(tmp_path / "out", 'SELECT shop, epoch_ms("month_@timestamp"), count, sum_bytes, '
                                   "min_bytes, max_bytes, latency FROM {rows} ORDER BY ALL")
    metrics = {"sum": {"sum": {"field": "bytes"}}, "min": {"min": {"field": "bytes"}},
               "max": {"max": {"field": "bytes"}}, "mean": {"avg": {"field": "ms"}}}
    answer = node.call("POST", "/sales/_search", {"size": 0, "aggs": {"shop": {
        "terms": {"field": "shop", "order": {"_key": "asc"}}, "aggs": {"month": {
            "date_histogram": {"field": "@timestamp", "calendar_interval": "month"},
            "aggs": metrics}}}}})
    wanted = [
        (shop["key"], month["key"], month["doc_count"], int(month["sum"]["value"]),
         int(month["min"]["value"]), int(month["max"]["value"]), month["mean"]["value"])
        for shop in answer["aggregations"]["shop"]["buckets"]
        for month in shop["month"]["buckets"]]
    assert len(wanted) > 20
    assert [row[:6] for row in found] == [row[:6] for row in wanted]
    assert [row[6] for row in found] == pytest.approx([row[6] for row in wanted], rel=1e-14)
    refused = bulkhaul("copy", node.uri("sales"), tmp_path / "no", "--group-by", "shpo", code=None)
    assert refused.code in (1, 2)
    assert "shpo" in refused.err
    node.drop("sales")


def test_documents_of_20_mb_inside_256_mib(bulkhaul, node, tmp_path):
    for index in ("huge-1", "huge-2"):
        node.create(index, {"seq": {"type": "long"}, "body": {"type": "text", "index": False}})
        for number in range(3):
            node.bulk(index, [{"seq": number, "body": str(number) * 20_000_000}])
    report = tmp_path / "report.json"
    bulkhaul("copy", node.uri("huge-*"), tmp_path / "out", "--memory-limit", "256MiB",
             "--progress", "none", "--report", report)
    node.drop("huge-*")
    found = exports.query(exports.table_folders(tmp_path / "out")[0],
                          "SELECT seq, count(*), min(length(body)), count(DISTINCT body) FROM {rows} "
                          "GROUP BY seq ORDER BY seq")
    assert found == [(number, 2, 20_000_000, 1) for number in range(3)]
    assert json.loads(report.read_text())["memory"]["peak_rss_bytes"] <= 256 << 20
