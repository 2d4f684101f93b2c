"""Empty tables and units without rows are a result, not a failure."""

import pytest

from support import exports


@pytest.mark.parametrize("sink", ["parquet", "csv", "arrow"])
def test_empty_table_has_a_schema(bulkhaul, postgres, database, tmp_path, sink):
    postgres.sql("CREATE TABLE empty (id int, name text, at timestamptz)", database)
    bulkhaul("copy", postgres.uri_of(database), tmp_path / "out", "--table", "empty", "--format",
             sink)
    folder = tmp_path / "out" / "public_empty"
    if sink == "csv":
        part, = [path for path in folder.iterdir() if path.suffix == ".csv"]
        assert part.read_text() == "id,name,at\n"
    else:
        table = exports.read(folder)
        assert (table.num_rows, table.column_names) == (0, ["id", "name", "at"])
    bulkhaul("verify", tmp_path / "out")


def test_units_without_rows(bulkhaul, postgres, database, tmp_path):
    """The middle of the table was deleted; a condition leaves most units empty."""
    postgres.sql("CREATE TABLE t AS SELECT i AS id, repeat('x', 200) AS pad "
                 "FROM generate_series(1, 5000) AS i", database)
    postgres.sql("DELETE FROM t WHERE id BETWEEN 500 AND 4500", database)
    bulkhaul("copy", postgres.uri_of(database), tmp_path / "out", "--table", "t", "--unit-bytes",
             "8KiB")
    assert exports.checksum(tmp_path / "out" / "public_t").rows == 999
    bulkhaul("copy", postgres.uri_of(database), tmp_path / "where", "--table", "t", "--unit-bytes",
             "8KiB", "--where", "id = 4999")
    table = exports.read(tmp_path / "where" / "public_t")
    assert table["id"].to_pylist() == [4999]
    bulkhaul("copy", postgres.uri_of(database), tmp_path / "none", "--table", "t", "--unit-bytes",
             "8KiB", "--where", "id < 0")
    assert exports.checksum(tmp_path / "none" / "public_t").rows == 0


def test_empty_database(bulkhaul, postgres, database, tmp_path):
    outcome = bulkhaul("copy", postgres.uri_of(database), tmp_path / "out", "--all", code=None)
    assert outcome.code in (0, 2)
    assert "no table" in (outcome.err + outcome.out).lower() or "0 tables" in (
        outcome.err + outcome.out) or "0 of 0" in outcome.out


def test_query_without_rows(bulkhaul, postgres, database, tmp_path):
    bulkhaul("copy", postgres.uri_of(database), tmp_path / "out", "--query",
             "SELECT 1 AS x, 'a'::text AS y WHERE false")
    folder, = exports.table_folders(tmp_path / "out")
    assert exports.read(folder).column_names == ["x", "y"]
