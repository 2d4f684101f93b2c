"""Text from files in typed columns: what the server may read from it, and how errors name it."""

from __future__ import annotations

import json

import pytest

from support.loading import loads_into


@pytest.fixture(scope="module")
def database(postgres):
    postgres.sql("CREATE DATABASE load_text")
    postgres.sql("ALTER DATABASE load_text SET timezone = 'America/New_York'")
    yield postgres.uri_of("load_text")
    postgres.sql("DROP DATABASE load_text WITH (FORCE)")


@pytest.fixture
def sql(postgres, database):
    with loads_into(postgres, "load_text", "target") as run:
        yield run


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
