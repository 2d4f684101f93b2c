"""NUL bytes and bad UTF-8: kept, or an error that says where; never cut short in silence."""

import json
import sqlite3

import pytest

from support import exports


def test_nul_in_bytea(export):
    table = export("CREATE TABLE t (a bytea); INSERT INTO t VALUES ('\\x006100'), ('\\x'), (NULL)")
    assert table["a"].to_pylist() == [b"\0a\0", b"", None]


@pytest.fixture
def ascii_database(postgres):
    postgres.sql("CREATE DATABASE plain ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C' "
                 "TEMPLATE template0")
    postgres.sql("CREATE TABLE t (id int, name text); INSERT INTO t "
                 "SELECT i, 'fine ' || i FROM generate_series(1, 100) AS i", "plain")
    with postgres.connect("plain") as connection:
        connection.execute("INSERT INTO t VALUES (101, E'caf\\351')")
    yield "plain"
    postgres.sql("DROP DATABASE plain WITH (FORCE)")


def words(postgres, destination, *flags):
    return ["copy", postgres.uri_of("plain"), destination, "--table", "public.t", *flags]


def test_bad_utf8_is_an_error_that_names_column_and_option(bulkhaul, postgres, ascii_database,
                                                           tmp_path):
    outcome = bulkhaul(*words(postgres, tmp_path / "out"), code=1)
    said = outcome.err + outcome.out
    for word in ("public.t", "name", "UTF-8", "invalid"):
        assert word in said, (word, said)
    assert exports.visible(tmp_path / "out") == []


@pytest.mark.parametrize("choice, wanted", [("replace", "caf\ufffd"), ("null", None)])
def test_bad_utf8_as_chosen_is_counted(bulkhaul, postgres, ascii_database, tmp_path, choice,
                                       wanted):
    report = tmp_path / "report.json"
    bulkhaul(*words(postgres, tmp_path / "out", "--invalid-utf8", choice, "--report", report))
    rows = exports.read(tmp_path / "out" / "public_t").to_pylist()
    assert len(rows) == 101
    assert [row["name"] for row in rows if row["id"] == 101] == [wanted]
    assert sum(json.loads(report.read_text())["tables"][0]["counters"].values()) == 1


def test_sqlite_text_with_nul_and_bad_utf8(bulkhaul, tmp_path):
    path = tmp_path / "source.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT, b BLOB)")
        connection.execute("INSERT INTO t VALUES (1, ?, ?)", ("a\0b", b"\0\xff"))
    bulkhaul("copy", path, tmp_path / "out", "--table", "t")
    folder, = exports.table_folders(tmp_path / "out")
    assert exports.read(folder).to_pylist() == [{"id": 1, "a": "a\0b", "b": b"\0\xff"}]
    with sqlite3.connect(path) as connection:
        connection.execute("INSERT INTO t VALUES (2, CAST(X'ff41' AS TEXT), NULL)")
    outcome = bulkhaul("copy", path, tmp_path / "bad", "--table", "t", code=1)
    assert "UTF-8" in outcome.err + outcome.out
    assert exports.visible(tmp_path / "bad") == []
