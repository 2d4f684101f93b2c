"""Files as a source: what a user gets of CSV, Parquet, Arrow and JSON files, good and bad ones."""

from __future__ import annotations

import bz2
import gzip
import json
import os
import pathlib
import random

import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq
import pytest

from support.files import load, refuse, write  # noqa: F401

SPECTRUM = pathlib.Path(__file__).resolve().parents[2] / "build" / "deps" / "npm" / "csv-spectrum"


@pytest.mark.parametrize("name", sorted(path.stem for path in (SPECTRUM / "csvs").glob("*.csv")))
def test_csv_spectrum(load, name):
    expected = json.loads((SPECTRUM / "json" / f"{name}.json").read_bytes().decode(errors="replace"))
    expected = expected if isinstance(expected, list) else [expected]
    if name == "location_coordinates":  # the suite's two files have different numbers here
        expected[0]["Contact Phone Number"] = "2095257564"
    # As text, with the empty text that the suite has for fields that are empty.
    casts = ",".join(f"{column}=string" for column in expected[0])
    rows = load(SPECTRUM / "csvs" / f"{name}.csv", "--cast", casts)
    assert [{key: value or "" for key, value in row.items()} for row in rows] == expected


def test_types_are_inferred_and_every_row_is_checked(load, refuse, tmp_path):
    lines = ["id,zip,price,paid,day,at,note"]
    lines += [f"{i},0{i:04},{i}.50,{'true' if i % 2 else 'false'},2024-01-{i % 28 + 1:02},"
              f"2024-01-01T00:00:{i % 60:02}Z,n{i}" for i in range(2000)]
    path = write(tmp_path / "data" / "sales.csv", "\n".join(lines))  # no final newline
    rows = load(path)
    assert [str(field.type) for field in load.table.schema] == [
        "int64", "string", "double", "bool", "date32[day]", "timestamp[us, tz=UTC]", "string"]
    assert len(rows) == 2000 and rows[7]["zip"] == "00007" and rows[1999]["id"] == 1999
    write(path, "\n".join(lines[:1900] + ["1.5,1,1,true,2024-01-01,2024-01-01T00:00:00Z,x"]))
    said = refuse(path)
    assert "sales.csv: line 1901, column 'id': '1.5' is no int64" in said
    # Widened by option, read as text, or as NULL that is counted.
    load(path, "--sample-rows", "0")
    assert load.table.schema.field("id").type == pa.float64()
    assert load(path, "--cast", "id=string")[-1]["id"] == "1.5"
    assert load(path, "--type-mismatch", "null")[-1]["id"] is None


def test_dates_in_other_forms(load, refuse, tmp_path):
    path = write(tmp_path / "a.csv", "d,t\n03/04/2024,1.2.2024 7:05\n05/06/2024,2.2.2024 17:05\n")
    assert "column 'd' has dates such as '03/04/2024'" in refuse(path)
    row = load(path, "--date-formats", "d=dd/MM/yyyy")[0]
    assert row["d"].isoformat() == "2024-04-03" and row["t"].isoformat() == "2024-02-01T07:05:00"
    assert load(path, "--cast", "d=string")[0]["d"] == "03/04/2024"


def test_numbers_beyond_int64_and_decimals(load, tmp_path):
    path = write(tmp_path / "a.csv", "big,money,null\n92233720368547758080,12.5,NULL\n1,0.25,7\n")
    rows = load(path, "--decimal-precision", "12,2")
    assert str(rows[0]["big"]) == "92233720368547758080" and str(rows[0]["money"]) == "12.50"
    assert rows[0]["null"] is None and rows[1]["null"] == 7


@pytest.mark.parametrize("pack, extension", [(gzip.compress, ".gz"), (bz2.compress, ".bz2"),
                                             (lambda data: pa.compress(data, "zstd").to_pybytes(),
                                              ".zst")])
def test_compressed(load, refuse, tmp_path, pack, extension):
    content = "a;b\n" + "".join(f"{i};\"x\n{i}\"\n" for i in range(50000))
    packed = pack(content.encode())
    path = write(tmp_path / f"in.csv{extension}", packed)
    rows = load(path)
    assert len(rows) == 50000 and rows[-1] == {"a": 49999, "b": "x\n49999"}
    write(path, packed[:len(packed) // 2])
    assert "in.csv" in refuse(path, "--retries", "0")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_encodings(load, tmp_path, encoding):
    path = write(tmp_path / "a.csv", '"näme",b\r\nü😀,1\r\n'.encode(encoding))
    assert load(path) == [{"näme": "ü😀", "b": 1}]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_encodings_of_json_lines(load, tmp_path, encoding):
    path = write(tmp_path / "a.jsonl", '{"näme":"ü😀"}\r\n{"näme":"b"}'.encode(encoding))
    assert load(path) == [{"näme": "ü😀"}, {"näme": "b"}]


def test_json_lines_that_are_no_utf8(load, refuse, tmp_path):
    path = write(tmp_path / "a.jsonl", '{"a":"x"}\n{"a":"Müller"}\n'.encode("latin-1"))
    assert "a.jsonl: line 2: the text is not valid UTF-8" in refuse(path)
    assert load(path, "--source-encoding", "latin1")[1]["a"] == "Müller"
    late = write(tmp_path / "b.jsonl", b'{"a":"x"}\n' * 3000 + b'{"a":"\xfc"}\n')
    assert "b.jsonl: line 3001: the text is not valid UTF-8" in refuse(late)
    assert [row["a"] for row in load(path, "--invalid-utf8", "replace")] == ["x", "M\ufffdller"]
    taken = [row["a"] for row in load(late, "--invalid-utf8", "null")]
    assert taken == ["x"] * 3000 + [None]
    beside = write(tmp_path / "c.jsonl", b'{"a":"x"}\n' * 3000 + b'{"a":\xfc}\n')
    assert "c.jsonl: line 3001: the text is not valid UTF-8" in \
        refuse(beside, "--invalid-utf8", "replace")


def test_times_in_json_lines(load, refuse, tmp_path):
    rows = [{"day": "2024-02-29", "local": "2024-03-31 02:30:00.5", "zoned": "2024-03-31T02:30:00Z",
             "other": "2024-03-31T02:30:00.123456+02:00", "fine": "2024-01-01T00:00:00.123456789Z",
             "mixed": "2024-01-01T00:00:00Z", "deep": {"at": ["2024-01-01T00:00:00Z", None]},
             "code": "20240131"},
            {"day": None, "local": "1969-12-31T23:59:59", "zoned": "0001-01-01T00:00:00-01:00",
             "other": "2024-03-31T02:30Z", "fine": "2024-01-01T00:00:00Z",
             "mixed": "2024-01-01 00:00:00", "deep": None, "code": "20240132"}]
    path = write(tmp_path / "t.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    first, second = load(path)
    assert [str(load.table.schema.field(name).type)
            for name in ("day", "local", "zoned", "other", "fine", "mixed", "code")] == [
        "date32[day]", "timestamp[us]", "timestamp[us, tz=UTC]", "timestamp[us, tz=UTC]",
        "timestamp[ns, tz=UTC]", "string", "string"]
    assert (first["day"].isoformat(), second["day"]) == ("2024-02-29", None)
    assert first["local"].isoformat() == "2024-03-31T02:30:00.500000"
    assert second["local"].isoformat() == "1969-12-31T23:59:59"
    assert first["zoned"].isoformat() == "2024-03-31T02:30:00+00:00"
    assert second["zoned"].isoformat() == "0001-01-01T01:00:00+00:00"
    assert first["other"].isoformat() == "2024-03-31T00:30:00.123456+00:00"
    assert first["deep"]["at"][0].isoformat() == "2024-01-01T00:00:00+00:00"
    assert second["deep"] is None and first["deep"]["at"][1] is None
    # A value of another kind is an error with its place, not a shifted time; as text it is kept.
    lines = '{"at":"2024-01-01T00:00:00"}\n' * 1500
    for value in ("2024-01-01T00:00:00+02:00", "soon", "2024-01-01T00:00:00.1234567"):
        write(path, lines + json.dumps({"at": value}))
        assert f"t.jsonl: line 1501: column 'at': '{value}' is no timestamp[us]" in refuse(path)
        assert load(path, "--cast", "at=string")[-1]["at"] == value


@pytest.mark.parametrize("line, said", [
    ('{"a":', "line 2: the line is no whole object"), ("[1]", "line 2: an array begins here"),
    ("null", "line 2: the line is no whole object"),
    ('{"a":1,"a":2}', "line 2: JSON parse error: Column(/a) was specified twice"),
    ('{"a":"x\0y"}', "line 2: JSON parse error")])
def test_broken_json_lines(refuse, tmp_path, line, said):
    path = write(tmp_path / "a.jsonl", '{"a":1}\n' + line + "\n")
    assert f"a.jsonl: {said}" in refuse(path)
    late = write(tmp_path / "b.jsonl", '{"a":1}\n' * 2000 + line + "\n")
    assert f"b.jsonl: {said.replace('line 2', 'line 2001')}" in refuse(late)
    first = write(tmp_path / "c.jsonl", line + "\n")
    assert f"c.jsonl: {said.replace('line 2', 'line 1')}" in refuse(first)


def test_text_that_is_no_utf8(load, refuse, tmp_path):
    path = write(tmp_path / "a.csv", "name,b\nx,1\nM\xfcller,2\n".encode("latin-1"))
    assert "line 3, column 'name'" in refuse(path)
    assert load(path, "--source-encoding", "windows-1252")[1]["name"] == "Müller"
    assert load(path, "--invalid-utf8", "replace")[1]["name"] == "M\ufffdller"


def test_odd_files(load, refuse, tmp_path):
    assert load(write(tmp_path / "header.csv", "a,b\n")) == []
    assert "is empty" in refuse(write(tmp_path / "empty.csv", ""))
    assert "occurs twice" in refuse(write(tmp_path / "twice.csv", "a,a\n1,2\n"))
    assert load(write(tmp_path / "nul.csv", "a,b\nx\0y,1\n")) == [{"a": "x\0y", "b": 1}]
    assert load(write(tmp_path / "noheader.csv", "1,x\n2,y\n"))[1] == {"column_1": 2, "column_2": "y"}
    ragged = write(tmp_path / "ragged.csv", "a,b\n1,x\n2\n3,y,z\n")
    assert "ragged.csv: line 3: the row has 1 fields instead of 2" in refuse(ragged)
    assert [row["a"] for row in load(ragged, "--ragged", "skip")] == [1]
    assert "line 2: a quote" in refuse(write(tmp_path / "open.csv", 'a,b\n"1,x\n2,y\n'))
    wide = write(tmp_path / "wide.csv", "\n".join(
        ",".join(row) for row in [[f"c{i}" for i in range(5000)], ["1"] * 5000, ["2"] * 5000]))
    assert load(wide)[1]["c4999"] == 2
    assert "there is no" in refuse(tmp_path / "absent.csv")
    assert "no file matches" in refuse(tmp_path / "*.parquet")


def test_ragged_rows_are_counted(bulkhaul, load, refuse, tmp_path):
    path = write(tmp_path / "ragged.csv", "a,b,c\n1,x,y\n2\n3,z\n4,x,y,z\n5,,\n")
    assert "ragged.csv: line 3: the row has 1 fields instead of 3" in refuse(path)
    assert "ragged.csv: line 5: the row has 4 fields instead of 3" in refuse(path, "--ragged", "pad")

    def counted(*words) -> dict:
        report = bulkhaul("copy", path, tmp_path / "counted", "--output", "json", "--progress",
                          "none", *words).json
        return report["tables"][0]["counters"]

    assert [row["a"] for row in load(path, "--ragged", "skip")] == [1, 5]
    assert counted("--ragged", "skip") == {"ragged_skipped": 3}
    write(path, "a,b,c\n1,x,y\n2\n3,z\n")
    assert load(path, "--ragged", "pad") == [{"a": 1, "b": "x", "c": "y"},
                                            {"a": 2, "b": None, "c": None},
                                            {"a": 3, "b": "z", "c": None}]
    assert counted("--ragged", "pad") == {"ragged_padded": 2}


@pytest.mark.parametrize("kind, begin", [("csv", b'a,b\n1,x\n2,"'), ("jsonl", b'{"a":1}\n{"a":"')])
def test_more_than_2_gb_in_one_field(refuse, tmp_path, kind, begin):
    path = tmp_path / f"huge.{kind}"
    with path.open("wb") as out:  # with a hole, which takes no disk
        out.write(begin)
        out.seek((2 << 30) + 4096, 1)
        out.write(b'"}\n')
    said = refuse(path, "--report", str(tmp_path / "report.json"))
    assert f"huge.{kind}: line {begin.count(10) + 1}: the row is longer than row_bytes_max" in said
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["memory"]["peak_rss_bytes"] < 400 << 20


def big_csv(path: pathlib.Path, rows: int, seed: int) -> int:
    chance = random.Random(seed)
    with path.open("w", newline="") as out:
        out.write("id,text,n\n")
        for i in range(rows):
            text = chance.choice(['plain', '"with, comma"', '"two\nlines"', '"say ""hi"",\n\n"', ''])
            out.write(f"{i},{text},{chance.randrange(10**6)}\n")
    return rows


def test_a_large_file_is_cut_at_rows(bulkhaul, load, tmp_path):
    path = tmp_path / "big.csv"
    rows = big_csv(path, 30000, 3)
    whole = load(path, "--split", "none")
    assert [row["id"] for row in whole] == list(range(rows))
    for unit_bytes in ("8KiB", "50KiB"):
        cut = load(path, "--unit-bytes", unit_bytes)
        assert sorted(cut, key=lambda row: row["id"]) == whole
    bad = path.read_text().replace("\n29990,", "\n2999x,", 1)
    line = bad[:bad.index("\n2999x,")].count("\n") + 2
    write(path, bad)
    done = bulkhaul("copy", str(path), tmp_path / "no", "--unit-bytes", "50KiB", code=None)
    assert f"big.csv: line {line}, column 'id': '2999x'" in done.out + done.err


def test_parquet_arrow_and_json_lines(bulkhaul, load, refuse, tmp_path):
    table = pa.table({"id": pa.array(range(5000)), "name": [None if i % 5 == 0 else f"n{i}" for i in range(5000)],
                      "list": [[i, None] for i in range(5000)]})
    pq.write_table(table, tmp_path / "t.parquet", row_group_size=400)
    assert load(tmp_path / "t.parquet", "--unit-rows", "1000") == table.to_pylist()
    some = load(tmp_path / "t.parquet", "--where", "id >= 4900 and name is not null", "--columns", "name")
    assert [row["name"] for row in some] == [f"n{i}" for i in range(4900, 5000) if i % 5]
    for extension, writer in ((".arrow", pa.ipc.new_file), (".arrows", pa.ipc.new_stream)):
        with writer(str(tmp_path / f"t{extension}"), table.schema) as out:
            for batch in table.to_batches(max_chunksize=700):
                out.write_batch(batch)
        assert load(tmp_path / f"t{extension}") == table.to_pylist()
    lines = "".join(json.dumps(row) + "\n" for row in table.to_pylist())
    assert load(write(tmp_path / "t.jsonl", lines), "--unit-bytes", "20KiB") == table.to_pylist()
    said = refuse(write(tmp_path / "t.jsonl", lines + '{"id": "x"}\n'), "--unit-bytes", "20KiB")
    assert "t.jsonl: line 5001:" in said
    said = refuse(write(tmp_path / "d.jsonl", '{"x": 0.5}\n{"x": 0.123456789012345678}\n'))
    assert "d.jsonl: line 2:" in said and "more digits" in said


def test_broken_parquet(refuse, tmp_path):
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"x": [float(i) ** 0.5 for i in range(20000)]}), path, compression="zstd",
                   write_page_checksum=True, use_dictionary=False)
    whole = path.read_bytes()
    write(path, whole[:-4] + b"XXXX")
    assert "t.parquet" in refuse(path)
    page = bytearray(whole)
    page[len(page) // 2] ^= 0xFF
    write(path, bytes(page))
    assert "t.parquet" in refuse(path, "--retries", "0")


def test_folders_globs_and_partitions(bulkhaul, load, refuse, tmp_path):
    for year in (2023, 2024):
        for month in ("01", "02"):
            write(tmp_path / "sales" / f"year={year}" / f"month={month}" / "a.csv",
                  f"id,v\n{year}{month},1\n")
    rows = load(tmp_path / "sales")
    assert sorted((row["id"], row["year"], row["month"]) for row in rows) == [
        (202301, 2023, "01"), (202302, 2023, "02"), (202401, 2024, "01"), (202402, 2024, "02")]
    rows = load(tmp_path / "sales" / "**" / "*.csv", "--where", "year = 2024 and month in ('02')")
    assert [row["id"] for row in rows] == [202402]
    said = bulkhaul("copy", tmp_path / "sales", tmp_path / "few", "--where", "year < 2024").out
    assert "files_skipped: 2" in said
    write(tmp_path / "two" / "orders.csv", "id\n1\n")
    write(tmp_path / "two" / "parts" / "1.jsonl", '{"p": 1}\n')
    out = tmp_path / "both"
    bulkhaul("copy", tmp_path / "two", out, "--table", "orders", "--table", "parts")
    assert pq.read_table(out / "orders").to_pylist() == [{"id": 1}]
    assert pq.read_table(out / "parts").to_pylist() == [{"p": 1}]
    write(tmp_path / "two" / "more.csv", "id,extra\n2,x\n")
    assert "has no column 'extra'" in refuse(tmp_path / "two" / "*.csv")
    rows = load(tmp_path / "two" / "*.csv", "--missing-columns", "null")
    assert sorted(rows, key=lambda row: row["id"]) == [{"id": 1, "extra": None}, {"id": 2, "extra": "x"}]


def test_a_folder_that_is_no_value_of_its_cast_is_named(load, refuse, tmp_path):
    write(tmp_path / "in" / "k=1" / "one.csv", "id\n1\n")
    write(tmp_path / "in" / "k=a" / "two.csv", "id\n2\n")
    for words in ((), ("--reject", "quarantine"), ("--column-naming", "upper")):
        column = "K" if "upper" in words else "k"
        said = refuse(tmp_path / "in", "--cast", f"{column}=int64", *words, code=2)
        assert "in/k=a/two.csv: 'a', which its folder's name gives 'k', is no int64" in said
        assert f"cast: {column}: string" in said
    rows = load(tmp_path / "in", "--cast", "k=string")
    assert sorted(row["k"] for row in rows) == ["1", "a"]


def test_names_that_are_no_utf8(load, refuse, tmp_path):
    (tmp_path / "in" / "town=Z%FCrich").mkdir(parents=True)
    (tmp_path / "in" / "town=Z%FCrich" / "a.csv").write_text("n\n1\n")
    assert "stands for text that is not UTF-8" in refuse(tmp_path / "in" / "**" / "*.csv")
    assert load(tmp_path / "in" / "**" / "*.csv", "--no-hive-partitions") == [{"n": 1}]
    with open(os.fsencode(tmp_path / "in") + b"/Z\xfcrich.csv", "w") as file:
        file.write("n\n2\n")
    said = refuse(tmp_path / "in" / "*.csv")
    assert "a name that is not UTF-8 cannot be noted; rename it" in said and "/in/Z\ufffdrich.csv" in said


def test_many_small_files_share_units(bulkhaul, load, tmp_path):
    for i in range(300):
        write(tmp_path / "many" / f"{i:03}.csv", f"id\n{i}\n")
    plan = bulkhaul("plan", tmp_path / "many", tmp_path / "x").out
    assert "1 units" in plan
    assert sorted(row["id"] for row in load(tmp_path / "many")) == list(range(300))


def test_discover(bulkhaul, tmp_path):
    write(tmp_path / "d" / "a.csv", "id,day\n1,2024-01-01\n")
    found = json.loads(bulkhaul("discover", tmp_path / "d", "--output", "json").out)
    (table,) = found["tables"]
    assert table["name"] == "d" and table["kind"] == "csv file"
    assert [(column["name"], column["type"]) for column in table["columns"]] == [
        ("id", "int64"), ("day", "date32[day]")]


@pytest.mark.parametrize("where", ["id >", "nothing = 1", "id = 'x'", "(id = 1", "id like 'x'"])
def test_where_that_is_none(refuse, tmp_path, where):
    assert "where" in refuse(write(tmp_path / "a.csv", "id\n1\n"), "--where", where)


def test_names_are_given_a_style(load, refuse, tmp_path):
    path = write(tmp_path / "a.csv", "OrderID,Zip Code,Extra,Old\n1,00001,x,2\n")
    rows = load(path, "--column-naming", "snake", "--drop", "Extra", "--rename", "Old=New",
                "--cast", "order_id=string,New=int16")
    assert rows == [{"order_id": "1", "zip_code": "00001", "New": 2}]
    assert "would both be called 'id'" in refuse(write(tmp_path / "b.csv", "Id,ID\n1,2\n"),
                                                 "--column-naming", "lower")
