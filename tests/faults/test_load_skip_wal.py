"""skip_wal: a table is one transaction of one connection, and what ends that ends the table."""

from __future__ import annotations

import json

import pytest

from support import faults, proxy
from support.loading import leftovers

ROWS = 200_000
CHECKSUM = "SELECT count(*), sum(hashtext((id, name)::text)::bigint) FROM {}"
GIVEN_SQL = f"SELECT i AS id, 'row ' || i AS name FROM generate_series(1, {ROWS}) i"
BEFORE_SQL = "CREATE TABLE target (id int, name text); INSERT INTO target VALUES (-1, 'old')"


@pytest.fixture(scope="module")
def source(postgres):
    postgres.sql("CREATE DATABASE skip_wal_source")
    postgres.sql(f"CREATE TABLE given AS {GIVEN_SQL}; ANALYZE", "skip_wal_source")
    with proxy.FaultProxy(postgres.port) as between:
        between.source_uri = between.uri("skip_wal_source") + "?sslmode=disable"
        yield between
    postgres.sql("DROP DATABASE skip_wal_source WITH (FORCE)")


@pytest.fixture(scope="module")
def target(postgres_factory):
    return postgres_factory("wal_level=minimal", "max_wal_senders=0", "autovacuum=off")


@pytest.fixture
def words(source, target):
    target.sql("DROP TABLE IF EXISTS target")

    def make(*more):
        return ["copy", source.source_uri, target.uri_of("postgres"), "--table", "public.given",
                "--target-table", "public.target", "--unit-bytes", "1MiB", "--workers", "3",
                "--retry-delay", "20ms", "--job-id", "job", "--progress", "none",
                "--output", "json", *more]
    return make


def whole(target):
    assert target.sql(CHECKSUM.format("target")) == target.sql(CHECKSUM.format(f"({GIVEN_SQL}) t"))
    assert leftovers(target.sql) == []


@pytest.mark.parametrize("mode", ["fail", "replace", "truncate"])
def test_a_new_file_of_a_table_costs_no_wal(bulkhaul, target, words, mode):
    wal = {}
    for more in ([], ["--skip-wal"]):
        target.sql("DROP TABLE IF EXISTS target")
        if mode != "fail":
            target.sql(BEFORE_SQL)
        done = bulkhaul(*words("--if-exists", mode, "--job-id", f"job{len(more)}", *more)).json
        wal[len(more)] = done["tables"][0]["counters"]["server_wal_bytes"]
        assert done["tables"][0]["units"] > 5
        whole(target)
    assert wal[1] < wal[0] / 10, wal
    assert target.sql("SELECT relpersistence::text FROM pg_class WHERE relname = 'target'") == [
        ("p",)]


def test_a_crash_of_the_server_behind_the_commit_loses_nothing(bulkhaul, target, words):
    """Without WAL the rows are in the table's file by then, synced."""
    bulkhaul(*words("--skip-wal"))
    target.crash()
    target.start()
    whole(target)


@pytest.mark.parametrize("mode", ["append", "upsert"])
def test_a_table_that_was_there(bulkhaul, target, words, mode):
    target.sql("CREATE TABLE target (id int PRIMARY KEY, name text);"
               "INSERT INTO target VALUES (-1, 'old')")
    bulkhaul(*words("--skip-wal", "--if-exists", mode))
    assert target.sql("DELETE FROM target WHERE id = -1 RETURNING name") == [("old",)]
    whole(target)


def test_a_value_that_the_server_refuses_is_told_with_its_place(bulkhaul, target, tmp_path):
    target.sql("DROP TABLE IF EXISTS target; CREATE TABLE target (id int, span interval)")
    path = tmp_path / "rows.csv"
    path.write_text("id,span\n" + "".join(f"{i},{'soon' if i == 40_000 else '1 day'}\n"
                                          for i in range(60_000)))
    refused = bulkhaul("copy", path, target.uri_of("postgres"), "--target-table", "public.target",
                       "--if-exists", "append", "--skip-wal", "--unit-bytes", "100kB", code=1)
    assert "rows.csv, line 40002" in refused.err and 'column "span"' in refused.err, refused.err
    assert target.sql("SELECT * FROM target") == []
    bulkhaul("clean", "--older-than", "0s")
    assert leftovers(target.sql) == []


@pytest.mark.parametrize("point", ["postgres.unit_entered#3", "postgres.unit_committed#3",
                                   "postgres.before_commit", "postgres.committed"])
@pytest.mark.parametrize("mode", ["fail", "replace"])
def test_killed_and_resumed(bulkhaul, target, words, mode, point):
    if mode == "replace":
        target.sql(BEFORE_SQL)
    killed = bulkhaul(*words("--skip-wal", "--if-exists", mode), env={"BULKHAUL_CRASH_AT": point},
                      code=None)
    assert killed.code == faults.SIGKILLED, killed.err
    if point != "postgres.committed":
        found = target.sql("SELECT to_regclass('target')::text")
        assert found == [("target" if mode == "replace" else None,)]
    bulkhaul("resume", "job")
    whole(target)


def test_a_unit_that_breaks_is_loaded_again_behind_its_savepoint(bulkhaul, source, target, words):
    before = source.faults_done
    for sent in (300_000, 700_000, 1_500_000):
        source.inject("reset", sent)
    report = bulkhaul(*words("--skip-wal", "--retries", "10")).json
    assert source.faults_done > before
    assert report["totals"]["retries"] > 0
    whole(target)


def test_a_locked_target_is_tried_again_with_the_rows_that_are_there(bulkhaul, target, words):
    target.sql(BEFORE_SQL)
    holder = target.connect(autocommit=False)
    holder.execute("LOCK TABLE target IN SHARE MODE")
    process = bulkhaul.start(*words("--skip-wal", "--if-exists", "replace", "--retries", "500",
                                    "--retry-delay-max", "50ms", "--lock-timeout", "300ms"))
    faults.wait_until(lambda: "due to lock timeout" in target.log(), what="the lock's timeout")
    holder.close()
    report = json.loads(bulkhaul.finish(process).check().out)
    assert report["tables"][0]["rows"] == ROWS
    assert target.log().count("TRUNCATE") == 0  # no statement of a second begin has failed
    whole(target)


def test_a_lost_connection_loses_the_table_and_resume_brings_it(bulkhaul, target, words):
    target.sql(BEFORE_SQL)
    holder = target.connect(autocommit=False)
    holder.execute("LOCK TABLE target IN SHARE MODE")
    process = bulkhaul.start(*words("--skip-wal", "--if-exists", "replace"))
    faults.wait_until(lambda: target.sql("SELECT 1 FROM pg_locks WHERE NOT granted AND "
                                         "relation = 'target'::regclass"), what="the last step")
    target.sql("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE NOT granted AND "
               "relation = 'target'::regclass")
    outcome = bulkhaul.finish(process).check(1)
    holder.close()
    assert "bulkhaul resume" in outcome.err + outcome.out
    assert target.sql("SELECT name FROM target") == [("old",)]
    bulkhaul("resume", "job")
    whole(target)


def test_a_connection_lost_between_units_is_said_at_once(bulkhaul, source, target, words):
    source.hold_after(1_000_000)  # the first units are in, the next wait for their rows
    process = bulkhaul.start(*words("--skip-wal"))
    try:
        assert source.held.wait(60 * faults.slowness()), process.poll()
        waiting = "SELECT pid FROM pg_stat_activity WHERE state LIKE 'idle in transaction%'"
        faults.wait_until(lambda: target.sql(waiting), what="the open transaction")
        target.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                   "WHERE state LIKE 'idle in transaction%'")
    finally:
        source.release()
    outcome = bulkhaul.finish(process).check(1)
    assert "held all its rows in one transaction" in outcome.err + outcome.out
    assert target.sql("SELECT to_regclass('target')") == [(None,)]
    bulkhaul("resume", "job")
    whole(target)


def test_where_it_cannot_work_the_plan_says_so(bulkhaul, postgres, source, target, words):
    refused = bulkhaul("copy", source.source_uri, postgres.uri_of("postgres"), "--table",
                       "public.given", "--target-table", "public.skipped", "--skip-wal", code=1)
    assert "wal_level = minimal" in refused.err and "replica" in refused.err
    assert postgres.sql("SELECT to_regclass('skipped')") == [(None,)]
    for other in (["--unlogged"], ["--commit", "unit", "--if-exists", "append"]):
        refused = bulkhaul(*words("--skip-wal", *other), code=2)
        assert "skip_wal" in refused.err, refused.err
    planned = bulkhaul("plan", *words("--skip-wal")[1:]).json
    assert "without WAL" in json.dumps(planned)
