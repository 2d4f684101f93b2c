"""kill -9 at any instant, then resume: every row once, and nothing to see before the commit."""

from __future__ import annotations

import json
import shutil

import pytest

from support import exports, faults, tables
from support.writers import Writers

KEPT = ("--keep-snapshot", "1m")
FEWER_UNITS = ["--unit-bytes", "128KiB"]  # later flags win


def assert_nothing_half(destination, expected: exports.Checksum) -> None:
    """After a kill: no table, or the whole one."""
    assert exports.leftovers(destination, while_publishing=True) == []
    for folder in exports.table_folders(destination):
        assert exports.checksum(folder) == expected


def forget(bulkhaul, destination) -> None:
    shutil.rmtree(destination, ignore_errors=True)
    shutil.rmtree(bulkhaul.state, ignore_errors=True)


@pytest.mark.parametrize("keep", [(), KEPT], ids=["new epoch", "kept snapshot"])
def test_killed_at_random_instants(bulkhaul, events_words, events_checksum, tmp_path, keep):
    destination = tmp_path / "out"
    words = events_words() + list(keep)
    kills = faults.RandomKills(bulkhaul, words, seed=7)
    kills.run_whole()
    plan = exports.metadata(destination / "public_events")
    assert len(plan["parts"]) >= 200
    for turn in kills.turns(faults.rounds()):
        forget(bulkhaul, destination)
        kills.strike()
        assert_nothing_half(destination, events_checksum)
        faults.finish_job(bulkhaul, words, "job")
        assert exports.checksum(destination / "public_events") == events_checksum, f"turn {turn}"
        assert exports.visible(destination).count("public_events") == 1
        assert not (destination / "public_events_v2").exists(), f"turn {turn}"


def test_kept_snapshot_reads_no_finished_unit_again(bulkhaul, events_words, events_checksum,
                                                    tmp_path):
    words = events_words() + ["--keep-snapshot", "10m"]
    killed = bulkhaul(*words, env={"BULKHAUL_CRASH_AT": "ledger.unit_done#150"}, code=None)
    assert killed.code == faults.SIGKILLED
    report = tmp_path / "report.json"
    bulkhaul("resume", "job", "--report", report)
    found = json.loads(report.read_text())
    assert found["totals"]["epochs"] == 1
    assert exports.checksum(tmp_path / "out" / "public_events") == events_checksum
    units = len(exports.metadata(tmp_path / "out" / "public_events")["parts"])
    assert found["totals"]["units"] <= units - 140


@pytest.mark.parametrize("point", faults.crash_points())
def test_killed_between_two_steps(bulkhaul, events_words, events_checksum, tmp_path, point):
    """At each step that the sources name; then also a second kill at the same step of resume."""
    destination = tmp_path / "out"
    words = events_words() + FEWER_UNITS
    first = bulkhaul(*words, env={"BULKHAUL_CRASH_AT": point}, code=None)
    assert first.code in (faults.SIGKILLED, 0), first.err
    assert_nothing_half(destination, events_checksum)
    if faults.job_states(bulkhaul).get("job", "done") != "done":
        second = bulkhaul("resume", "job", env={"BULKHAUL_CRASH_AT": point}, code=None)
        assert second.code in (faults.SIGKILLED, 0), second.err
        assert_nothing_half(destination, events_checksum)
    faults.finish_job(bulkhaul, words, "job")
    assert exports.checksum(destination / "public_events") == events_checksum
    assert exports.visible(destination).count("public_events_v2") == 0


@pytest.mark.parametrize("point", [p for p in faults.crash_points() if p.startswith("publish")])
def test_killed_while_it_replaces_an_export(bulkhaul, events_words, events_checksum, tmp_path,
                                            point):
    """Overwrite: at every step a reader finds the old or the new table, whole."""
    destination = tmp_path / "out"
    words = events_words() + FEWER_UNITS
    bulkhaul(*words, "--job-id", "old", "--limit", "100")
    old = exports.checksum(destination / "public_events")
    assert old.rows == 100
    words = words + ["--conflict", "overwrite"]
    bulkhaul(*words, env={"BULKHAUL_CRASH_AT": point}, code=None)
    assert exports.checksum(destination / "public_events") in (old, events_checksum)
    assert exports.leftovers(destination, while_publishing=True) == []
    faults.finish_job(bulkhaul, words, "job")
    assert exports.leftovers(destination) == []
    assert exports.checksum(destination / "public_events") == events_checksum
    assert exports.table_folders(destination) == [destination / "public_events"]


@pytest.mark.parametrize("keep", [(), KEPT], ids=["new epoch", "kept snapshot"])
def test_killed_under_concurrent_writers(bulkhaul, postgres, database, tmp_path, keep):
    """Rows move between pages all the time; each published table is one moment's accounts."""
    postgres.sql(tables.ACCOUNTS_SQL, database)
    destination = tmp_path / "out"
    words = [
        "copy", postgres.uri_of(database), destination, "--table", "public.accounts",
        "--unit-bytes", "16KiB", "--workers", "2", "--job-id", "job", "--progress",
        "none", *keep,
    ]
    kills = faults.RandomKills(bulkhaul, words, seed=11)
    with Writers(postgres, database) as writers:
        kills.run_whole()
        for _ in kills.turns(faults.rounds()):
            forget(bulkhaul, destination)
            postgres.sql("VACUUM accounts", database)
            kills.strike()
            for folder in exports.table_folders(destination):
                assert_invariant(folder)
            faults.finish_job(bulkhaul, words, "job")
            assert_invariant(destination / "public_accounts")
        faults.wait_until(lambda: writers.transactions > 20, what="the writers")


def assert_invariant(folder) -> None:
    found = exports.query(folder, tables.INVARIANT_SQL)[0]
    assert tables.Invariant(*found) == tables.ACCOUNTS_INVARIANT


def test_a_new_ledger_needs_no_rollback_journal(bulkhaul, tmp_path):
    """Killed while it changed to a WAL, it left a job that `copy` knew and `resume` did not."""
    words = ["copy", "generator:name=t&rows=10&columns=id:int64/serial", tmp_path / "out",
             "--job-id", "job"]
    bulkhaul(*words, env={"BULKHAUL_CRASH_AT": "ledger.created"}, code=faults.SIGKILLED)
    folder = bulkhaul.state / "bulkhaul" / "jobs" / "job"
    # SQLite, "Database File Format": 2 is a WAL, 1 a rollback journal.
    assert (folder / "ledger.db").read_bytes()[18:20] == b"\x02\x02"
    assert not (folder / "ledger.db-journal").exists()
    bulkhaul("resume", "job")
