"""Loads of files that are killed at random instants: resumed, they give the same table."""

from __future__ import annotations

import json
import shutil

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from support import faults
from support.loading import leftovers

KILLS = 20
ROWS = 6_000
FILES = 3
# Mode: its flags, and what kind of files it loads.
MODES = {
    "new": (["--if-exists", "fail"], "csv"),
    "append": (["--if-exists", "append"], "parquet"),
    "unit": (["--if-exists", "append", "--commit", "unit"], "csv"),
    "replace": (["--if-exists", "replace"], "parquet"),
    "truncate": (["--if-exists", "truncate"], "jsonl"),
    "upsert": (["--if-exists", "upsert", "--key", "id", "--duplicates", "last"], "csv"),
}
# Row for row; the rows of the table before are those below 0.
ALL_ROWS = "SELECT count(*), md5(string_agg(t::text, ',' ORDER BY id, name)) FROM target t"
BEFORE = ("CREATE TABLE target (id bigint PRIMARY KEY, name text);"
          "INSERT INTO target SELECT -i, 'before' FROM generate_series(1, 10) i")


def write(folder, kind):
    """Rows 0 … ROWS in files; a unit is a small part of one."""
    folder.mkdir()
    for number in range(FILES):
        rows = [{"id": i, "name": f"row {i}, text"} for i in range(number, ROWS, FILES)]
        path = folder / f"part{number}.{kind}"
        if kind == "csv":
            path.write_text("id,name\n" + "".join(f'{row["id"]},"{row["name"]}"\n' for row in rows))
        elif kind == "jsonl":
            path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        else:
            pq.write_table(pa.Table.from_pylist(rows), path, row_group_size=200,
                           compression="none", use_dictionary=False)
    return folder


@pytest.fixture(scope="module")
def database(postgres):
    postgres.sql("CREATE DATABASE load_kills")
    yield postgres.uri_of("load_kills")
    postgres.sql("DROP DATABASE load_kills WITH (FORCE)")


@pytest.mark.parametrize("mode", MODES)
def test_killed_at_random_instants(bulkhaul, postgres, database, tmp_path, mode):
    flags, kind = MODES[mode]
    words = ["copy", write(tmp_path / "target", kind), database, "--target-table", "public.target",
             "--unit-bytes", "8KiB", "--workers", "2", "--retry-delay", "50ms", "--job-id", "job",
             "--progress", "none", *flags]
    with postgres.connect("load_kills") as connection:
        def sql(text):
            cursor = connection.execute(text)
            while cursor.nextset():
                pass
            return cursor.fetchall() if cursor.description else []

        def make_target():
            sql("DROP TABLE IF EXISTS target")
            if mode == "new":
                return None
            sql(BEFORE)
            return sql(ALL_ROWS)

        make_target()
        kills = faults.RandomKills(bulkhaul, words, mode)
        kills.run_whole()
        wanted = sql(ALL_ROWS)
        assert wanted[0][0] == ROWS + (10 if mode in ("append", "unit", "upsert") else 0)
        rounds = faults.rounds(KILLS)
        for turn in kills.turns(rounds, kills=rounds):
            shutil.rmtree(bulkhaul.state, ignore_errors=True)
            before = make_target()
            kills.strike()
            if mode != "unit":
                there = sql("SELECT to_regclass('target')") != [(None,)]
                assert (sql(ALL_ROWS) if there else None) in (before, wanted), f"turn {turn}"
            faults.finish_job(bulkhaul, words, "job")
            assert sql(ALL_ROWS) == wanted, f"turn {turn}"
            assert leftovers(sql) == [], f"turn {turn}"
