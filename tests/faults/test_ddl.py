"""What other sessions do to the tables while they are read: they wait, and the result is the
snapshot's."""

from __future__ import annotations

import threading

import pytest

from support import exports, faults, tables

HOLD_BYTES = 300_000  # of about 2 MB: the job is in the middle of the table


def run_while(bulkhaul, events_proxy, words, act):
    """Holds the job in the middle, calls act(), lets it go on, and gives its outcome."""
    events_proxy.hold_after(HOLD_BYTES)
    process = bulkhaul.start(*words)
    try:
        assert events_proxy.held.wait(60 * faults.slowness()), process.poll()
        act()
    finally:
        events_proxy.release()
    return bulkhaul.finish(process)


@pytest.fixture
def own_events(postgres, database):
    postgres.sql(tables.EVENTS_SQL, database)
    return database


@pytest.mark.parametrize("statement", [
    "VACUUM FULL events",
    "TRUNCATE events",
    "ALTER TABLE events ALTER COLUMN small TYPE text",
    "ALTER TABLE events DROP COLUMN name",
    "DROP TABLE events",
    "CLUSTER events USING events_pkey",
])
def test_statements_that_rewrite_the_table_wait(bulkhaul, postgres, own_events, events_proxy,
                                                events_words, events_checksum, tmp_path,
                                                statement):
    words = events_words(tmp_path / "out", events_proxy.uri(own_events) + "?sslmode=disable")
    other = threading.Thread(target=postgres.sql, args=(statement, own_events), daemon=True)

    def act():
        other.start()
        faults.wait_until(lambda: postgres.sql(
            "SELECT 1 FROM pg_stat_activity WHERE datname = %s AND query = %s "
            "AND wait_event_type = 'Lock'", parameters=(own_events, statement)),
            what="the statement to wait for the job")

    run_while(bulkhaul, events_proxy, words, act).check(0)
    assert exports.checksum(tmp_path / "out" / "public_events") == events_checksum
    other.join(timeout=60)
    assert not other.is_alive(), "the statement still waits after the job"


@pytest.mark.parametrize("statement", [
    "DELETE FROM events",
    "UPDATE events SET name = 'changed'",
    "INSERT INTO events SELECT id + 1000000, small, big FROM events",
])
def test_changes_during_the_run_are_not_seen(bulkhaul, postgres, own_events, events_proxy,
                                             events_words, events_checksum, tmp_path, statement):
    words = events_words(tmp_path / "out", events_proxy.uri(own_events) + "?sslmode=disable")

    def act():
        postgres.sql(statement, own_events)
        postgres.sql("VACUUM events", own_events)

    run_while(bulkhaul, events_proxy, words, act).check(0)
    assert exports.checksum(tmp_path / "out" / "public_events") == events_checksum


def test_no_lock_outlives_the_job(bulkhaul, postgres, events_database, events_words):
    bulkhaul(*events_words())
    faults.wait_until(lambda: not postgres.sql(
        "SELECT 1 FROM pg_stat_activity WHERE application_name LIKE 'bulkhaul%'"),
        what="the sessions to end")
