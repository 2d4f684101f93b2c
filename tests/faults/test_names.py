"""Names and shapes of tables that break careless programs."""

from __future__ import annotations

import json

import psycopg
import pytest
from psycopg import sql

from support import exports

LONGEST = "x" * 63
EMOJI = "tab🙂le"

NAMES = [
    'quo"te', "sing'le", "with space", "new\nline", "tab\there", EMOJI, LONGEST, "select", "table",
    "../x", "a/b", "..", ".hidden", "-rf", "UPPER", "semi;colon", "percent%s", "back\\slash",
    "dollar$1", "CON", "null", " lead", "trail ", "dot.dot", "é", "{brace}", "*", "?", "[a]",
]


@pytest.fixture
def odd_names(postgres, database):
    with postgres.connect(database) as connection:
        for ordinal, name in enumerate(NAMES):
            table = sql.Identifier(name)
            connection.execute(sql.SQL("CREATE TABLE {} ({} int, {} text)").format(
                table, sql.Identifier(name[:20] + " id"), table))
            connection.execute(sql.SQL("INSERT INTO {} SELECT i, {} || i FROM generate_series(1, "
                                       "{}) AS i").format(table, sql.Literal(name), 10 + ordinal))
    return database


def test_every_odd_name_at_once(bulkhaul, postgres, odd_names, tmp_path):
    destination = tmp_path / "deep" / "er" / "out"
    bulkhaul("copy", postgres.uri_of(odd_names), destination, "--all")
    found = {}
    for folder in exports.table_folders(destination):
        assert folder.resolve().parent == destination.resolve()
        data = exports.metadata(folder)
        found[data["dataset"]["name"]] = exports.read(folder)
    assert sorted(found) == sorted(NAMES)
    for ordinal, name in enumerate(NAMES):
        assert found[name].column_names == [name[:20] + " id", name]
        assert sorted(found[name][1].to_pylist()) == sorted(
            name + str(i) for i in range(1, 11 + ordinal))
    # Nothing was written beside or above the destination.
    assert [entry.name for entry in tmp_path.iterdir() if entry.name != "state"] == ["deep"]
    assert [entry.name for entry in (tmp_path / "deep").iterdir()] == ["er"]
    assert [entry.name for entry in (tmp_path / "deep" / "er").iterdir()] == ["out"]


@pytest.mark.parametrize("name", ['quo"te', "../x", "a/b", "new\nline", EMOJI, LONGEST])
def test_odd_name_in_a_job_file_with_units(bulkhaul, postgres, odd_names, tmp_path, name):
    path = tmp_path / "job.json"
    path.write_text(json.dumps({
        "source": postgres.uri_of(odd_names), "destination": str(tmp_path / "out"),
        "tables": {"public." + name: {"unit_rows": 5, "split_by": name[:20] + " id",
                                      "split": "key"}},
    }))
    bulkhaul("run", path)
    folder, = exports.table_folders(tmp_path / "out")
    assert exports.checksum(folder).rows == 10 + NAMES.index(name)


def test_names_that_become_equal_stay_apart(bulkhaul, postgres, database, tmp_path):
    names = ["a/b", "a_b", "a:b", "A_B", "a b"]
    with postgres.connect(database) as connection:
        for ordinal, name in enumerate(names):
            connection.execute(sql.SQL("CREATE TABLE {} AS SELECT {} AS x").format(
                sql.Identifier(name), sql.Literal(ordinal)))
        connection.execute("CREATE SCHEMA a; CREATE TABLE a.b_c AS SELECT 100 AS x;"
                           "CREATE SCHEMA a_b; CREATE TABLE a_b.c AS SELECT 101 AS x;")
    bulkhaul("copy", postgres.uri_of(database), tmp_path / "out", "--all")
    folders = exports.table_folders(tmp_path / "out")
    values = sorted(exports.read(folder)["x"].to_pylist()[0] for folder in folders)
    assert values == [0, 1, 2, 3, 4, 100, 101]
    assert len({folder.name.lower() for folder in folders}) == 7, "equal on a Mac or Windows disk"


def test_output_names_that_collide_are_refused(bulkhaul, postgres, database, tmp_path):
    postgres.sql("CREATE TABLE one AS SELECT 1 AS x; CREATE TABLE two AS SELECT 2 AS x", database)
    path = tmp_path / "job.json"
    path.write_text(json.dumps({
        "source": postgres.uri_of(database), "destination": str(tmp_path / "out"),
        "tables": {"one": {"output_name": "same"}, "two": {"output_name": "same"}},
    }))
    outcome = bulkhaul("run", path, code=None)
    if outcome.code == 0:
        values = sorted(exports.read(folder)["x"].to_pylist()[0]
                        for folder in exports.table_folders(tmp_path / "out"))
        assert values == [1, 2]
    else:
        assert outcome.code == 2 and "same" in outcome.err
        assert exports.visible(tmp_path / "out") == []


@pytest.mark.parametrize("output_name", ["../up", "/tmp/abs", "a/b", "..", ""])
def test_output_name_cannot_leave_the_destination(bulkhaul, postgres, database, tmp_path,
                                                  output_name):
    postgres.sql("CREATE TABLE one AS SELECT 1 AS x", database)
    path = tmp_path / "job.json"
    path.write_text(json.dumps({
        "source": postgres.uri_of(database), "destination": str(tmp_path / "in" / "out"),
        "tables": {"one": {"output_name": output_name}},
    }))
    outcome = bulkhaul("run", path, code=None)
    assert outcome.code in (0, 2), outcome.err
    assert not (tmp_path / "in" / "up").exists() and not (tmp_path / "up").exists()
    if outcome.code == 0:
        folder, = exports.table_folders(tmp_path / "in" / "out")
        assert exports.checksum(folder).rows == 1


def test_zero_rows(bulkhaul, postgres, database, tmp_path):
    postgres.sql("CREATE TABLE empty (id int PRIMARY KEY, t text, n numeric(10,2))", database)
    bulkhaul("copy", postgres.uri_of(database), tmp_path / "out", "--all")
    folder = tmp_path / "out" / "public_empty"
    table = exports.read(folder)
    assert (table.num_rows, table.column_names) == (0, ["id", "t", "n"])
    assert exports.metadata(folder)["totals"]["rows"] == 0
    bulkhaul("verify", tmp_path / "out")


def test_zero_columns(bulkhaul, postgres, database, tmp_path):
    """Parquet has no form for it that all readers open: told, and the other table is not harmed."""
    postgres.sql("CREATE TABLE none (); INSERT INTO none DEFAULT VALUES;"
                 "CREATE TABLE other AS SELECT 1 AS x", database)
    outcome = bulkhaul("copy", postgres.uri_of(database), tmp_path / "out", "--all", "--on-error",
                       "continue", code=None)
    assert outcome.code in (0, 3), outcome.err
    assert exports.checksum(tmp_path / "out" / "public_other").rows == 1
    if outcome.code == 3:
        assert "none" in outcome.err + outcome.out and "column" in outcome.err + outcome.out
    else:
        assert exports.metadata(tmp_path / "out" / "public_none")["totals"]["rows"] == 1


def test_sixteen_hundred_columns(bulkhaul, postgres, database, tmp_path):
    columns = ", ".join(f"c{i} int" for i in range(1600))
    # int4 columns of one row would not fit a page in full: most are NULL.
    sparse = ", ".join("g" if i % 8 == 0 else "NULL" for i in range(1600))
    postgres.sql(f"CREATE TABLE wide ({columns}); INSERT INTO wide SELECT {sparse} "
                 "FROM generate_series(1, 200) AS g", database)
    bulkhaul("copy", postgres.uri_of(database), tmp_path / "out", "--table", "wide",
             "--unit-bytes", "256KiB")
    table = exports.read(tmp_path / "out" / "public_wide")
    assert table.num_columns == 1600
    assert sorted(table["c1592"].to_pylist()) == list(range(1, 201))
    assert table["c1599"].null_count == 200


def test_missing_table_is_named_with_the_nearest(bulkhaul, postgres, database, tmp_path):
    postgres.sql("CREATE TABLE orders AS SELECT 1 AS x", database)
    outcome = bulkhaul("copy", postgres.uri_of(database), tmp_path / "out", "--table",
                       "public.order", code=None)
    assert outcome.code in (1, 2)
    assert "public.order" in outcome.err
    assert exports.visible(tmp_path / "out") == []


def test_wrong_database_and_password_are_not_retried_for_long(bulkhaul, postgres, tmp_path):
    with pytest.raises(psycopg.OperationalError):
        postgres.connect("no_such_database")
    outcome = bulkhaul("copy", postgres.uri_of("no_such_database"), tmp_path / "out", "--all",
                       "--retry-delay", "1h", "--retry-delay-max", "1h", code=None)
    assert outcome.code in (1, 2)
    assert "no_such_database" in outcome.err
