"""The server, the way to it and the session fail in the middle of the run."""

from __future__ import annotations

import json
import threading

import pytest

from support import exports, faults, tables
from support.proxy import FaultProxy, SilentServer

HOLD_BYTES = 300_000


@pytest.fixture(scope="session")
def frail_postgres(postgres_factory):
    """A server that these tests restart and kill."""
    cluster = postgres_factory()
    cluster.sql(tables.EVENTS_SQL)
    return cluster


@pytest.fixture
def frail_proxy(frail_postgres):
    with FaultProxy(frail_postgres.port) as between:
        between.events_uri = between.uri("postgres") + "?sslmode=disable"
        yield between


def held(process, proxy) -> None:
    assert proxy.held.wait(60 * faults.slowness()), process.poll()


@pytest.mark.parametrize("how", ["restart", "crash"])
def test_server_goes_down_in_the_middle(bulkhaul, frail_postgres, frail_proxy, events_words,
                                        events_checksum, tmp_path, how):
    report = tmp_path / "report.json"
    words = events_words(tmp_path / "out", frail_proxy.events_uri, "--retries", "30",
                         "--retry-delay-max", "1s", "--report", report)
    frail_proxy.hold_after(HOLD_BYTES)
    process = bulkhaul.start(*words)
    held(process, frail_proxy)
    if how == "restart":
        frail_postgres.restart()
    else:
        frail_postgres.crash()
        frail_postgres.start()
    frail_proxy.release()
    bulkhaul.finish(process).check(0)
    assert exports.checksum(tmp_path / "out" / "public_events") == events_checksum
    assert json.loads(report.read_text())["totals"]["epochs"] >= 2


def test_server_that_stays_down_is_a_clear_error_and_resumable(
        bulkhaul, frail_postgres, frail_proxy, events_words, events_checksum, tmp_path):
    words = events_words(tmp_path / "out", frail_proxy.events_uri, "--retries", "2")
    frail_proxy.hold_after(HOLD_BYTES)
    process = bulkhaul.start(*words)
    held(process, frail_proxy)
    frail_postgres.crash()
    frail_proxy.release()
    outcome = bulkhaul.finish(process).check(1)
    assert "resume" in outcome.err + outcome.out
    assert exports.visible(tmp_path / "out") == []
    frail_postgres.start()
    bulkhaul("resume", "job")
    assert exports.checksum(tmp_path / "out" / "public_events") == events_checksum


def test_backends_terminated_at_random(bulkhaul, postgres, events_proxy, events_words,
                                       events_checksum, tmp_path):
    """Workers and the snapshot's holder alike: units are tried again, or an epoch begins."""
    words = events_words(tmp_path / "out", events_proxy.events_uri, "--retries", "50",
                         "--retry-delay-max", "50ms")
    events_proxy.hold_after(HOLD_BYTES)
    process = bulkhaul.start(*words)
    held(process, events_proxy)
    terminated = 0
    while process.poll() is None and terminated < 6:
        terminated += len(postgres.sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE application_name LIKE 'bulkhaul%' ORDER BY random() LIMIT 1"))
        events_proxy.release()  # the first one ends before
    bulkhaul.finish(process).check(0)
    assert terminated > 0
    assert exports.checksum(tmp_path / "out" / "public_events") == events_checksum


def test_holder_terminated_begins_a_new_epoch(bulkhaul, postgres, events_proxy, events_words,
                                              events_checksum, tmp_path):
    report = tmp_path / "report.json"
    words = events_words(tmp_path / "out", events_proxy.events_uri, "--report", report)
    events_proxy.hold_after(HOLD_BYTES)
    process = bulkhaul.start(*words)
    held(process, events_proxy)
    ended = postgres.sql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE application_name LIKE 'bulkhaul%'")
    assert ended
    events_proxy.release()
    bulkhaul.finish(process).check(0)
    assert exports.checksum(tmp_path / "out" / "public_events") == events_checksum
    assert json.loads(report.read_text())["totals"]["epochs"] == 2


def test_strict_refuses_two_epochs(bulkhaul, postgres, database, tmp_path):
    """A table published before the snapshot was lost and one read after it do not mix."""
    postgres.sql(tables.EVENTS_SQL, database)
    postgres.sql("CREATE TABLE aaa AS SELECT 1 AS x", database)
    words = ["copy", postgres.uri_of(database), tmp_path / "out", "--all", "--strict", "--job-id",
             "job", "--parallel-tables", "1", "--unit-bytes", tables.UNIT_BYTES]
    with FaultProxy(postgres.port) as between:
        words[1] = between.uri(database) + "?sslmode=disable"
        # Both tables are staged in part when the snapshot goes.
        between.hold_after(HOLD_BYTES)
        process = bulkhaul.start(*words)
        held(process, between)
        postgres.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                     "WHERE application_name LIKE 'bulkhaul%'")
        between.release()
        outcome = bulkhaul.finish(process)
    snapshots = {
        json.dumps(exports.metadata(folder)["snapshot"], sort_keys=True)
        for folder in exports.table_folders(tmp_path / "out")
    }
    assert outcome.code in (0, 1), outcome.err
    assert len(snapshots) <= 1
    if outcome.code == 1:
        assert "strict" in outcome.err + outcome.out


@pytest.mark.parametrize("kind", ["reset", "close"])
@pytest.mark.parametrize("after", [2_000, 60_000, 500_000])
def test_connection_breaks_in_the_middle_of_copy(bulkhaul, events_proxy, events_words,
                                                 events_checksum, tmp_path, kind, after):
    words = events_words(tmp_path / "out", events_proxy.events_uri)
    events_proxy.inject(kind, after, times=2)
    bulkhaul(*words)
    assert events_proxy.faults_done == 2
    assert exports.checksum(tmp_path / "out" / "public_events") == events_checksum


def test_connection_that_always_breaks_is_an_error(bulkhaul, events_proxy, events_words, tmp_path):
    events_proxy.inject("reset", 100_000, times=1_000_000)
    outcome = bulkhaul(*events_words(tmp_path / "out", events_proxy.events_uri, "--retries", "2",
                                     "--unit-bytes", "512KiB"), code=1)
    assert "events" in outcome.err + outcome.out
    assert exports.visible(tmp_path / "out") == []


def test_stalled_connection_meets_the_unit_timeout(bulkhaul, events_proxy, events_words,
                                                   events_checksum, tmp_path):
    events_proxy.inject("stall", 400_000, times=1)
    bulkhaul(*events_words(tmp_path / "out", events_proxy.events_uri, "--unit-timeout", "2s",
                           "--retries", "20"))
    assert events_proxy.faults_done == 1
    assert exports.checksum(tmp_path / "out" / "public_events") == events_checksum


def test_silent_server_meets_the_connect_timeout(bulkhaul, tmp_path):
    with SilentServer() as server:
        outcome = bulkhaul(
            "copy", f"postgres://u@127.0.0.1:{server.port}/db", tmp_path / "out", "--all",
            "--connect-timeout", "1s", "--retries", "1", "--retry-delay", "10ms", code=1)
        assert server.connections >= 1
    assert "no answer within 1000 ms" in outcome.err, outcome.err
    assert exports.visible(tmp_path / "out") == []


def test_statement_timeout_is_named(bulkhaul, postgres, database, tmp_path):
    postgres.sql("CREATE VIEW slow AS SELECT i, pg_sleep(0.05)::text AS s "
                 "FROM generate_series(1, 1000) AS i", database)
    outcome = bulkhaul(
        "copy", postgres.uri_of(database), tmp_path / "out", "--table", "public.slow",
        "--statement-timeout", "300ms", "--retries", "1", "--retry-delay", "10ms", code=1)
    assert "statement_timeout" in outcome.err + outcome.out or (
        "statement timeout" in outcome.err + outcome.out)
    assert exports.visible(tmp_path / "out") == []


def test_lock_timeout_is_named(bulkhaul, postgres, database, tmp_path):
    postgres.sql("CREATE TABLE busy AS SELECT 1 AS x", database)
    with postgres.connect(database, autocommit=False) as other:
        other.execute("LOCK TABLE busy IN ACCESS EXCLUSIVE MODE")
        outcome = bulkhaul(
            "copy", postgres.uri_of(database), tmp_path / "out", "--table", "public.busy",
            "--lock-timeout", "300ms", "--retries", "1", "--retry-delay", "10ms", code=1)
        other.rollback()
    assert "lock" in (outcome.err + outcome.out).lower()
    assert exports.visible(tmp_path / "out") == []


def test_latency_only_slows_it_down(bulkhaul, events_proxy, events_words, events_checksum,
                                    tmp_path):
    events_proxy.latency_seconds = 0.002
    bulkhaul(*events_words(tmp_path / "out", events_proxy.events_uri))
    assert exports.checksum(tmp_path / "out" / "public_events") == events_checksum


def test_settings_of_the_database_change_nothing(bulkhaul, postgres, database, events_checksum,
                                                 tmp_path):
    """The holder has no timeouts though the database sets them, and values look the same."""
    postgres.sql(tables.EVENTS_SQL, database)
    for setting in ("statement_timeout = '1s'", "idle_in_transaction_session_timeout = '200ms'",
                    "default_transaction_isolation = 'serializable'", "row_security = on",
                    "datestyle = 'German'", "intervalstyle = 'iso_8601'", "bytea_output = 'escape'",
                    "timezone = 'Asia/Tokyo'", "extra_float_digits = 0"):
        postgres.sql(f'ALTER DATABASE "{database}" SET {setting}')
    with FaultProxy(postgres.port) as between:
        between.hold_after(HOLD_BYTES)
        process = bulkhaul.start(
            "copy", between.uri(database) + "?sslmode=disable", tmp_path / "out", "--table",
            "events", "--unit-bytes", tables.UNIT_BYTES, "--workers", "2", "--retries", "0")
        held(process, between)
        # Long enough for the database's idle timeout, had it not been turned off.
        threading.Event().wait(0.5)
        between.release()
        bulkhaul.finish(process).check(0)
    assert exports.checksum(tmp_path / "out" / "public_events") == events_checksum
