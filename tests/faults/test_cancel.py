"""Ctrl-C, SIGTERM and `cancel`: it stops soon, says so, and the job can go on."""

from __future__ import annotations

import json
import os
import signal
import time

import pytest

from support import exports, faults

# Two are promised. A busy machine takes longer; what must not be waited for takes longer still.
STOP_SECONDS_MAX = 30

PATIENT = ("--connect-timeout", "1h", "--lock-timeout", "1h", "--unit-timeout", "1h")


def start_held(bulkhaul, events_proxy, words, env=None):
    events_proxy.hold_after(300_000)
    process = bulkhaul.start(*words, env=env)
    assert events_proxy.held.wait(60 * faults.slowness()), process.poll()
    return process


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("stalled", [False, True], ids=["data flows", "server is silent"])
def test_signal_stops_soon_and_resumes(bulkhaul, postgres, events_proxy, events_words,
                                       events_checksum, tmp_path, number, stalled):
    destination = tmp_path / "out"
    process = start_held(bulkhaul, events_proxy,
                         events_words(destination, events_proxy.events_uri, *PATIENT))
    if not stalled:
        events_proxy.latency_seconds = 0.01
        events_proxy.release()
    begun = time.monotonic()
    process.send_signal(number)
    outcome = bulkhaul.finish(process).check(130)
    assert time.monotonic() - begun < STOP_SECONDS_MAX * faults.slowness()
    assert "resume" in outcome.err + outcome.out
    assert exports.visible(destination) == []
    events_proxy.latency_seconds = 0
    events_proxy.release()
    faults.wait_until(lambda: not postgres.sql(
        "SELECT 1 FROM pg_stat_activity WHERE application_name LIKE 'bulkhaul%' "
        "AND state = 'active'"), what="the server to forget the queries")
    bulkhaul("resume", "job")
    assert exports.checksum(destination / "public_events") == events_checksum


# Both at once; while the workers end, whose threads nobody joins any more; when they have ended.
@pytest.mark.parametrize("pause_seconds", [0, 0.004, 0.008, 0.1])
def test_second_signal_stops_at_once(bulkhaul, events_proxy, events_words, events_checksum,
                                     tmp_path, pause_seconds):
    destination = tmp_path / "out"
    # A thread that has ended and is not joined is what "at once" means, and no leak.
    env = {"TSAN_OPTIONS": os.environ.get("TSAN_OPTIONS", "") + " report_thread_leaks=0"}
    process = start_held(bulkhaul, events_proxy,
                         events_words(destination, events_proxy.events_uri, *PATIENT), env)
    process.send_signal(signal.SIGINT)
    time.sleep(pause_seconds)
    process.send_signal(signal.SIGINT)
    begun = time.monotonic()
    outcome = bulkhaul.finish(process)
    assert outcome.code in (130, -signal.SIGINT)
    assert time.monotonic() - begun < STOP_SECONDS_MAX * faults.slowness()
    assert exports.visible(destination) == []
    events_proxy.release()
    faults.finish_job(bulkhaul, events_words(), "job")
    assert exports.checksum(destination / "public_events") == events_checksum


def test_cancel_verb(bulkhaul, events_proxy, events_words, events_checksum, tmp_path):
    process = start_held(bulkhaul, events_proxy,
                         events_words(tmp_path / "out", events_proxy.events_uri))
    bulkhaul("cancel", "job")
    bulkhaul.finish(process).check(130)
    events_proxy.release()
    jobs = json.loads(bulkhaul("jobs", "--output", "json").out)
    assert "cancelled" in json.dumps(jobs)
    bulkhaul("resume", "job")
    assert exports.checksum(tmp_path / "out" / "public_events") == events_checksum


def test_signal_while_connecting(bulkhaul, tmp_path):
    """No ledger yet, a server that does not answer: it still stops soon."""
    from support.proxy import SilentServer

    with SilentServer() as server:
        process = bulkhaul.start("copy", f"postgres://u@127.0.0.1:{server.port}/db",
                                 tmp_path / "out", "--all", *PATIENT)
        faults.wait_until(lambda: server.connections, what="the connection")
        begun = time.monotonic()
        process.send_signal(signal.SIGINT)
        assert bulkhaul.finish(process).code == 130
        assert time.monotonic() - begun < STOP_SECONDS_MAX * faults.slowness()


def test_second_process_is_refused_with_the_owner(bulkhaul, events_proxy, events_words,
                                                  events_checksum, tmp_path):
    words = events_words(tmp_path / "out", events_proxy.events_uri)
    process = start_held(bulkhaul, events_proxy, words)
    outcome = bulkhaul("resume", "job", code=None)
    assert outcome.code in (1, 2)
    assert str(process.pid) in outcome.err + outcome.out
    assert os.uname().nodename in outcome.err + outcome.out
    again = bulkhaul(*words, code=None)
    assert again.code in (1, 2)
    status = json.loads(bulkhaul("status", "job", "--output", "json").out)
    assert "running" in json.dumps(status)
    events_proxy.release()
    bulkhaul.finish(process).check(0)
    assert exports.checksum(tmp_path / "out" / "public_events") == events_checksum


def test_lock_of_a_dead_owner_is_taken_over(bulkhaul, events_proxy, events_words,
                                            events_checksum, tmp_path):
    process = start_held(bulkhaul, events_proxy,
                         events_words(tmp_path / "out", events_proxy.events_uri))
    process.kill()
    process.wait()
    events_proxy.release()
    bulkhaul("resume", "job")
    assert exports.checksum(tmp_path / "out" / "public_events") == events_checksum


@pytest.mark.parametrize("conflict", ["version", "overwrite", "fail", "timestamp"])
def test_two_jobs_publish_one_table(bulkhaul, postgres, events_database, events_words,
                                    events_checksum, tmp_path, conflict):
    destination = tmp_path / "out"
    words = [word if word != "job" else "{}" for word in events_words(destination)]
    processes = [
        bulkhaul.start(*[str(word).format(name) for word in words], "--conflict", conflict)
        for name in ("first", "second")
    ]
    outcomes = [bulkhaul.finish(process) for process in processes]
    codes = sorted(outcome.code for outcome in outcomes)
    folders = exports.table_folders(destination)
    assert codes[0] == 0, outcomes
    if conflict in ("version", "overwrite"):
        assert codes == [0, 0], outcomes
    assert len(folders) == (1 if conflict == "overwrite" else codes.count(0))
    for folder in folders:
        assert exports.checksum(folder) == events_checksum
        exports.assert_whole(folder)
    assert exports.leftovers(destination) == []
