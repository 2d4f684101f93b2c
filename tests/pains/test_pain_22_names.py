"""Reserved words, upper case, odd characters in schemas, tables and columns."""

import pyarrow.parquet
from psycopg import sql

from support import exports

COLUMNS = ["select", "Mixed", "with space", 'quo"te', "semi;colon", "ä", "%s", "a.b", "1st", "user"]


def test_columns_keep_their_names(bulkhaul, postgres, database, tmp_path):
    with postgres.connect(database) as connection:
        connection.execute(sql.SQL('CREATE SCHEMA "Order"; CREATE TABLE "Order"."Group" ({})').format(
            sql.SQL(", ").join(sql.SQL("{} int").format(sql.Identifier(name)) for name in COLUMNS)))
        connection.execute(sql.SQL('INSERT INTO "Order"."Group" SELECT {} FROM '
                                   "generate_series(1, 50) AS i").format(
            sql.SQL(", ").join(sql.SQL("i + {}").format(n) for n in range(len(COLUMNS)))))
    for turn, flags in enumerate((
            ("--table", "Order.Group"),
            ("--schema", "Order", "--split", "key", "--split-by", 'quo"te', "--unit-rows", "10"),
            ("--all", "--where", '"Mixed" > 0'))):
        bulkhaul("copy", postgres.uri_of(database), tmp_path / f"out{turn}", *flags)
        folder, = exports.table_folders(tmp_path / f"out{turn}")
        table = exports.read(folder)
        assert table.column_names == COLUMNS
        assert sorted(table["user"].to_pylist()) == list(range(10, 60))
        assert pyarrow.parquet.read_schema(exports.parts(folder)[0]).names == COLUMNS


def test_chosen_columns_in_their_order(bulkhaul, postgres, database, tmp_path):
    postgres.sql('CREATE TABLE t AS SELECT 1 AS "a,b", 2 AS "Upper", 3 AS c', database)
    bulkhaul("copy", postgres.uri_of(database), tmp_path / "out", "--table", "t", "--columns",
             'Upper,"a,b"')
    assert exports.read(tmp_path / "out" / "public_t").to_pylist() == [{"Upper": 2, "a,b": 1}]


def test_case_matters(bulkhaul, postgres, database, tmp_path):
    postgres.sql('CREATE TABLE "Case" AS SELECT 1 AS x; CREATE TABLE "case" AS SELECT 2 AS x',
                 database)
    bulkhaul("copy", postgres.uri_of(database), tmp_path / "out", "--all")
    folders = exports.table_folders(tmp_path / "out")
    found = {exports.metadata(folder)["dataset"]["name"]: exports.read(folder)["x"].to_pylist()
             for folder in folders}
    assert found == {"Case": [1], "case": [2]}
