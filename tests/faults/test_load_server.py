"""The server that rows are loaded into crashes, has no room left, or no connection left."""

from __future__ import annotations

import json
import os
import shutil
import subprocess

import pytest

from support import faults
from support.loading import leftovers
from support.proxy import FaultProxy

ROWS = 40_000
CHECKSUM = "SELECT count(*), sum(hashtext((id, name)::text)::bigint) FROM {}"
WANTED = CHECKSUM.format(f"(SELECT i AS id, 'row ' || i AS name FROM generate_series(1, {ROWS}) i) t")


@pytest.fixture(scope="module")
def source(postgres):
    """Rows on a server that stays up."""
    postgres.sql("CREATE DATABASE load_server_source")
    postgres.sql(f"CREATE TABLE given AS SELECT i AS id, 'row ' || i AS name "
                 f"FROM generate_series(1, {ROWS}) i; ANALYZE", "load_server_source")
    yield postgres.uri_of("load_server_source")
    postgres.sql("DROP DATABASE load_server_source WITH (FORCE)")


@pytest.fixture(scope="module")
def target(postgres_factory):
    return postgres_factory("max_connections=8", "superuser_reserved_connections=1",
                            "autovacuum=off", "max_wal_senders=0")


@pytest.fixture
def words(source, target):
    target.sql("DROP TABLE IF EXISTS target")

    def make(*more, user="postgres"):
        return ["copy", source, target.uri_of("postgres", user), "--table", "public.given",
                "--target-table", "public.target", "--unit-bytes", "128KiB", "--workers", "2",
                "--retry-delay", "20ms", "--job-id", "job", "--progress", "none", *more]
    return make


def whole(target, table="target"):
    assert target.sql(CHECKSUM.format(table)) == target.sql(WANTED)
    assert leftovers(target.sql) == []


@pytest.mark.parametrize("point", ["postgres.unit_committed#3", "postgres.key_entered",
                                   "postgres.before_commit"])
@pytest.mark.parametrize("mode", ["fail", "replace"])
def test_a_crash_of_the_server_empties_unlogged_tables_and_they_are_loaded_again(
        bulkhaul, target, words, mode, point):
    if mode == "replace":
        target.sql("CREATE TABLE target (id int, name text); INSERT INTO target VALUES (-1, 'old')")
    killed = bulkhaul(*words("--unlogged", "--if-exists", mode),
                      env={"BULKHAUL_CRASH_AT": point}, code=None)
    assert killed.code == faults.SIGKILLED, killed.err
    target.crash()
    target.start()
    beside = [name for (name,) in leftovers(target.sql) if not name.endswith(("ledger", "_s"))]
    assert [target.sql(f"SELECT count(*) FROM {name}") for name in beside] == [[(0,)]]
    if mode == "replace":
        assert target.sql("SELECT name FROM target") == [("old",)]
    bulkhaul("resume", "job")
    whole(target)
    assert target.sql("SELECT relpersistence::text FROM pg_class WHERE relname = 'target'") == [
        ("p",)]


def test_a_crash_between_the_units_and_their_publication_is_seen(bulkhaul, target, words):
    """The server is emptied while the program waits for the target's lock."""
    target.sql("CREATE TABLE target (id int, name text)")
    holder = target.connect(autocommit=False)
    holder.execute("LOCK TABLE target IN SHARE MODE")
    process = bulkhaul.start(*words("--unlogged", "--if-exists", "append"))
    faults.wait_until(lambda: target.sql("SELECT 1 FROM pg_locks WHERE NOT granted AND "
                                         "relation = 'target'::regclass"), what="the last step")
    target.restart()
    holder.close()
    outcome = bulkhaul.finish(process)
    if outcome.code != 0:
        said = outcome.err + outcome.out
        assert "emptied the unlogged table" in said or "connect" in said, said
        assert target.sql("SELECT count(*) FROM target") == [(0,)]
        bulkhaul("resume", "job")
    whole(target)


HELD_BYTES = 300_000  # of about 1 MB: the workers are in the middle of their units


@pytest.mark.parametrize("retries", [0, 500])
@pytest.mark.parametrize("mode", ["new", "unit"])
def test_a_restart_in_the_middle_of_a_copy(bulkhaul, postgres, target, words, mode, retries):
    """The source holds the rest back while the server goes down and comes up."""
    more = []
    if mode == "unit":
        target.sql("CREATE TABLE target (id int, name text)")
        more = ["--if-exists", "append", "--commit", "unit"]
    with FaultProxy(postgres.port) as between:
        between.hold_after(HELD_BYTES)
        held = words("--batch-rows", "100", "--retries", retries, "--retry-delay-max", "100ms", *more)
        held[1] = between.uri("load_server_source") + "?sslmode=disable"
        process = bulkhaul.start(*held)
        assert between.held.wait(60 * faults.slowness()), process.poll()
        faults.wait_until(lambda: target.sql(
            "SELECT 1 FROM pg_stat_activity WHERE application_name LIKE 'bulkhaul:%:load' "
            "AND query LIKE 'COPY%' AND state = 'active'"), what="a COPY")
        target.restart()
        between.release()
        outcome = bulkhaul.finish(process)
        if retries == 0:
            outcome.check(1)
            bulkhaul("resume", "job")
        else:
            outcome.check(0)
    whole(target)


@pytest.fixture
def small_tablespace(target):
    """A tablespace of 1 MiB: on a tmpfs, or for those who may not mount one by a server whose
    writes below it fail like those of a full disk. Gives a function that makes room."""
    folder = target.folder.parent / "space"  # the server's user can reach it
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m,mode=777", "bulkhaul-test",
                              str(folder)], capture_output=True).returncode == 0
    space = folder / "space"
    space.mkdir()
    if os.geteuid() == 0:  # else the server is this user's
        shutil.chown(space, *owner_of(target))
    if not mounted:
        restart_with_full_disk(target, space)
    target.sql(f"CREATE TABLESPACE small LOCATION '{space}'")
    target.sql("ALTER DATABASE postgres SET default_tablespace = small")

    def make_room():
        if mounted:
            subprocess.run(["mount", "-o", "remount,size=64m", str(folder)], check=True)
        else:
            target.restart()

    yield make_room
    target.sql("ALTER DATABASE postgres RESET default_tablespace; DROP TABLE IF EXISTS target")
    target.sql("DROP TABLESPACE small")
    if mounted:
        subprocess.run(["umount", "-l", str(folder)], check=True)
    shutil.rmtree(folder)


def owner_of(target):
    status = (target.folder / "data").stat()
    return status.st_uid, status.st_gid


def restart_with_full_disk(target, space):
    library = space.parent / "full.so"
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", str(library), "-x", "c", "-", "-ldl"],
                   input=FULL_DISK_SOURCE, text=True, check=True)
    target.crash()
    environment = {"LD_PRELOAD": str(library), "FULL_UNDER": str(space.resolve())}
    before = {name: os.environ.get(name) for name in environment}
    os.environ.update(environment)
    try:
        target.start()
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


FULL_DISK_SOURCE = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
ssize_t pwrite64(int fd, const void *data, size_t size, off_t offset) {
  static ssize_t (*next)(int, const void *, size_t, off_t);
  if (!next) next = dlsym(RTLD_NEXT, "pwrite64");
  char link[64], path[4096];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, path, sizeof path - 1);
  const char *under = getenv("FULL_UNDER");
  if (length > 0 && under && strncmp(path, under, strlen(under)) == 0 &&
      offset + size > (1 << 20)) { errno = ENOSPC; return -1; }
  return next(fd, data, size, offset);
}
ssize_t pwrite(int fd, const void *data, size_t size, off_t offset) {
  return pwrite64(fd, data, size, offset);
}
"""


@pytest.mark.parametrize("mode", ["fail", "append", "unit"])
def test_a_full_tablespace_is_said_and_leaves_the_target_alone(bulkhaul, target, words,
                                                               small_tablespace, mode):
    more = []
    if mode != "fail":
        target.sql("CREATE TABLE target (id int, name text) TABLESPACE small")
        more += ["--if-exists", "append"] + (["--commit", "unit"] if mode == "unit" else [])
    outcome = bulkhaul(*words(*more), code=1)
    said = outcome.err + outcome.out
    assert "No space left on device" in said and "public.target" in said, said
    if mode == "fail":
        assert target.sql("SELECT to_regclass('target')") == [(None,)]
    elif mode == "append":
        assert target.sql("SELECT count(*) FROM target") == [(0,)]
    else:  # whole units only
        assert target.sql("SELECT count(*) FROM target")[0][0] < ROWS
    small_tablespace()
    bulkhaul("resume", "job")
    whole(target)


# A connection that was closed takes its place until the server has noticed.
PATIENT = ("--retries", "500", "--retry-delay-max", "100ms")


def test_a_role_with_few_connections(bulkhaul, target, words, tmp_path):
    target.sql("""
      DO $$ BEGIN CREATE ROLE narrow LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
      ALTER ROLE narrow CONNECTION LIMIT 2; GRANT CREATE, USAGE ON SCHEMA public TO narrow""")
    for limit in (2, 4):
        target.sql(f"DROP TABLE IF EXISTS target; ALTER ROLE narrow CONNECTION LIMIT {limit}")
        planned = words("--workers", "6", "--output", "json", *PATIENT, user="narrow")
        planned = json.loads(bulkhaul("plan", *planned[1:]).out)
        report = tmp_path / f"{limit}.json"
        bulkhaul(*words("--workers", "6", "--job-id", f"job{limit}", "--report", report, *PATIENT,
                        user="narrow"))
        whole(target)
        assert planned["workers"] == json.loads(report.read_text())["workers"] < limit
        assert any("workers lowered from 6" in note for note in planned["notes"])
    target.sql("ALTER ROLE narrow CONNECTION LIMIT 0; DROP TABLE target")
    refused = bulkhaul(*words("--retries", "1", "--job-id", "none", user="narrow"), code=1)
    assert "too many connections for role" in refused.err, refused.err
    target.sql("DROP OWNED BY narrow; DROP ROLE narrow")


def wait_for_others(connection, count: int) -> None:
    """Until so many other clients are connected."""
    faults.wait_until(lambda: connection.execute(
        "SELECT count(*) - 1 FROM pg_stat_activity WHERE backend_type = 'client backend'"
    ).fetchone()[0] == count, what=f"{count} other connections")


def test_all_slots_of_the_server_are_taken(bulkhaul, target, words):
    target.sql("""
      DO $$ BEGIN CREATE ROLE plain LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
      GRANT CREATE, USAGE ON SCHEMA public TO plain""")
    taken = [target.connect()]
    wait_for_others(taken[0], 0)
    taken += [target.connect() for _ in range(6)]  # 8, of which one is for superusers
    try:
        refused = bulkhaul(*words("--retries", "1", user="plain"), code=1)
        assert "connection" in refused.err and "fewer workers" in refused.err, refused.err
        for connection in taken[:5]:
            connection.close()
        # Five are free: the workers that ask for more wait for those that have one.
        wait_for_others(taken[6], 1)
        bulkhaul(*words("--workers", "12", "--job-id", "later", *PATIENT, user="plain"))
        wait_for_others(taken[6], 1)
        whole(target)
    finally:
        for connection in taken:
            connection.close()
    target.sql("DROP OWNED BY plain; DROP ROLE plain")
