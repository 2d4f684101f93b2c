"""Killing the program, and bringing its job to an end afterwards."""

from __future__ import annotations

import concurrent.futures
import contextlib
import os
import pathlib
import random
import re
import signal
import subprocess
import time

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent.parent

SIGKILLED = -signal.SIGKILL


def rounds(full: int = 25) -> int:
    """How many instants a kill test tries; with a sanitizer fewer."""
    default = 2 if os.environ.get("BULKHAUL_SANITIZED") else full
    return int(os.environ.get("BULKHAUL_FAULT_ROUNDS", default))


def slowness() -> int:
    """How much slower than a release build the program under test may be."""
    return 10 if os.environ.get("BULKHAUL_SANITIZED") else 1


def wait_until(condition, seconds: float = 60, what: str = "the condition"):
    """Polls until `condition()` is true and gives its value."""
    deadline = time.monotonic() + seconds * slowness()
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.02)
    raise AssertionError(f"waited {seconds} s for {what}")


@contextlib.contextmanager
def in_background(action):
    """Runs it in a thread meanwhile; an error of it is one of the test."""
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        running = pool.submit(action)
        yield
        running.result()


class RandomKills:
    """Kills the program at random instants, one in each part of a run:

    for turn in kills.turns(rounds):
        …  # as before the first run
        kills.strike()
        …  # what must hold now

    There are at least `rounds` turns, and as many more as it takes for `kills` of them (half, unless
    said) to be kills: how long a run takes is measured, and learnt again from each that ended before
    its instant.
    """

    def __init__(self, bulkhaul, words, seed):
        self._bulkhaul = bulkhaul
        self._words = words
        self._chance = random.Random(seed)
        self._run_seconds = 0.0
        self._kills = 0
        self._turn = 0
        self._rounds = 1

    def run_whole(self) -> None:
        """Undisturbed, to learn how long it takes."""
        begun = time.monotonic()
        self._bulkhaul(*self._words)
        self._run_seconds = time.monotonic() - begun

    def turns(self, rounds: int, kills: int | None = None):
        self._rounds = rounds
        wanted = (rounds + 1) // 2 if kills is None else kills
        while self._turn < rounds or self._kills < wanted:
            assert self._turn < 10 * rounds, f"{self._kills} kills in {self._turn} turns"
            yield self._turn
            self._turn += 1

    def strike(self) -> None:
        part = (self._turn % self._rounds + self._chance.random()) / self._rounds
        begun = time.monotonic()
        process = self._bulkhaul.start(
            *self._words, start_new_session=True, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL)
        try:
            code = process.wait(timeout=self._run_seconds * part)
            assert code == 0, code
            self._run_seconds = min(self._run_seconds, time.monotonic() - begun)
        except subprocess.TimeoutExpired:
            process.kill()
            self._kills += process.wait() == SIGKILLED


def job_states(bulkhaul) -> dict[str, str]:
    """What `jobs` says: state by job id."""
    return {job["job_id"]: job["state"] for job in bulkhaul("jobs", "--output", "json").json}


def finish_job(bulkhaul, words, job: str):
    """Resumes a killed job; runs it again when it died before it was a job at all."""
    if job_states(bulkhaul).get(job) == "done":
        return
    outcome = bulkhaul("resume", job, code=None)
    if "there is no job" in outcome.err:
        bulkhaul(*words)
    else:
        outcome.check(0)


def crash_points() -> list[str]:
    """Every crash point that the sources name."""
    found = set()
    for path in (REPOSITORY / "src").rglob("*.cc"):
        if path.name.endswith("_test.cc"):
            continue
        found.update(re.findall(r'CrashPoint\("([^"]+)"\)', path.read_text()))
    return sorted(found)
