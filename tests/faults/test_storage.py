"""The destination is full, read-only, or taken away."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest

from support import exports, faults, program, tables


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 1 MiB; /dev/full's error for those who may not mount one."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "bulkhaul-test", str(folder)]
    if subprocess.run(mount, capture_output=True).returncode != 0:
        yield None
        return
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.fixture
def full_disk_run(bulkhaul, small_disk, tmp_path):
    """Runs words(destination) against a disk that gets full; gives outcome and destination."""
    def run(words):
        if small_disk is not None:
            return bulkhaul(*words(small_disk / "out"), code=1), small_disk / "out"
        library = tmp_path / "full.so"
        source = full_disk_source()
        subprocess.run(["gcc", "-shared", "-fPIC", "-o", str(library), "-x", "c", "-", "-ldl"],
                       input=source, text=True, check=True)
        destination = tmp_path / "out"
        environment = {"LD_PRELOAD": str(library), "FULL_UNDER": str(destination)}
        return bulkhaul(*words(destination), env=environment, code=1), destination

    return run


def full_disk_source() -> str:
    """A write() that says ENOSPC below $FULL_UNDER once 1 MiB went there."""
    return r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
static long written;
ssize_t write(int fd, const void *data, size_t size) {
  static ssize_t (*next)(int, const void *, size_t);
  if (!next) next = dlsym(RTLD_NEXT, "write");
  char link[64], path[4096];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, path, sizeof path - 1);
  const char *under = getenv("FULL_UNDER");
  if (length > 0 && under && strncmp(path, under, strlen(under)) == 0 &&
      __sync_add_and_fetch(&written, size) > (1 << 20)) { errno = ENOSPC; return -1; }
  return next(fd, data, size);
}
"""


def test_full_disk(bulkhaul, full_disk_run, postgres, database, small_disk, events_checksum,
                   tmp_path):
    postgres.sql(tables.EVENTS_SQL, database)
    postgres.sql("CREATE TABLE noise AS SELECT i, md5(i::text) || md5((i+1)::text) AS t "
                 "FROM generate_series(1, 60000) AS i", database)
    outcome, destination = full_disk_run(lambda folder: [
        "copy", postgres.uri_of(database), folder, "--table", "noise", "--unit-bytes", "256KiB",
        "--job-id", "job"])
    said = outcome.err + outcome.out
    assert "No space left on device" in said and "noise" in said, said
    assert exports.visible(destination) == []
    # With room again, the job goes on.
    if small_disk is not None:
        subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)
    bulkhaul("resume", "job")
    assert exports.checksum(destination / "public_noise").rows == 60_000
    assert exports.leftovers(destination) == []


def test_read_only_destination(bulkhaul_binary, postgres, events_database, tmp_path):
    destination = tmp_path / "out"
    destination.mkdir()
    destination.chmod(0o555)
    try:
        done = program.run(
            bulkhaul_binary, tmp_path / "state", "copy", postgres.uri_of(events_database),
            destination, "--table", "events", prefix=program.WITHOUT_OVERRIDE, code=1)
        assert "Permission denied" in done.stderr + done.stdout
        assert str(destination) in done.stderr + done.stdout
        assert os.listdir(destination) == []
    finally:
        destination.chmod(0o755)


def test_destination_is_a_file(bulkhaul, postgres, events_database, tmp_path):
    (tmp_path / "out").write_text("precious")
    outcome = bulkhaul("copy", postgres.uri_of(events_database), tmp_path / "out", "--table",
                       "events", code=None)
    assert outcome.code in (1, 2)
    assert str(tmp_path / "out") in outcome.err + outcome.out
    assert (tmp_path / "out").read_text() == "precious"


def test_workspace_deleted_in_the_middle(bulkhaul, events_proxy, events_words, events_checksum,
                                         tmp_path):
    destination = tmp_path / "out"
    events_proxy.hold_after(300_000)
    process = bulkhaul.start(*events_words(destination, events_proxy.events_uri))
    assert events_proxy.held.wait(60 * faults.slowness())
    workspace = destination / ".bulkhaul" / "job"
    faults.wait_until(workspace.exists, what="the workspace")
    # First out of the way: the program still writes there.
    (destination / ".bulkhaul").rename(tmp_path / "gone")
    shutil.rmtree(tmp_path / "gone")
    events_proxy.release()
    outcome = bulkhaul.finish(process)
    assert outcome.code in (0, 1), outcome.err
    if outcome.code == 1:
        assert exports.visible(destination) == []
        assert ".bulkhaul" in outcome.err + outcome.out
        bulkhaul("resume", "job")
    assert exports.checksum(destination / "public_events") == events_checksum


def test_staged_part_damaged_before_resume(bulkhaul, events_words, events_checksum, tmp_path):
    """Resume in a kept snapshot believes checksums, not the ledger alone."""
    destination = tmp_path / "out"
    words = events_words() + ["--keep-snapshot", "1m"]
    bulkhaul(*words, env={"BULKHAUL_CRASH_AT": "ledger.unit_done#200"}, code=faults.SIGKILLED)
    staged = [path for path in (destination / ".bulkhaul" / "job").rglob("*")
              if path.is_file() and path.stat().st_size > 1000]
    assert len(staged) > 20
    staged[0].unlink()
    with open(staged[1], "r+b") as file:
        file.seek(100)
        byte = file.read(1)
        file.seek(100)
        file.write(bytes([byte[0] ^ 1]))
    with open(staged[2], "r+b") as file:
        file.truncate(500)
    bulkhaul("resume", "job")
    assert exports.checksum(destination / "public_events") == events_checksum
    bulkhaul("verify", destination)


def test_ledger_damaged_is_an_error(bulkhaul, events_words, tmp_path):
    bulkhaul(*events_words(), env={"BULKHAUL_CRASH_AT": "ledger.unit_done#200"}, code=faults.SIGKILLED)
    ledgers = list((bulkhaul.state / "bulkhaul" / "jobs" / "job").glob("*.db*")) + list(
        (bulkhaul.state / "bulkhaul" / "jobs" / "job").glob("*.sqlite*"))
    assert ledgers, list((bulkhaul.state / "bulkhaul" / "jobs" / "job").iterdir())
    for path in ledgers:
        path.write_bytes(b"not a database, not at all" * 400)
    outcome = bulkhaul("resume", "job", code=None)
    assert outcome.code in (1, 2)
    assert "ledger" in (outcome.err + outcome.out).lower()
    assert exports.visible(tmp_path / "out") == []


def test_export_damaged_after_publishing_is_found_by_verify(bulkhaul, events_words, tmp_path):
    bulkhaul(*events_words())
    folder = tmp_path / "out" / "public_events"
    bulkhaul("verify", tmp_path / "out")
    part = exports.parts(folder)[3]
    whole = part.read_bytes()
    part.write_bytes(whole[:200] + bytes([whole[200] ^ 0x40]) + whole[201:])
    outcome = bulkhaul("verify", tmp_path / "out", code=1)
    assert part.name in outcome.err + outcome.out
    part.unlink()
    outcome = bulkhaul("verify", tmp_path / "out", code=1)
    assert part.name in outcome.err + outcome.out
