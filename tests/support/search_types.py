"""Every field type of OpenSearch and Elasticsearch: what a document holds and what must come out."""

from __future__ import annotations

import datetime
import decimal
import json

from support import exports
from support.search import SearchError

UTC = datetime.timezone.utc
BIG = 2**63 - 1
TIME = datetime.datetime(2024, 3, 1, 10, 15, 30, 123000, tzinfo=UTC)
POLYGON = {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 0]]]}


class AsJson:
    """Comes out as JSON text that means this."""

    def __init__(self, value):
        self.value = value


# name → mapping, values of the documents, Arrow type, values that come out (None: the same).
# The documents that have fewer values lack the field.
TYPES: dict[str, tuple[dict, list, str, list | None]] = {
    "byte": ({}, [-128, "127"], "int8", [-128, 127]),
    "short": ({}, [-32768, 32767], "int16", None),
    "integer": ({}, [-2**31, 2**31 - 1], "int32", None),
    "long": ({}, [-2**63, BIG, 2**53 + 1], "int64", None),
    "unsigned_long": ({}, [2**64 - 1, 0], "uint64", None),
    "half_float": ({}, [1.5, 0.1], "double", None),
    "float": ({}, [0.1, 16777217.0], "double", None),
    "double": ({}, [0.1, 1e300], "double", None),
    "scaled_float": ({"scaling_factor": 100}, [1.239, 5], "double", [1.239, 5.0]),
    "boolean": ({}, [True, "false", ""], "bool", [True, False, False]),
    "keyword": ({"ignore_above": 3}, ["a", "longer than three", ""], "string", None),
    "constant_keyword": ({"value": "same"}, ["same"], "string", ["same", "same", "same"]),
    "counted_keyword": ({}, ["a"], "string", None),
    "wildcard": ({}, ["a*b", "ü"], "string", None),
    "version": ({}, ["1.2.3-rc1"], "string", None),
    "text": ({}, ["some words", "mehr Wörter 🚚"], "string", None),
    "match_only_text": ({}, ["some words"], "string", None),
    "semantic_text": ({"inference_id": "none"}, ["some words"], "string", [AsJson("some words")]),
    "search_as_you_type": ({}, ["some words"], "string", None),
    "token_count": ({"analyzer": "standard"}, ["three little words"], "string", None),
    "ip": ({}, ["192.168.0.1", "2001:db8::1"], "string", None),
    "binary": ({}, ["AAEC/w==", ""], "binary", [b"\0\1\2\xff", b""]),
    "date": ({}, ["2024-03-01T10:15:30.123Z", 1709288130123], "timestamp[us, tz=UTC]",
             [TIME, TIME]),
    "date_nanos": ({}, ["2024-03-01T10:15:30.123456789Z"], "timestamp[ns, tz=UTC]",
                   [1709288130123456789]),
    "geo_point": ({}, [{"lat": 1.5, "lon": 2.5}, "3.5,4.5", [6.5, 5.5]],
                  "struct<lat: double, lon: double>",
                  [{"lat": 1.5, "lon": 2.5}, {"lat": 3.5, "lon": 4.5}, {"lat": 5.5, "lon": 6.5}]),
    "geo_shape": ({}, [POLYGON, "POINT (1 2)"], "string", [AsJson(POLYGON), AsJson("POINT (1 2)")]),
    "point": ({}, ["1,2"], "string", [AsJson("1,2")]),
    "shape": ({}, [POLYGON], "string", [AsJson(POLYGON)]),
    "xy_point": ({}, [{"x": 1, "y": 2}], "string", [AsJson({"x": 1, "y": 2})]),
    "xy_shape": ({}, [POLYGON], "string", [AsJson(POLYGON)]),
    "object": ({"enabled": False}, [{"any": [1, {"thing": 2}]}, 5], "string",
               [AsJson({"any": [1, {"thing": 2}]}), AsJson(5)]),
    "nested": ({"properties": {"a": {"type": "long"}}}, [[{"a": BIG}, {}], {"a": 2}],
               "list<item: struct<a: int64>>", [[{"a": BIG}, {"a": None}], [{"a": 2}]]),
    "flattened": ({}, [{"a": {"b": [1, "x"]}}], "string", [AsJson({"a": {"b": [1, "x"]}})]),
    "flat_object": ({}, [{"a": {"b": [1, "x"]}}], "string", [AsJson({"a": {"b": [1, "x"]}})]),
    **{f"{kind}_range": ({}, [{"gte": low, "lt": high}], "string",
                         [AsJson({"gte": low, "lt": high})])
       for kind, low, high in (("integer", 1, 2), ("long", -BIG, BIG), ("float", 0.5, 1.5),
                               ("double", 0.1, 0.2), ("date", "2024-03-01", "2024-03-02"),
                               ("ip", "10.0.0.0", "10.0.0.9"))},
    "completion": ({}, [{"input": ["a", "b"], "weight": 3}, "c"], "string",
                   [AsJson({"input": ["a", "b"], "weight": 3}), AsJson("c")]),
    "dense_vector": ({"dims": 3, "index": False}, [[0.5, -1.0, 2.0]], "list<item: float>", None),
    "knn_vector": ({"dimension": 3}, [[0.5, -1.0, 2.0]], "list<item: float>", None),
    "rank_vectors": ({"dims": 2}, [[[0.5, 1.0], [2.0, 3.0]]], "string",
                     [AsJson([[0.5, 1.0], [2.0, 3.0]])]),
    "sparse_vector": ({}, [{"a": 0.5}], "string", [AsJson({"a": 0.5})]),
    "rank_feature": ({}, [0.25], "double", None),
    "rank_features": ({}, [{"a": 0.5}], "string", [AsJson({"a": 0.5})]),
    "percolator": ({}, [{"match_all": {}}], "string", [AsJson({"match_all": {}})]),
    "join": ({"relations": {"a": "b"}}, ["a"], "string", [AsJson("a")]),
    "histogram": ({}, [{"values": [0.1, 0.2], "counts": [3, 7]}], "string",
                  [AsJson({"values": [0.1, 0.2], "counts": [3, 7]})]),
    "aggregate_metric_double": ({"metrics": ["min", "max"], "default_metric": "max"},
                                [{"min": 1.5, "max": 2.5}], "string",
                                [AsJson({"min": 1.5, "max": 2.5})]),
    "murmur3": ({}, ["x"], "string", None),
    "semver": ({}, ["1.2.3"], "string", [AsJson("1.2.3")]),
}
# What the servers without modules know, too.
CORE = {"byte", "short", "integer", "long", "half_float", "float", "double", "boolean", "keyword",
        "text", "ip", "binary", "date", "date_nanos", "geo_point", "object", "nested",
        "integer_range", "long_range", "float_range", "double_range", "date_range", "ip_range",
        "completion"}
DOCUMENTS = 3


def _same(found, wanted) -> bool:
    if isinstance(wanted, AsJson):
        return json.loads(found, parse_float=decimal.Decimal) == json.loads(
            json.dumps(wanted.value), parse_float=decimal.Decimal)
    if hasattr(found, "value") and isinstance(wanted, int):  # a timestamp of nanoseconds
        return found.value == wanted
    return found == wanted


def check_every_type(bulkhaul, node, destination) -> set[str]:
    """Reads an index with every type that the node knows; gives their names."""
    node.create("every-type", {"number": {"type": "long"}})
    known = {}
    for name, row in TYPES.items():
        field = {"f_" + name: {"type": name, **row[0]}}
        try:
            node.call("PUT", "/every-type/_mapping", {"properties": field})
            known[name] = row
        except SearchError as error:
            unknown = ("No handler for type", "does not exist. It might have been created")
            assert any(text in error.body for text in unknown), error
    documents = []
    for number in range(DOCUMENTS):
        document: dict = {"number": number}
        for name, (_, values, _, _) in known.items():
            if number < len(values):
                document["f_" + name] = values[number]
        documents.append(document)
    node.bulk("every-type", documents)
    bulkhaul("copy", node.uri("every-type"), destination)
    table = exports.read(destination / "every-type").sort_by("number")
    wrong = []
    for name, (_, values, type_name, wanted) in known.items():
        column = table["f_" + name]
        if str(column.type).replace("element:", "item:") != type_name:
            wrong.append(f"{name}: {column.type}, not {type_name}")
        wanted = list(values if wanted is None else wanted)
        wanted += [None] * (DOCUMENTS - len(wanted))
        for found, want in zip(column.to_pylist(), wanted):
            if not _same(found, want):
                wrong.append(f"{name}: {found!r}, not {getattr(want, 'value', want)!r}")
    assert not wrong, "\n".join(wrong)
    assert CORE <= set(known)
    return set(known)


DOC_VALUES = {"k": {"type": "keyword"}, "l": {"type": "long"}, "u": {"type": "unsigned_long"},
              "f": {"type": "double"}, "b": {"type": "boolean"}, "t": {"type": "date"},
              "n": {"type": "date_nanos"}, "text": {"type": "text"}}


def check_doc_values(bulkhaul, node, out) -> None:
    """The same rows as from the documents, or a refusal."""
    # The Elasticsearch of the tests has no unsigned_long.
    left_out = {"u"} if node.kind.startswith("elastic") else set()
    node.create("columns", {name: DOC_VALUES[name] for name in DOC_VALUES.keys() - left_out})
    node.bulk("columns", [
        {"k": "é\"\\ \n", "l": 2**53 + 1, "u": BIG, "f": 0.1, "b": True, "text": "x",
         "t": "2024-03-01T12:34:56.789Z", "n": "2024-03-01T12:34:56.123456789Z"},
        {"k": "", "l": -(2**63), "u": 0, "f": -1e300, "b": False, "t": 0, "text": "y"},
        {"text": "none of them"}])
    fields = ",".join(DOC_VALUES.keys() - left_out - {"text"})
    wanted = ["copy", node.uri("columns"), "--fields", fields, "--metadata-columns", "_id"]
    found = {}
    for fetch in ("source", "doc_values", "auto"):
        bulkhaul(*wanted[:2], out / fetch, *wanted[2:], "--fetch", fetch)
        table = exports.read(out / fetch / "columns")
        found[fetch] = (table.schema.names, table.schema.types,
                        sorted(table.to_pylist(), key=lambda row: row["_id"]))
    assert found["doc_values"] == found["auto"] == found["source"]
    assert sum(row["l"] == 2**53 + 1 for row in found["source"][2]) == 1
    bulkhaul("copy", node.uri("columns"), out / "plain", "--fields", "l", "--fetch", "doc_values")
    assert sorted(row["l"] or 0 for row in exports.read(out / "plain/columns").to_pylist()) == [
        -(2**63), 0, 2**53 + 1]
    refused = bulkhaul("copy", node.uri("columns"), out / "no", "--fetch", "doc_values", code=None)
    assert refused.code in (1, 2) and "'text'" in refused.err and "fetch: source" in refused.err
    node.bulk("columns", [{"k": ["b", "a"]}])
    refused = bulkhaul("copy", node.uri("columns"), out / "no", "--fields", "k", "--fetch",
                       "doc_values", code=None)
    assert refused.code in (1, 2) and "several values" in refused.err
    node.drop("columns")


WEEKS = {"week_date": "2020-W53-7", "strict_week_date": "2024-W09-5", "basic_week_date": "2021W011",
         "weekyear": "2024", "weekyear_week": "2026-W01", "strict_weekyear_week": "2015-W53",
         "weekyear_week_day": "2019-W01-1", "week_date_time": "2024-W9-5T01:00:00.25+01:00",
         "basic_week_date_time_no_millis": "2024W095T000000Z"}


def check_week_formats(bulkhaul, node, out) -> None:
    """What the server makes of each date, by its doc values."""
    for prefix in ("", "strict_"):
        formats = {name: name if name.startswith("strict_") else prefix + name for name in WEEKS}
        # A strict format takes no week of one digit.
        node.create("weeks", {name: {"type": "date", "format": written}
                              for name, written in formats.items()})
        node.bulk("weeks", [{name: text.replace("W9-", "W09-") if prefix else text
                             for name, text in WEEKS.items()}])
        bulkhaul("copy", node.uri("weeks"), out / f"weeks {prefix}")
        found = exports.read(out / f"weeks {prefix}" / "weeks").to_pylist()[0]
        hit = node.call("POST", "/weeks/_search", {"docvalue_fields": [
            {"field": name, "format": "epoch_millis"} for name in WEEKS]})["hits"]["hits"][0]
        wanted = {name: int(hit["fields"][name][0]) for name in WEEKS}
        assert {name: round(found[name].timestamp() * 1000) for name in WEEKS} == wanted
        node.drop("weeks")
