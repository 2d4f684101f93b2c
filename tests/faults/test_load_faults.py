"""Loads that are killed, cut off, blocked: the same rows as without, or none."""

from __future__ import annotations

import pytest

from support import faults
from support.loading import database_fixture, sql_fixture
from support.proxy import FaultProxy

ROWS = 60_000
MODES = {
    "new": ["--if-exists", "fail"],
    "append": ["--if-exists", "append"],
    "unit": ["--if-exists", "append", "--commit", "unit"],
    "replace": ["--if-exists", "replace"],
    "truncate": ["--if-exists", "truncate"],
    "upsert": ["--if-exists", "upsert", "--key", "id"],
}
CHECKSUM = "SELECT count(*), count(DISTINCT id), sum(hashtext(t::text)::bigint) FROM {} t"


database = database_fixture("load_faults", f"""
  CREATE TABLE source AS SELECT i AS id, 'row ' || i AS name, i / 7.0 AS ratio
    FROM generate_series(1, {ROWS}) i; ANALYZE;""")
sql = sql_fixture("load_faults")


def make_target(sql, mode):
    sql("DROP TABLE IF EXISTS target CASCADE")
    if mode == "new":
        return None
    sql("CREATE TABLE target (id int PRIMARY KEY, name text, ratio numeric);"
        "INSERT INTO target SELECT -i, 'before', i FROM generate_series(1, 10) i")
    return sql(CHECKSUM.format("target"))[0]


def expected(sql, mode):
    source = sql(CHECKSUM.format("source"))[0]
    if mode in ("append", "unit", "upsert"):
        old = sql("SELECT 10, 10, sum(hashtext((-i, 'before', i::numeric)::text)::bigint) "
                  "FROM generate_series(1, 10) i")[0]
        return tuple(a + b for a, b in zip(source, old))
    return source


def words_of(database, mode):
    return ["copy", database, database, "--table", "source", "--target-table", "target",
            "--unit-bytes", "256KiB", "--workers", "2", "--retry-delay", "50ms", "--job-id", "job",
            *MODES[mode]]


@pytest.mark.parametrize("point", [
    "postgres.unit_entered#2", "postgres.unit_committed#3", "postgres.key_entered",
    "postgres.checked", "postgres.before_commit", "postgres.committed", "ledger.unit_done#2"])
@pytest.mark.parametrize("mode", ["new", "unit", "upsert"])
def test_killed_between_two_steps(bulkhaul, sql, database, mode, point):
    make_target(sql, mode)
    words = words_of(database, mode)
    killed = bulkhaul(*words, env={"BULKHAUL_CRASH_AT": point}, code=None)
    assert killed.code == faults.SIGKILLED, killed.err
    bulkhaul("resume", "job")
    assert sql(CHECKSUM.format("target"))[0] == expected(sql, mode)
    assert sql("SELECT relname FROM pg_class WHERE relname LIKE '\\_bulkhaul%'") == []


HELD_BYTES = 400_000  # of about 2 MB: the workers are in the middle of their units
LOADING = ("FROM pg_stat_activity WHERE application_name LIKE 'bulkhaul:%:load' "
           "AND query LIKE 'COPY%' AND state = 'active'")


@pytest.mark.parametrize("mode", ["new", "unit"])
def test_backends_that_are_terminated_are_replaced(bulkhaul, postgres, sql, database, mode):
    """In the middle of a COPY, of which the source holds the rest back."""
    make_target(sql, mode)
    with FaultProxy(postgres.port) as between:
        between.hold_after(HELD_BYTES)
        words = words_of(database, mode)
        words[1] = between.uri("load_faults") + "?sslmode=disable"
        process = bulkhaul.start(*words, "--batch-rows", "100", "--retries", "10")
        assert between.held.wait(60 * faults.slowness()), process.poll()
        cut = faults.wait_until(lambda: sql(f"SELECT pg_terminate_backend(pid) {LOADING}"),
                                what="a COPY")
        assert set(cut) == {(True,)}
        between.release()
        bulkhaul.finish(process).check(0)
    assert sql(CHECKSUM.format("target"))[0] == expected(sql, mode)


def test_a_locked_target_costs_lock_timeout_and_says_so(bulkhaul, postgres, sql, database):
    before = make_target(sql, "append")
    with postgres.connect("load_faults", autocommit=False) as holder:
        holder.execute("LOCK TABLE target IN SHARE MODE")
        refused = bulkhaul(*words_of(database, "append"), "--lock-timeout", "200ms", "--retries", "1",
                           code=None)
        assert refused.code != 0
        assert "public.target is locked by another session" in refused.err
        holder.rollback()
    assert sql(CHECKSUM.format("target"))[0] == before
    bulkhaul("resume", "job")
    assert sql(CHECKSUM.format("target"))[0] == expected(sql, "append")


@pytest.mark.parametrize("change, said", [
    ("ALTER TABLE target ADD COLUMN more int", "was altered"), ("DROP TABLE target", "was dropped")])
def test_a_target_that_changes_meanwhile_gets_nothing(bulkhaul, postgres, sql, database, change,
                                                      said):
    make_target(sql, "append")
    with postgres.connect("load_faults", autocommit=False) as holder:
        holder.execute("LOCK TABLE target IN SHARE MODE")
        process = bulkhaul.start(*words_of(database, "append"))
        faults.wait_until(lambda: sql("SELECT 1 FROM pg_locks WHERE NOT granted AND "
                                      "relation = 'target'::regclass"), what="the last step")
        holder.execute(change)
        holder.commit()
    outcome = bulkhaul.finish(process)
    assert outcome.code != 0
    assert said in outcome.err, outcome.err
    assert "Start a new job" in outcome.err and "go on with" not in outcome.err, outcome.err
    if "altered" in said:
        assert sql("SELECT count(*) FROM target") == [(10,)]
