"""What a load leaves for others beside its rows: statistics of the table, and what a reader sees
whose snapshot is older."""

from __future__ import annotations

import pytest

from support.loading import database_fixture, sql_fixture

ROWS = 500


database = database_fixture("load_effects")
sql = sql_fixture("load_effects", "target")


@pytest.fixture
def load(bulkhaul, database, tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("id,name\n" + "".join(f"{i},row {i}\n" for i in range(ROWS)))

    def run(*words, code: int = 0):
        return bulkhaul("copy", path, database, "--target-table", "public.target", "--progress",
                        "none", *words, code=code)
    return run


MODES = {
    "new": ([], 0),
    "append": (["--if-exists", "append"], 10),
    "unit": (["--if-exists", "append", "--commit", "unit"], 10),
    "replace": (["--if-exists", "replace"], 0),
    "truncate": (["--if-exists", "truncate"], 0),
    "upsert": (["--if-exists", "upsert"], 10),
}


@pytest.mark.parametrize("mode", MODES)
def test_the_server_knows_how_many_rows_there_are(load, sql, mode):
    words, before = MODES[mode]
    for more, analyzed in (([], True), (["--no-analyze"], False)):
        sql("DROP TABLE IF EXISTS target")
        if mode != "new":
            sql("CREATE TABLE target (id int PRIMARY KEY, name text) WITH (autovacuum_enabled ="
                " false); INSERT INTO target SELECT -i, 'old' FROM generate_series(1, 10) i")
        load(*words, *more)
        assert sql("SELECT count(*) FROM target") == [(ROWS + before,)]
        found = sql("SELECT c.reltuples, s.last_analyze IS NOT NULL,"
                    " (SELECT count(*) FROM pg_stats WHERE tablename = 'target')"
                    " FROM pg_class c JOIN pg_stat_user_tables s ON s.relid = c.oid"
                    " WHERE c.oid = 'target'::regclass")
        assert found[0][1:] == (analyzed, 2 if analyzed else 0), more
        if analyzed:
            assert found[0][0] == ROWS + before


@pytest.mark.parametrize("mode", ["new", "append", "replace", "truncate", "upsert"])
def test_a_reader_with_an_older_snapshot(load, postgres, sql, mode):
    """It sees the old rows where the table stayed, and an empty table where it is another one."""
    words, _ = MODES[mode]
    if mode != "new":
        sql("CREATE TABLE target (id int PRIMARY KEY, name text);"
            " INSERT INTO target SELECT -i, 'old' FROM generate_series(1, 10) i")
    sql("CREATE TABLE IF NOT EXISTS elsewhere (x int)")
    with postgres.connect("load_effects", autocommit=False) as reader:
        reader.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        reader.execute("SELECT * FROM elsewhere")  # takes the snapshot, and no lock on the target
        load(*words)
        seen = reader.execute("SELECT count(*) FROM target").fetchone()[0]
        assert seen == (10 if mode in ("append", "upsert") else 0)
        reader.rollback()
        assert reader.execute("SELECT count(*) FROM target").fetchone()[0] == \
            ROWS + MODES[mode][1]
