"""`reject: quarantine` of rows that are no rows of the table: what cannot be read is put aside with
its text, everything else is loaded, and nothing is lost."""

from __future__ import annotations

import gzip
import json
import pathlib
import random

import pyarrow
import pyarrow.parquet as parquet
import pytest

ASIDE = ("--reject", "quarantine")
CONTRACT = """columns:
  id: {type: int64, nullable: false}
  amount: {type: 'decimal(9,2)', min: 0}
  note: string
"""


@pytest.fixture
def contract(tmp_path) -> pathlib.Path:
    path = tmp_path / "contract.yaml"
    path.write_text(CONTRACT)
    return path


@pytest.fixture
def copy(bulkhaul, tmp_path):
    """Its report's table, what it put aside, by line, and its report."""
    def run(*words, verb: str = "copy", code: int = 0, env=None):
        report = tmp_path / "report.json"
        outcome = bulkhaul(verb, *words, "--report", report, "--progress", "none", code=code, env=env)
        if code != 0:
            return outcome.err
        table = json.loads(report.read_text())["tables"][0]
        aside = table["rejected_to"]
        rows = parquet.read_table(aside).to_pylist() if aside else []
        assert len(rows) == table["rows_rejected"]
        assert table["rows_read"] == table["rows"] + table["rows_rejected"]
        return table, sorted(rows, key=lambda row: (row["_file"], row["_line"]))
    return run


def told(rows) -> list:
    return [(row["_line"], row["_column"], row["_rule"], row["_value"], row["_text"])
            for row in rows]


BAD_CSV = (b"id,amount,note\n" b"1,1.50,a\n" b"x,2,b\n" b"3,3,c,d\n" b"4,4\n" b'5,5,"e\ne"\n'
           b"6,6,\xff\n" b"7,1.555,g\n" b'8,8,"h"h\n' b"\n" b"9,-9,i\n" b"10,10,\n")
TOLD_CSV = [(3, "id", "type: int64", "x", "x,2,b"),
            (4, None, "fields: 4 instead of 3", None, "3,3,c,d"),
            (5, None, "fields: 2 instead of 3", None, "4,4"),
            (8, "note", "utf-8", "\ufffd", "6,6,\ufffd"),
            (9, "amount", "type: decimal(9,2)", "1.555", "7,1.555,g"),
            (10, "note", "quotes", '"h"h', '8,8,"h"h')]


@pytest.mark.parametrize("zipped", [False, True])
def test_each_kind_of_csv_under_a_contract(copy, contract, tmp_path, zipped):
    path = tmp_path / ("rows.csv.gz" if zipped else "rows.csv")
    path.write_bytes(gzip.compress(BAD_CSV) if zipped else BAD_CSV)
    table, aside = copy(path, tmp_path / "out", "--contract", contract, *ASIDE)
    assert told(aside) == TOLD_CSV + [(12, "amount", "min: 0", "-9.00", None)]
    assert {row["_file"] for row in aside} == {str(path)}
    assert [row["_row"] for row in aside] == [None] * 6 + [3]
    assert [row["id"] for row in aside] == [None] * 6 + [9]
    assert table["rows"] == 3
    assert "contract: 1 row rejected: amount, min: 0" in table["explanations"]
    assert "not read: 1 row rejected: fields: 4 instead of 3" in table["explanations"]
    loaded = [row for part in sorted((tmp_path / "out").glob("*/*.parquet"))
              for row in parquet.read_table(part).to_pylist() if "_quarantine" not in str(part)]
    assert [(row["id"], row["note"]) for row in loaded] == [(1, "a"), (5, "e\ne"), (10, None)]


@pytest.mark.parametrize("words", [("--cast", "id=int64", "--cast", "amount=decimal(9,2)"), ()])
def test_into_postgres_without_a_contract(copy, postgres, database, tmp_path, words):
    """What the sample does not show is text: there no value is wrong."""
    path = tmp_path / "rows.csv"
    path.write_bytes(BAD_CSV)
    table, aside = copy(path, postgres.uri_of(database), "--target-table", "public.unread_rows",
                        "--quarantine", tmp_path / "aside", *words, *ASIDE)
    assert pathlib.Path(table["rejected_to"]).parent == tmp_path / "aside"
    by_type = ("id", "amount") if words else ()
    assert told(aside) == [row for row in TOLD_CSV if row[1] not in {"id", "amount"} - set(by_type)]
    found = postgres.sql("SELECT id::text FROM unread_rows", database)
    wanted = ["1", "5", "9", "10"] + ([] if words else ["x", "7"])
    assert sorted(row[0] for row in found) == sorted(wanted)
    postgres.sql("DROP TABLE unread_rows", database)


def test_values_behind_the_sample(copy, postgres, database, tmp_path):
    path = tmp_path / "rows.csv"
    lines = [f"{i},{i}.5" for i in range(1, 3001)]
    lines[2000] = "2001,many"
    path.write_text("id,n\n" + "\n".join(lines) + "\n")
    for destination in (tmp_path / "out", postgres.uri_of(database)):
        err = copy(path, destination, "--target-schema", "public", code=1) \
            if "postgres" in str(destination) else copy(path, destination, code=1)
        assert "line 2002, column 'n': 'many' is no double" in err
        assert "reject: quarantine puts such rows aside" in err
    _, aside = copy(path, tmp_path / "out", *ASIDE)
    assert told(aside) == [(2002, "n", "type: double", "many", "2001,many")]
    words = ["--target-table", "public.behind", "--quarantine", tmp_path / "aside", *ASIDE]
    _, aside = copy(path, postgres.uri_of(database), *words)
    assert told(aside) == [(2002, "n", "type: double", "many", "2001,many")]
    assert postgres.sql("SELECT count(*), count(*) FILTER (WHERE id = 2001) FROM behind",
                        database) == [(2999, 0)]
    postgres.sql("DROP TABLE behind", database)


def test_options_of_a_kind_come_first(copy, tmp_path):
    path = tmp_path / "rows.csv"
    path.write_bytes(BAD_CSV)
    table, aside = copy(path, tmp_path / "out", "--cast", "id=int64", "--cast",
                        "amount=decimal(9,2)", "--type-mismatch", "null", "--ragged", "skip",
                        "--invalid-utf8", "replace", *ASIDE)
    assert told(aside) == [TOLD_CSV[-1]]
    assert table["counters"]["ragged_skipped"] == 2
    assert table["rows"] == 7


def damaged(seed: int, rows: int, path) -> tuple[dict, dict]:
    """A file of rows with damage here and there: ids of the good rows and of the bad, with lines."""
    chance = random.Random(seed)
    good, bad, line, text = {}, {}, 2, ["id,n,note\n"]
    for i in range(rows):
        note = chance.choice(["a", '"b, c"', '"d\ne"', '"f""\r\n\ng"', ""])
        kind = chance.randrange(400)
        row = f"{i},{i * 7},{note}"
        if kind == 0:
            row = f"{i},seven,{note}"
        elif kind == 1:
            row += ",more"
        elif kind == 2:
            row = f"{i}"
        elif kind == 3:
            row = f"{i},{i},\udcff"
        elif kind == 4:
            row = f'{i},{i},"x"y'
        (bad if kind < 5 else good)[i] = line
        text.append(row + "\n")
        line += row.count("\n") + 1
    path.write_bytes("".join(text).encode("utf-8", "surrogateescape"))
    return good, bad


@pytest.mark.parametrize("seed", range(4))
def test_loaded_and_put_aside_are_all_rows(copy, postgres, database, tmp_path, seed):
    path = tmp_path / "rows.csv"
    good, bad = damaged(seed, 12_000, path)
    words = ["--cast", "id=int64", "--cast", "n=int64", "--unit-bytes",
             random.Random(seed).choice(["4KiB", "16KiB", "1MiB"]), *ASIDE]
    if seed % 2 == 0:
        table, aside = copy(path, tmp_path / "out", *words)
        loaded = [row for part in (tmp_path / "out").glob("*/*.parquet")
                  if "_quarantine" not in str(part)
                  for row in parquet.read_table(part, columns=["id"])["id"].to_pylist()]
    else:
        table, aside = copy(path, postgres.uri_of(database), "--target-table", "public.damaged",
                            "--quarantine", tmp_path / "aside", "--workers", 2, *words)
        loaded = [row[0] for row in postgres.sql("SELECT id FROM damaged", database)]
        postgres.sql("DROP TABLE damaged", database)
    assert sorted(loaded) == sorted(good)
    assert {int(row["_text"].split(",")[0]): row["_line"] for row in aside} == bad
    assert len(aside) == len(bad)


def test_too_many_publish_nothing(copy, postgres, database, tmp_path):
    path = tmp_path / "rows.csv"
    _, bad = damaged(7, 12_000, path)
    words = [path, postgres.uri_of(database), "--target-table", "public.many", "--cast", "id=int64",
             "--cast", "n=int64", "--quarantine", tmp_path / "aside", "--unit-bytes", "16KiB", *ASIDE]
    err = copy(*words, "--max-rejects", len(bad) - 1, code=1)
    assert f"more than {len(bad) - 1} rows" in err and "(max_rejects)" in err
    assert not (tmp_path / "aside").exists()
    assert postgres.sql("SELECT to_regclass('many')::text", database) == [(None,)]
    copy(*words, "--max-rejects", len(bad))
    postgres.sql("DROP TABLE many", database)


@pytest.mark.parametrize("point", ["ledger.unit_done#5", "ledger.dataset_staged",
                                   "postgres.unit_committed#3"])
def test_a_killed_load_keeps_what_it_put_aside(copy, bulkhaul, postgres, database, tmp_path, point):
    path = tmp_path / "rows.csv"
    good, bad = damaged(11, 12_000, path)
    bulkhaul("copy", path, postgres.uri_of(database), "--target-table", "public.killed", "--cast",
             "id=int64", "--cast", "n=int64", "--quarantine", tmp_path / "aside", "--unit-bytes",
             "16KiB", "--job-id", "night", *ASIDE, env={"BULKHAUL_CRASH_AT": point}, code=None)
    assert not (tmp_path / "aside").exists()
    table, aside = copy("night", verb="resume")
    assert {int(row["_text"].split(",")[0]): row["_line"] for row in aside} == bad
    assert len(aside) == len(bad) and table["rows"] == len(good)
    assert postgres.sql("SELECT count(*), count(DISTINCT id) FROM killed",
                        database) == [(len(good), len(good))]
    postgres.sql("DROP TABLE killed", database)


BAD_JSON = [b'{"id": 1, "n": 1.5, "at": "2024-01-02", "in": {"k": 1}}',
            b'{"id": "two", "n": 2, "at": "2024-01-02"}',
            b'{"id": 3, "n": 3,', b'[4]', b'5', b"",
            b'{"id": 6, "n": 6, "at": "\xff"}',
            b'{"id": 7, "more": true}',
            b'{"id": 8, "at": "8th of May"}',
            b'{"id": 9, "in": {"k": "nine"}}',
            b'{"id": 10, "n": 10, "at": "2024-01-10"}', b"no json at all"]
TOLD_JSON = [(1002, "id", "type: int64", "two"), (1003, None, "json", None),
             (1004, None, "json", None), (1005, None, "json", None),
             (1007, "at", "utf-8", "\ufffd"), (1008, "more", "unknown field", "true"),
             (1009, "at", "type: date", "8th of May"), (1010, "in.k", "type: int64", "nine"),
             (1012, None, "json", None)]


@pytest.mark.parametrize("with_contract", [False, True])
@pytest.mark.parametrize("size", ["8KiB", "1MiB"])
def test_each_kind_of_json(copy, tmp_path, with_contract, size):
    path = tmp_path / "rows.jsonl"
    first = [BAD_JSON[0]] * 1000
    path.write_bytes(b"\n".join(first + BAD_JSON) + b"\n")
    words = ["--unit-bytes", size, *ASIDE]
    if with_contract:
        (tmp_path / "c.yaml").write_text("columns: {id: {type: int64, max: 9}, n: double, at: date, "
                                         "in: {}}\n")
        words += ["--contract", tmp_path / "c.yaml"]
    table, aside = copy(path, tmp_path / "out", *words)
    wanted = [*TOLD_JSON, (1011, "id", "max: 9", "10")] if with_contract else TOLD_JSON
    assert [row[:4] for row in told(aside)] == sorted(wanted, key=lambda row: row[0])
    for row in aside:
        text = BAD_JSON[row["_line"] - 1001].decode(errors="replace")
        assert row["_text"] == (None if row["_line"] == 1011 else text)
    assert table["rows"] == 1001 + (not with_contract)


def test_json_of_a_sample_with_bad_lines(copy, tmp_path):
    """The first line is the one that is wrong: most of the lines say what a field holds."""
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'{"id": "x"}\nno json\n{"id": 1}\n{"id": 2}\n{"id": "\xff"}\n{"id": 3}\n')
    _, aside = copy(path, tmp_path / "out", *ASIDE)
    assert [row[:4] for row in told(aside)] == [(1, "id", "type: int64", "x"), (2, None, "json", None),
                                                (5, "id", "utf-8", "\ufffd")]
    err = copy(path, tmp_path / "no", code=1)
    assert "reject: quarantine" in err


@pytest.mark.parametrize("bad", [b"", b"no json\n"])
def test_json_whose_numbers_become_text_or_decimals(copy, bulkhaul, tmp_path, bad):
    """What a type makes text of is text before it is asked what most values of a field are."""
    path = tmp_path / "rows.jsonl"
    path.write_bytes(bad + b'{"id":1,"amount":1.25,"o":{"k":1}}\n{"id":2,"amount":30,"o":[2]}\n')
    plain = tmp_path / "plain.jsonl"
    plain.write_bytes(bad + b'{"id":1,"amount":1.25}\n{"id":2,"amount":30}\n')
    contract = tmp_path / "c.yaml"
    contract.write_text("columns: {id: int64, amount: 'decimal(15,2)'}\n")
    found = bulkhaul("contract", "check", plain, contract, code=1 if bad else 0)
    assert "2 rows keep the contract" in found.out, found.out
    table, aside = copy(plain, tmp_path / "out", "--contract", contract, *ASIDE)
    assert (table["rows"], len(aside)) == (2, len(bad[:1]))
    words = ("--cast", "amount=string", "--cast", "o=string", "--cast", "id=decimal(9,0)", *ASIDE)
    table, aside = copy(path, tmp_path / "cast", *words)
    assert (table["rows"], len(aside)) == (2, len(bad[:1]))
    rows = [row for part in (tmp_path / "cast").glob("*/*.parquet")
            if "_quarantine" not in str(part) for row in parquet.read_table(part).to_pylist()]
    assert [(str(row["id"]), row["amount"], row["o"]) for row in rows] == [
        ("1", "1.25", '{"k":1}'), ("2", "30", "[2]")]


def test_a_change_of_type_is_told_with_its_line_behind_bad_ones(copy, tmp_path):
    path = tmp_path / "rows.jsonl"
    row = b'{"id":1,"s":"2024-01-31"}\n'
    path.write_bytes(b"no json\nno json either\n" + row * 3 + b"no json\n" + row)
    contract = tmp_path / "c.yaml"
    contract.write_text("columns: {id: int64, s: int64}\n")
    err = copy(path, tmp_path / "out", "--contract", contract, *ASIDE, code=4)
    assert "line 3: '2024-01-31' is no int64" in err, err


def test_contract_check_lists_them(bulkhaul, contract, tmp_path):
    path = tmp_path / "rows.csv"
    path.write_bytes(BAD_CSV)
    outcome = bulkhaul("contract", "check", path, contract, code=1)
    assert "3 rows keep the contract, 7 break it" in outcome.out
    assert "fields: 4 instead of 3" in outcome.out and "type: int64" in outcome.out
    outcome = bulkhaul("contract", "check", path, contract, "--output", "json", code=1)
    rejected = json.loads(outcome.out)["tables"][0]["first_rejected"]
    assert len(rejected) == 7
    assert {"file": str(path), "line": "3", "row": "", "column": "id", "rule": "type: int64",
            "value": "x"} in rejected


def test_a_limit_ends_before_what_is_behind_it(copy, tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("id,n\n1,1\nx,2\n3,3\n4\n5,5\ny,6\n7\n8,8\n")
    _, aside = copy(path, tmp_path / "out", "--cast", "id=int64", "--limit", 3, *ASIDE)
    assert [row["_line"] for row in aside] == [3, 5]


@pytest.mark.parametrize("kind, bad", [
    ("csv", "x,1"), ("csv", "1"), ("csv", "1,2,3"), ("csv", '"1,1'), ("csv", '"1"1,1'),
    ("jsonl", '{"id": "x"}'), ("jsonl", "no json")])
def test_a_limit_ends_before_an_error_behind_it(copy, tmp_path, kind, bad):
    good = "1,1\n" if kind == "csv" else '{"id": 1, "n": 1}\n'
    header = "id,n\n" if kind == "csv" else ""
    path = tmp_path / f"rows.{kind}"
    path.write_text(header + good * 1500 + bad + "\n" + good * 10)
    for words in (("--limit", 10), ("--limit", 1500), ("--limit", 20, "--where", "id = 1")):
        table, _ = copy(path, tmp_path / f"out{len(list(tmp_path.glob('out*')))}", *words)
        assert table["rows"] == words[1]
    line = 1502 if kind == "csv" else 1501
    for words in (("--limit", 1501), ()):
        err = copy(path, tmp_path / "no", *words, code=1)
        assert f"rows.{kind}: line {line}" in err, err


def test_an_unclosed_quote_and_a_huge_row_are_errors(copy, tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text('id,note\n1,a\n2,"b\n3,c\n')
    assert "never closed" in copy(path, tmp_path / "out", *ASIDE, code=1)
    path.write_text("id,note\n1,a\n2,b," + "x" * 200_000 + "\n3,c\n")
    assert "longer than row_bytes_max" in copy(path, tmp_path / "out", "--row-bytes-max", "100KiB",
                                               *ASIDE, code=1)


def test_kept_units_are_those_without_bad_rows(copy, tmp_path):
    """The cache has what its file has: a unit with rows that were put aside is read again."""
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "1.csv").write_text("id,n\n1,1\n2,2\n")
    (folder / "2.csv").write_text("id,n\n3,3\nx,4\n")
    for turn in range(2):
        table, aside = copy(folder / "*.csv", tmp_path / f"out{turn}", "--cast", "id=int64",
                            "--cache-dir", tmp_path / "cache", "--cache", "--cache-settle", "0s", *ASIDE)
        assert (table["rows"], [row["_value"] for row in aside]) == (3, ["x"])


CASTS_JSON = """{"id": 1, "n": "12", "day": "2024-01-01"}
{"id": 2, "n": "x", "day": "2024-01-02"}
{"id": 3, "n": "14", "day": "soon"}
no json
{"id": 4000000000, "n": "y", "day": "2024-01-03"}
{"id": 6, "n": "-16", "day": "2024-01-05"}
{"id": 7, "n": null, "day": null}
"""
CASTS = ("--cast", "id=int32", "--cast", "n=int64", "--cast", "day=date")


@pytest.mark.parametrize("number", ["int64", "decimal(5,1)", "double"])
def test_rows_of_json_that_a_cast_refuses(copy, tmp_path, number):
    path = tmp_path / "rows.jsonl"
    path.write_text(CASTS_JSON)
    casts = ("--cast", "id=int32", "--cast", f"n={number}", "--cast", "day=date")
    table, aside = copy(path, tmp_path / "out", *casts, *ASIDE)
    assert told(aside) == [(2, "n", f"type: {number}", "x", None),
                           (3, "day", "type: date", "soon", None),
                           (4, None, "json", None, "no json"),
                           (5, "id", "type: int32", "4000000000", None)]
    assert [(row["id"], row["n"] is None, row["_row"]) for row in aside] == \
        [(2, True, 2), (3, False, 3), (None, True, None), (None, True, 4)]
    assert {row["_file"] for row in aside} == {str(path)}
    assert table["rows"] == 3
    explained = "\n".join(table["explanations"])
    assert "not read: 1 row rejected: id, type: int32" in explained
    rows = parquet.read_table(tmp_path / "out").to_pylist()
    assert [row["id"] for row in rows] == [1, 6, 7]
    err = copy(path, tmp_path / "few", *casts, *ASIDE, "--max-rejects", 3, code=1)
    assert "more than 3 rows" in err and "n, type: " in err, err


def test_rules_still_hold_for_rows_that_a_cast_takes(copy, tmp_path):
    path, rules = tmp_path / "rows.jsonl", tmp_path / "rules.yaml"
    path.write_text(CASTS_JSON)
    rules.write_text("columns:\n  id: {type: int32, nullable: false, unique: true}\n"
                     "  n: {type: int64, min: 0}\n  day: date\n")
    table, aside = copy(path, tmp_path / "out", "--contract", rules, *CASTS, *ASIDE)
    assert [(row["_line"], row["_column"], row["_rule"]) for row in aside] == [
        (2, "n", "type: int64"), (3, "day", "type: date"), (4, None, "json"),
        (5, "id", "type: int32"), (6, "n", "min: 0")]
    assert table["rows"] == 2
    copy(path, tmp_path / "fails", "--contract", rules, *CASTS, code=1)


def test_nulls_go_before_and_other_names_and_conditions_are_kept(copy, tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text(CASTS_JSON.replace("no json\n", "") * 1000)
    table, _ = copy(path, tmp_path / "null", *CASTS, *ASIDE, "--type-mismatch", "null")
    assert (table["rows"], table["rows_rejected"]) == (6000, 0)
    words = ("--rename", "n=number", "--cast", "number=int64", "--where", "id <= 2",
             "--unit-bytes", "64KiB", *ASIDE)
    report, aside = copy(path, tmp_path / "where", *words)
    assert (report["rows"], len(aside)) == (1000, 1000)
    assert [row["_line"] for row in aside] == list(range(2, 6000, 6))
    assert {(row["_column"], row["_value"]) for row in aside} == {("number", "x")}


def test_rows_of_parquet_that_a_cast_refuses(copy, tmp_path):
    path = tmp_path / "rows.parquet"
    columns = pyarrow.table({"id": [1, 2, 3], "n": ["1", "x", "3"]})
    schema = pyarrow.schema([pyarrow.field("id", "int64"), pyarrow.field("n", "string", False)])
    parquet.write_table(columns.cast(schema), path)
    table, aside = copy(path, tmp_path / "out", "--cast", "n=int32", *ASIDE)
    assert [(row["_file"], row["_row"], row["_column"], row["_rule"], row["_value"], row["id"])
            for row in aside] == [(str(path), 2, "n", "type: int32", "x", 2)]
    assert table["rows"] == 2
    assert "cast: column 'n' holds x" in copy(path, tmp_path / "no", "--cast", "n=int32", code=1)
