"""Text from files in typed columns: what the server may read from it, and how errors name it."""

from __future__ import annotations

import datetime
import json
from random import Random

import pytest

from support.loading import database_fixture, sql_fixture


database = database_fixture("load_text", settings="timezone = 'America/New_York'")
sql = sql_fixture("load_text", "target")


@pytest.fixture
def load(bulkhaul, database, tmp_path):
    """Loads objects as JSON lines into public.target."""
    def run(rows: list, mode: str, *words, code: int = 0):
        path = tmp_path / "rows.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return bulkhaul("copy", path, database, "--target-table", "public.target", "--if-exists",
                        mode, "--progress", "none", *words, code=code)
    return run


def test_a_csv_file_with_two_digit_years_is_refused(bulkhaul, database, sql, tmp_path):
    path = tmp_path / "rows.csv"
    sql("CREATE TABLE target (id int, d date); INSERT INTO target VALUES (7, '2020-01-01')")
    for text, mode in (("31.01.24", "append"), ("03.04.24", "truncate"), ("01/02/03", "replace")):
        path.write_text(f"id,d\n1,{text}\n2,{text}\n")
        refused = bulkhaul("copy", path, database, "--target-table", "public.target",
                           "--if-exists", mode, code=1)
        assert text in refused.err and "column d" in refused.err, refused.err
        assert "YYYY-MM-DD" in refused.err and "date_format" in refused.err, refused.err
        assert sql("SELECT id, d::text FROM target") == [(7, "2020-01-01")]


@pytest.mark.parametrize("type_name, bad", [
    ("date", ["31/01/24", "now", "today", "1.2.2024", "2024-6-1 12:00", "January 8, 1999"]),
    ("timestamp", ["now", "24-6-1 12:00", "2024-6-1 12:00+02", "1/2/2024 10:00"]),
    ("timestamptz", ["tomorrow", "24-6-1 12:00", "2024-6-1 12:00 EST", "epoch"]),
    ("time", ["now", "allballs", "04:05 PM", "2024-6-1 12:00"]),
    ("day", ["31/01/24", "today"]),
    ("date[]", [["2024-1-1", "31/01/24"], ["now"]]),
])
def test_what_the_server_would_guess_is_refused(load, sql, type_name, bad):
    sql(f"DROP DOMAIN IF EXISTS day; CREATE DOMAIN day AS date;"
        f" CREATE TABLE target (id int, \"The Day\" {type_name})")
    for value in bad:
        refused = load([{"id": 1, "The Day": value}], "append", code=1)
        text = value if isinstance(value, str) else value[-1]
        assert text in refused.err and "The Day" in refused.err, refused.err
        assert sql("SELECT count(*) FROM target") == [(0,)], value
    sql("DROP TABLE target; DROP DOMAIN day")


def test_iso_text_loads_and_no_time_zone_setting_counts(load, sql):
    sql("CREATE TABLE target (id int, d date, t time, s timestamp, z timestamptz, l date[])")
    rows = [
        {"id": 1, "d": "2024-6-1", "t": "4:05", "s": "2024-6-1 4:05", "z": "2024-6-1 12:00",
         "l": ["2024-6-1", None, "infinity"]},
        {"id": 2, "d": "0044-03-15 BC", "t": "04:05:06.789", "s": "2024-06-01T04:05:06.5",
         "z": "2024-06-01 12:00:00+05:30", "l": []},
        {"id": 3, "d": "-infinity", "t": None, "s": "infinity", "z": "2024-06-01 12:00 Europe/Berlin",
         "l": None},
        {"id": 4, "d": None, "t": None, "s": "2024-06-01", "z": "2024-06-01T12:00Z", "l": None},
    ]
    load(rows, "append")
    assert sql("SET timezone = 'UTC'; SELECT id, d::text, t::text, s::text, z::text, l::text"
               " FROM target ORDER BY id") == [
        (1, "2024-06-01", "04:05:00", "2024-06-01 04:05:00", "2024-06-01 12:00:00+00",
         "{2024-06-01,NULL,infinity}"),
        (2, "0044-03-15 BC", "04:05:06.789", "2024-06-01 04:05:06.5", "2024-06-01 06:30:00+00",
         "{}"),
        (3, "-infinity", None, "infinity", "2024-06-01 10:00:00+00", None),
        (4, None, None, "2024-06-01 00:00:00", "2024-06-01 12:00:00+00", None)]


# Types, texts that they hold, and texts that the server would round, cut or wrap without a word.
EXACT = {
    "numeric(5,2)": (["1.20", "-12.3400", "1.2e1"], ["1.239", "0.001", "1e-3"]),
    "numeric(5,-2)": (["12300", "0"], ["12345", "100.5", "50"]),
    "numeric(5,2)[]": (["{1.2,NULL,-3}", "{{1},{2.50}}"], ["{1.239}", "{1,0.001}"]),
    "timestamp": (["2024-01-01 00:00:00.1234560"], ["2024-01-01 00:00:00.1234567"]),
    "timestamp(3)": (["2024-01-01 00:00:00.123000"], ["2024-01-01 00:00:00.1234"]),
    "timestamp(3)[]": (["{2024-01-01 00:00:00.123}"], ["{2024-01-01,2024-01-01 00:00:00.1234}"]),
    "timestamptz(0)": (["2024-01-01 00:00:00.0+00"], ["2024-01-01 00:00:00.6+00"]),
    "time": (["10:00:00.123456"], ["10:00:00.1234567"]),
    "interval": (["1 day 02:03:04.5", "1.5 hours", "PT1.5S"],
                 ["1.12345678 seconds", "0.3 years", "0.5 us", "P0.3M"]),
    "interval(0)": (["2 seconds"], ["1.5 seconds"]),
    "interval day": (["1 day"], ["1 day 05:00"]),
    "money": (["1234.50", "$1,234.5"], ["1.239", "$1,234.567"]),
    "money[]": (["{1.5}"], ["{1.239}"]),
    "varchar(2)[]": (["{ab,c}"], ["{abc}"]),
    "char(3)[]": (["{ab,abc}"], ["{abcd}"]),
    "name[]": (["{ab}"], ["{" + 64 * "x" + "}"]),
    "bit(3)[]": (["{101}"], ["{1011}", "{10}"]),
    "tsrange": (["[2024-01-01 00:00:00.123456,)"], ["[2024-01-01 00:00:00.1234567,)"]),
    "daterange": (["[2024-01-01,2024-02-01)"], ["[2024-01-01 10:00,)"]),
    "xid": (["4294967295"], ["4294967296", "-1"]),
    "xid[]": (["{4294967295}"], ["{1,4294967296}"]),
    "interval[]": (["{1 day,NULL}"], ["{1.12345678 seconds}"]),
    "pair": (["(1,x1.20,2.50)", "(1,1e5,)"], ["(1,x1.20,2.567)", "(1,x,1e-3)"]),
    "pair[]": (['{"(1,x,2.5)"}'], ['{"(1,x,2.567)"}']),
    "cents": (["1.20"], ["1.239"]),
    "cents[]": (["{1.20}"], ["{1.239}"]),
}


def test_text_is_loaded_exactly_or_not_at_all(bulkhaul, database, sql, tmp_path):
    """One job with a table for each text: those that would lose something fail, and no other."""
    folder = tmp_path / "texts"
    folder.mkdir()
    sql("CREATE SCHEMA exact; CREATE TYPE exact.pair AS (a int, b text, c numeric(6,2));"
        "CREATE DOMAIN exact.cents AS numeric(5,2)")
    expected, lossy = {}, {}
    for type_name, (good, bad) in EXACT.items():
        for text in good + bad:
            table = f"t{len(expected) + len(lossy):03}"
            (folder / f"{table}.jsonl").write_text(json.dumps({"v": text}) + "\n")
            sql(f"SET search_path = exact; CREATE TABLE {table} (v {type_name})")
            if text in good:
                expected[table] = sql("SET search_path = exact;"
                                      f"SELECT '{text}'::{type_name}::text")
            else:
                lossy[table] = (type_name, text)
    names = [word for table in (*expected, *lossy) for word in ("--table", table)]
    bulkhaul("copy", folder, database, *names, "--target-schema", "exact", "--if-exists", "append",
             "--cast", "v=string", "--on-error", "continue", "--report", tmp_path / "report.json",
             code=3)
    errors = {table["name"]: table.get("error") for table in
              json.loads((tmp_path / "report.json").read_text())["tables"]}
    for table, value in expected.items():
        assert sql(f"SET search_path = exact; SELECT v::text FROM {table}") == value, \
            (table, value, errors[table])
    for table, text in lossy.items():
        assert errors[table], text
        assert "column v" in str(errors[table]) or 'column \\"v' in json.dumps(errors[table])
        assert "malformed array" not in str(errors[table]), errors[table]
        assert sql(f"SELECT count(*) FROM exact.{table}") == [(0,)], text
    sql("DROP SCHEMA exact CASCADE")


def test_seconds_with_any_number_of_digits_are_exact_or_refused(load, sql):
    """The loaded value is the text's, to the last digit, for every precision of the column."""
    random = Random(11)
    for digits in (0, 3, 6):
        texts = ["2024-01-01 00:00:%02d.%0*d" % (random.randrange(60), width,
                                                 random.randrange(10 ** width))
                 for width in range(1, 10) for _ in range(4)]
        fits = [text for text in texts if not text.split(".")[1][digits:].strip("0")]
        fits.append("2024-01-01 00:00:01." + "9" * digits + "000")
        sql(f"CREATE TABLE target (id int, v timestamp({digits}))")
        load([{"id": number, "v": text} for number, text in enumerate(fits)], "append", "--cast",
             "v=string")
        assert [row[0] for row in sql("SELECT v FROM target ORDER BY id")] == [
            datetime.datetime.fromisoformat(text.split(".")[0]) + datetime.timedelta(
                microseconds=int((text.split(".")[1] + "000000")[:6])) for text in fits]
        for text in [text for text in texts if text not in fits][:3]:
            refused = load([{"id": 0, "v": text}], "append", "--cast", "v=string", code=1)
            assert f"{text} (column v)" in refused.err
        sql("DROP TABLE target")


@pytest.mark.parametrize("mode, words", [
    ("append", []), ("replace", []), ("truncate", []), ("upsert", []), ("upsert", ["--duplicates", "last"]),
    ("append", ["--rename", "i=span", "--drop", "id", "--where", "id > 10"])],
    ids=lambda value: " ".join(value) if isinstance(value, list) else value)
def test_a_value_that_only_the_server_refuses_is_told_with_file_and_line(
        bulkhaul, database, sql, tmp_path, mode, words):
    name, key = ("span", "") if "--drop" in words else ("i", "id int PRIMARY KEY, ")
    sql(f"CREATE TABLE target ({key}{name} interval, note text)")
    data = tmp_path / "data"
    data.mkdir()
    for file in range(3):
        with open(data / f"rows-{file}.csv", "w", encoding="utf8") as out:
            out.write("id,i,note\n")
            out.writelines(f"{file * 20_000 + i},{'soon' if (file, i) == (1, 12_345) else '1 day'},"
                           f"{'ü' * (i % 50)}\n" for i in range(20_000))
    refused = bulkhaul("copy", data / "*.csv", database, "--target-table", "public.target",
                       "--if-exists", mode, "--unit-bytes", "200kB", "--workers", "4", *words, code=1)
    assert f'column "{name}"' in refused.err, refused.err
    assert 'invalid input syntax for type interval: "soon"' in refused.err
    assert "rows-1.csv, line 12347" in refused.err
    assert sql("SELECT count(*) FROM target") == [(0,)]


def test_a_value_of_an_array_is_told_with_its_column(bulkhaul, database, sql, tmp_path):
    sql("CREATE TABLE target (id int, a int[], b int4range)")
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps({"id": i, "a": [1, 2], "b": "[1,2)" if i != 70 else "[9,2)"})
                            + "\n" for i in range(100)))
    refused = bulkhaul("copy", path, database, "--target-table", "public.target", "--if-exists",
                       "append", code=1)
    assert 'column "b"' in refused.err and "'[9,2)'" in refused.err, refused.err
    assert "rows.jsonl, line 71" in refused.err
