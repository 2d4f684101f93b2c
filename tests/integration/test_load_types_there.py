"""CSV and JSON lines into a table that is there: its columns say what a text is, not what the day's
sample looks like."""

from __future__ import annotations

import datetime
import decimal
import json

import pytest

from support.loading import database_fixture, sql_fixture

database = database_fixture("load_types_there")
sql = sql_fixture("load_types_there", "night")

TABLE = ("CREATE TABLE night (id int, note text, w double precision, n numeric(10,2), r real, "
         "code varchar(10), ok boolean, day date, at timestamp, any_number numeric)")
ROW = {"id": 1, "note": "77", "w": 2, "n": 3, "r": 4, "code": "0815", "ok": 1,
       "day": "2024-01-31", "at": "2024-01-31", "any_number": 5}
WANTED = [(1, "77", 2.0, decimal.Decimal("3.00"), 4.0, "0815", True, datetime.date(2024, 1, 31),
           datetime.datetime(2024, 1, 31), decimal.Decimal(5))]
CSV = ",".join(ROW) + "\n" + ",".join(str(value) for value in ROW.values()) + "\n"


@pytest.fixture
def load(bulkhaul, database, tmp_path):
    def run(name: str, content: str, *words, verb: str = "copy", code: int | None = 0):
        (tmp_path / name).write_text(content)
        if verb == "plan":
            job = tmp_path / "job.json"
            job.write_text(json.dumps({"source": str(tmp_path / name), "destination": database,
                                       "target_table": "night", "if_exists": "append"}))
            return bulkhaul("plan", job, *words, code=code)
        return bulkhaul(verb, tmp_path / name, database, "--target-table", "night", *words,
                        code=code)
    return run


@pytest.mark.parametrize("words", [["append"], ["append", "--commit", "unit"], ["truncate"],
                                   ["replace"]])
def test_whole_numbers_where_the_column_has_more(load, sql, words):
    """Night 2's texts all look like numbers."""
    sql(TABLE)
    load("night.csv", CSV, "--if-exists", *words)
    assert sql("SELECT * FROM night") == WANTED


def test_json_lines(load, sql):
    sql(TABLE)
    row = ROW | {"note": 77, "code": 815, "ok": True}
    load("night.jsonl", json.dumps(row) + "\n", "--if-exists", "append")
    assert sql("SELECT * FROM night") == [WANTED[0][:5] + ("815",) + WANTED[0][6:]]


def test_upsert(load, sql):
    sql(TABLE + "; ALTER TABLE night ADD PRIMARY KEY (note); "
        "INSERT INTO night (id, note) VALUES (9, '77')")
    load("night.csv", CSV, "--if-exists", "upsert")
    assert sql("SELECT * FROM night") == WANTED


@pytest.mark.parametrize("words", [[], ["--commit", "unit"]])
def test_columns_without_a_value(load, sql, words):
    sql(TABLE)
    load("night.csv", ",".join(ROW) + "\n" + "1" + "," * (len(ROW) - 1) + "\n",
         "--if-exists", "append", *words)
    load("night.csv", ",".join(ROW) + "\n", "--if-exists", "append", *words)
    assert sql("SELECT id, w, day, ok FROM night") == [(1, None, None, None)]


def test_a_value_of_another_type_has_its_place(load, sql, tmp_path):
    sql(TABLE)
    refused = load("night.csv", "id,w\n1,1.5\n2,2\n3,many\n", "--if-exists", "append", code=1)
    assert "night.csv: line 4, column 'w'" in refused.err and "'many'" in refused.err
    refused = load("night.csv", "id,n\n1,1.50\n2,1.555\n", "--if-exists", "append", code=1)
    assert "night.csv: line 3" in refused.err and "'1.555'" in refused.err
    refused = load("night.csv", "id\n1\n3000000000\n", "--if-exists", "append", code=1)
    assert "night.csv: line 3" in refused.err and "'3000000000'" in refused.err
    assert sql("SELECT count(*) FROM night") == [(0,)]
    load("night.csv", "id,w\n1,1.5\n2,2\n3,many\n", "--if-exists", "append", "--reject",
         "quarantine", "--quarantine", tmp_path / "aside")
    assert sql("SELECT id, w FROM night ORDER BY id") == [(1, 1.5), (2, 2.0)]


def test_names_that_columns_get_count(load, sql):
    sql(TABLE)
    load("night.csv", "Number,Note\n1,77\n", "--if-exists", "append", "--rename", "Number=id",
         "--column-naming", "lower")
    assert sql("SELECT id, note FROM night") == [(1, "77")]


def test_a_cast_wins_and_so_does_a_contract(load, sql, tmp_path):
    sql("CREATE TABLE night (id bigint, note text)")
    load("night.csv", "id,note\n1,1.50\n", "--if-exists", "append", "--cast",
         "note=decimal(5,3)", code=1)
    contract = tmp_path / "contract.yaml"
    contract.write_text("columns: {id: int32, note: string}\n")
    refused = load("night.csv", "id,note\n1,7\n3000000000,8\n", "--if-exists", "append",
                   "--contract", contract, code=None)
    assert refused.code != 0 and "int32" in refused.err
    load("night.csv", "id,note\n1,7\n", "--if-exists", "append", "--contract", contract)
    assert sql("SELECT * FROM night") == [(1, "7")]


def test_evolve_widens_only_what_values_need(load, sql):
    types = ("SELECT attname::text, format_type(atttypid, atttypmod) FROM pg_attribute WHERE "
             "attrelid = 'night'::regclass AND attnum > 0 ORDER BY attnum")
    sql("CREATE TABLE night (id int, v smallint)")
    before = sql(types)
    load("night.csv", "id,v\n1,2\n", "--if-exists", "append", "--drift", "retyped=evolve")
    assert sql(types) == before
    load("night.csv", "id,v\n1,70000\n", "--if-exists", "append", "--drift",
         "retyped=evolve")
    assert dict(sql(types))["v"] == "bigint"
    assert sql("SELECT v FROM night ORDER BY v") == [(2,), (70000,)]


def test_plan_says_the_same(load, sql):
    sql(TABLE)
    assert "cannot be loaded" not in load("night.csv", CSV, verb="plan").out


def test_folders_of_a_hive_layout(bulkhaul, database, sql, tmp_path):
    sql("CREATE TABLE night (id bigint, region text)")
    (tmp_path / "data" / "region=01").mkdir(parents=True)
    (tmp_path / "data" / "region=01" / "a.csv").write_text("id\n1\n")
    bulkhaul("copy", tmp_path / "data", database, "--target-table", "night", "--if-exists",
             "append")
    assert sql("SELECT * FROM night") == [(1, "01")]
