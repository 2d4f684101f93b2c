"""Rows of the input that share a key: one of them is taken across all units, files and workers of
the job, by the duplicates policy, or none."""

from __future__ import annotations

import json
import random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from support import faults
from support.loading import database_fixture, leftovers, sql_fixture

FILES = 3
ROWS = 3000  # of a file
KEYS = 2000  # so that most keys come again: in the same unit, in another one, in another file


database = database_fixture("load_upsert")
sql = sql_fixture("load_upsert", "target")


def parts(seed: int) -> list[list[dict]]:
    """What the files hold, in their order; `place` tells each row from all others."""
    chance = random.Random(seed)
    return [[{"a": chance.randrange(KEYS), "b": f"k{chance.randrange(2)}",
              "place": f"file {number} row {row}"} for row in range(ROWS)]
            for number in range(FILES)]


def write_csv(path, rows):
    path.write_text("a,b,place\n" + "".join(f"{row['a']},{row['b']},{row['place']}\n"
                                            for row in rows))


def write_jsonl(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def write_parquet(path, rows):
    pq.write_table(pa.Table.from_pylist(rows), path, row_group_size=250)


WRITERS = {"csv": write_csv, "jsonl": write_jsonl, "parquet": write_parquet}


@pytest.mark.parametrize("kind", WRITERS)
def test_one_row_of_a_key_is_taken_across_the_whole_job(bulkhaul, database, sql, tmp_path, kind):
    files = parts(7)
    folder = tmp_path / "target"
    folder.mkdir()
    for number, rows in enumerate(files):
        WRITERS[kind](folder / f"part{number}.{kind}", rows)
    words = ["copy", folder, database, "--target-table", "public.target", "--if-exists", "upsert",
             "--key", "a,b", "--unit-bytes", "8KiB", "--workers", "4", "--progress", "none"]
    made = ("DROP TABLE IF EXISTS target;"
            " CREATE TABLE target (a bigint, b text, place text, PRIMARY KEY (a, b));"
            " INSERT INTO target SELECT i, 'k0', 'old' FROM generate_series(0, 4000) i")
    every = [row for rows in files for row in rows]
    last = {(row["a"], row["b"]): row["place"] for row in every}
    first = {(row["a"], row["b"]): row["place"] for row in reversed(every)}
    old = {(key, "k0"): "old" for key in range(4001)}
    for policy, taken in (("first", first), ("last", last)):
        sql(made)
        report = tmp_path / f"{policy}.json"
        bulkhaul(*words, "--duplicates", policy, "--report", report)
        found = json.loads(report.read_text())["tables"][0]
        assert found["units"] > FILES, found
        assert found["rows"] == len(taken)
        assert found["counters"]["duplicates_left_out"] == len(every) - len(taken)
        loaded = {(a, b): place for a, b, place in sql("SELECT a, b, place FROM target")}
        assert loaded == {**old, **taken}, policy
    sql(made)
    refused = bulkhaul(*words, code=1)
    assert "rows have the key (a, b)" in refused.err and "set duplicates to" in refused.err
    assert sql("SELECT count(*) FROM target WHERE place = 'old'") == [(4001,)]
    assert sql("SELECT count(*) FROM target") == [(4001,)]


def test_a_resumed_job_keeps_the_order_of_the_input(bulkhaul, database, sql, tmp_path):
    """The units that come after the kill do not count as later rows."""
    files = parts(11)
    folder = tmp_path / "target"
    folder.mkdir()
    for number, rows in enumerate(files):
        write_csv(folder / f"part{number}.csv", rows)
    words = ["copy", folder, database, "--target-table", "public.target", "--if-exists", "upsert",
             "--key", "a,b", "--duplicates", "first", "--unit-bytes", "8KiB", "--workers", "3",
             "--job-id", "job", "--progress", "none"]
    killed = bulkhaul(*words, env={"BULKHAUL_CRASH_AT": "postgres.unit_committed#7"}, code=None)
    assert killed.code == -9, killed.err
    bulkhaul("resume", "job")
    first = {(row["a"], row["b"]): row["place"]
             for row in reversed([row for rows in files for row in rows])}
    assert {(a, b): place for a, b, place in sql("SELECT a, b, place FROM target")} == first
    assert leftovers(sql) == []


def test_upserts_in_opposite_orders_take_turns(bulkhaul, postgres, database, sql, tmp_path):
    """Both wait while a session holds a key in the middle; without turns each then has rows that the
    other one needs."""
    sql("CREATE TABLE target (a int, b int, v text, PRIMARY KEY (a, b)) PARTITION BY LIST (b);"
        " CREATE TABLE part PARTITION OF target FOR VALUES IN (1);"
        " INSERT INTO target SELECT i, 1, 'old' FROM generate_series(1, 100) i")
    jobs = []
    with postgres.connect("load_upsert", autocommit=False) as holder:
        holder.execute("SELECT 1 FROM target WHERE a = 50 FOR UPDATE")
        for place, order in (("target", range(1, 101)), ("part", range(100, 0, -1))):
            path = tmp_path / f"{place}.csv"
            write_csv(path, [{"a": a, "b": 1, "place": place} for a in order])
            jobs.append(bulkhaul.start(
                "copy", path, database, "--target-table", f"public.{place}", "--rename", "place=v",
                "--if-exists", "upsert", "--key", "a,b", "--retries", "0", "--lock-timeout", "10m",
                "--progress", "none"))
        faults.wait_until(lambda: sql(
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND"
            " datname = current_database()") == [(2,)], what="both jobs to wait")
        holder.execute("INSERT INTO target VALUES (0, 1, 'of another session')")  # others may write
        holder.commit()
    for job in jobs:
        bulkhaul.finish(job).check(0)
    assert sql("SELECT count(*), count(DISTINCT v) FROM target WHERE a > 0") == [(100, 1)]


def test_an_upsert_waits_for_its_turn_no_longer_than_lock_timeout(bulkhaul, postgres, database, sql,
                                                                  tmp_path):
    sql("CREATE TABLE target (a int PRIMARY KEY); INSERT INTO target VALUES (1)")
    path = tmp_path / "target.csv"
    path.write_text("a\n1\n2\n")
    words = ["copy", path, database, "--target-table", "public.target", "--if-exists", "upsert",
             "--duplicates", "first", "--retries", "0", "--progress", "none"]
    with postgres.connect("load_upsert", autocommit=False) as holder:
        holder.execute("SELECT pg_advisory_xact_lock(1651862635, 'target'::regclass::oid::int)")
        refused = bulkhaul(*words, "--lock-timeout", "50ms", code=1)
        assert "other upserts into public.target" in refused.err and "lock_timeout" in refused.err
    bulkhaul(*words)
    assert sql("SELECT count(*) FROM target") == [(2,)]
