"""Values of CSV and JSON files: taken exactly, or refused with their place and a way out."""

from __future__ import annotations

import decimal
import json

import pyarrow as pa
import pytest

from support.files import load, refuse, write  # noqa: F401


@pytest.mark.parametrize("line, path", [
    ('{"a":9007199254740993}', "a"), ('{"a":12345678901234567}', "a"),
    ('{"a":-36893488147419103233}', "a"), ('{"s":{"b":9007199254740993}}', "s.b"),
    ('{"l":[1,9007199254740993]}', "l[]")])
def test_whole_numbers_in_json_are_never_rounded(load, refuse, tmp_path, line, path):
    key = path[0]
    number = line.strip("{}]").split(":")[-1].split(",")[-1]
    first = line.replace(number, "1.5").replace("[1,1.5", "[1,2.5")
    for words in ((), ("--sample-rows", "1")):
        file = write(tmp_path / "k.jsonl", f"{first}\n{line}\n")
        said = refuse(file, *words)
        assert f"k.jsonl: line 2: column '{path}': '{number}' has more digits than a double" in said
        assert f"cast: {key}: string" in said
        rows = load(file, "--cast", f"{key}=string", *words)
        assert number in rows[1][key] and len(rows) == 2
        if path == "a":
            rows = load(file, "--cast", '"a=decimal(38,1)"', *words)
            assert [row["a"] for row in rows] == [decimal.Decimal("1.5"), decimal.Decimal(number)]
        rows = load(file, "--type-mismatch", "null", *words)
        assert "None" in str(rows[1][key])


def test_large_whole_numbers_that_fit_are_taken(load, tmp_path):
    # A field of the same name elsewhere is a double; this one is not.
    file = write(tmp_path / "a.jsonl", '{"id":9007199254740993,"s":{"id":1.5}}\n'
                                       '{"id":1,"s":{"id":9007199254740992}}\n')
    assert load(file) == [{"id": 9007199254740993, "s": {"id": 1.5}},
                          {"id": 1, "s": {"id": 9007199254740992.0}}]


@pytest.mark.parametrize("values, words", [
    (['1', '"x"'], "'x' is text, and values before it are numbers"),
    (['true', '1'], "'1' is a number, and values before it are true or false"),
    (['[1]', '{"b":1}'], "'{\"b\":1}' is an object, and values before it are arrays")])
def test_json_of_several_kinds(bulkhaul, load, refuse, tmp_path, values, words):
    file = write(tmp_path / "m.jsonl", "".join(f'{{"a":{value},"k":1}}\n' for value in values))
    for sample in ((), ("--sample-rows", "0")):
        said = refuse(file, *sample)
        assert f"m.jsonl: line 2: column 'a': {words}" in said
        assert "cast: a: string" in said and "type_mismatch: null" in said
        assert "larger sample_rows" not in said
        as_text = [row["a"] for row in load(file, "--cast", "a=string", *sample)]
        assert as_text == [value.strip('"') for value in values]
        first, second = load(file, "--type-mismatch", "null", *sample)
        assert (first["a"], second["a"]) == (json.loads(values[0]), None) and second["k"] == 1
    # A kind that the sample does not have.
    late = write(tmp_path / "late.jsonl", f'{{"a":{values[0]}}}\n' * 1500 + f'{{"a":{values[1]}}}\n')
    said = refuse(late)
    assert "late.jsonl: line 1501: column 'a': '" + values[1].strip('"') + "' is no" in said
    assert load(late, "--cast", "a=string")[-1]["a"] == values[1].strip('"')
    report = bulkhaul("copy", late, tmp_path / "counted", "--type-mismatch", "null", "--progress",
                      "none", "--output", "json").json
    assert report["tables"][0]["counters"]["type_mismatch_null"] == 1


def test_what_later_rows_of_json_have(load, refuse, tmp_path):
    file = write(tmp_path / "u.jsonl", '{"a":1}\n' * 1200 + '{"a":1,"s":2}\n')
    assert "u.jsonl: line 1201: the rows that were looked at have no field 's'" in refuse(file)
    assert load(file, "--sample-rows", "0")[-1] == {"a": 1, "s": 2}
    write(file, '{"a":1}\n' * 1200 + '{"a":1.5}\n')
    said = refuse(file)
    assert "u.jsonl: line 1201: column 'a': '1.5' is no int64. A larger sample_rows" in said
    assert load(file, "--sample-rows", "0")[-1] == {"a": 1.5}
    write(file, '{"at":"2024-01-01"}\n' * 1200 + '{"at":"soon"}\n')
    assert [row["at"] for row in load(file, "--type-mismatch", "null")].count(None) == 1
    # Renamed columns are cast by the names that they get.
    write(file, '{"A":1}\n{"A":"x"}\n')
    assert load(file, "--column-naming", "lower", "--cast", "a=string") == [{"a": "1"}, {"a": "x"}]
