"""Page ranges over views, partitions, tables that grow or shrink, and standbys."""

import os
import pathlib
import shutil
import subprocess
import tempfile

import psycopg
import pytest

from support import exports, faults, ports, tables
from support.proxy import FaultProxy


def test_views_and_foreign_tables_are_not_cut_by_pages(bulkhaul, postgres, database, tmp_path):
    postgres.sql(tables.EVENTS_SQL + """
        CREATE VIEW v AS SELECT * FROM events; CREATE EXTENSION postgres_fdw;
        CREATE SERVER me FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '127.0.0.1', port '%d',
          dbname '%s');
        CREATE USER MAPPING FOR postgres SERVER me OPTIONS (user 'postgres');
        CREATE FOREIGN TABLE f (id bigint, name text) SERVER me OPTIONS (table_name 'events')
        """ % (postgres.port, database), database)
    bulkhaul("copy", postgres.uri_of(database), tmp_path / "out", "--table", "v", "--table", "f",
             "--unit-bytes", "8KiB")
    for name in ("public_v", "public_f"):
        assert exports.checksum(tmp_path / "out" / name).rows == tables.ROWS


def test_partitions_are_cut_each_by_itself(bulkhaul, postgres, database, tmp_path):
    """The parent has no pages, and a ctid of it matches in every leaf."""
    postgres.sql("""CREATE TABLE t (id int, pad text) PARTITION BY HASH (id);
        CREATE TABLE t0 PARTITION OF t FOR VALUES WITH (MODULUS 3, REMAINDER 0);
        CREATE TABLE t1 PARTITION OF t FOR VALUES WITH (MODULUS 3, REMAINDER 1);
        CREATE TABLE t2 PARTITION OF t FOR VALUES WITH (MODULUS 3, REMAINDER 2);
        INSERT INTO t SELECT i, repeat('x', 100) FROM generate_series(1, 9000) AS i""", database)
    bulkhaul("copy", postgres.uri_of(database), tmp_path / "out", "--table", "public.t",
             "--unit-bytes", "64KiB")
    folder = tmp_path / "out" / "public_t"
    assert len(exports.parts(folder)) > 9
    assert sorted(exports.read(folder)["id"].to_pylist()) == list(range(1, 9001))
    # A leaf by its own name is a table like any other.
    bulkhaul("copy", postgres.uri_of(database), tmp_path / "leaf", "--table", "public.t1")
    assert 2000 < exports.checksum(tmp_path / "leaf" / "public_t1").rows < 4000


@pytest.mark.parametrize("act", ["VACUUM t", "INSERT INTO t SELECT i, repeat('n', 300) "
                                 "FROM generate_series(90000, 99000) AS i"])
def test_table_shrinks_or_grows_between_plan_and_read(bulkhaul, postgres, database, tmp_path, act):
    """Old statistics, an emptied tail: the last range has no end."""
    postgres.sql("CREATE TABLE t AS SELECT i AS id, repeat('x', 300) AS pad "
                 "FROM generate_series(1, 20000) AS i", database)
    postgres.sql("ANALYZE t", database)
    postgres.sql("DELETE FROM t WHERE id > 10000", database)
    with FaultProxy(postgres.port) as between:
        between.hold_after(200_000)
        process = bulkhaul.start("copy", between.uri(database) + "?sslmode=disable",
                                 tmp_path / "out", "--table", "t", "--unit-bytes", "64KiB")
        assert between.held.wait(60 * faults.slowness())
        postgres.sql(act, database)
        between.release()
        bulkhaul.finish(process).check(0)
    ids = exports.read(tmp_path / "out" / "public_t")["id"].to_pylist()
    assert sorted(ids) == list(range(1, 10001))


def server_pid(cluster) -> int:
    return int((cluster.folder / "data" / "postmaster.pid").read_text().split()[0])


class Standby:
    """A streaming replica of `primary` in a folder that the server's user owns."""

    def __init__(self, primary, folder):
        running = os.readlink(f"/proc/{server_pid(primary)}/exe")
        self._binaries = os.path.dirname(running)
        self._data = folder / "standby"
        owner = os.stat(primary.folder / "data")
        self._prefix = [] if os.geteuid() == owner.st_uid else [
            "setpriv", f"--reuid={owner.st_uid}", f"--regid={owner.st_gid}", "--clear-groups", "--"]
        os.chown(folder, owner.st_uid, owner.st_gid)
        self._call("pg_basebackup", "-h", "127.0.0.1", "-p", str(primary.port), "-U", "postgres",
                   "-D", str(self._data), "-R", "-X", "stream", "-c", "fast")
        for port in ports.candidates():
            self.port = port
            if self._run("pg_ctl", "start", "-s", "-w", "-D", str(self._data), "-l",
                         str(folder / "log"), "-o", f"-p {port} -k {folder}").returncode == 0:
                return
            log = (folder / "log").read_text()
            assert "could not bind" in log, log

    def _call(self, program, *words):
        done = self._run(program, *words)
        assert done.returncode == 0, (program, done.stderr)

    def _run(self, program, *words):
        return subprocess.run([*self._prefix, f"{self._binaries}/{program}", *words], cwd="/",
                              stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                              stderr=subprocess.PIPE if program != "pg_ctl" else
                              subprocess.DEVNULL, text=True, timeout=300)

    def stop(self):
        self._call("pg_ctl", "stop", "-s", "-m", "immediate", "-D", str(self._data))


@pytest.fixture
def standby(postgres_factory):
    primary = postgres_factory("wal_level = replica", "max_wal_senders = 4")
    primary.sql(tables.EVENTS_SQL)
    folder = tempfile.mkdtemp(prefix="bulkhaul-standby-")
    os.chmod(folder, 0o755)
    replica = Standby(primary, pathlib.Path(folder))
    yield primary, replica
    replica.stop()
    primary.stop()
    shutil.rmtree(folder, ignore_errors=True)


def test_standby(bulkhaul, standby, tmp_path):
    primary, replica = standby
    uri = f"postgres://postgres@127.0.0.1:{replica.port}/postgres"
    end, = primary.sql("SELECT pg_current_wal_lsn()::text")[0]
    faults.wait_until(lambda: psql(uri, f"SELECT pg_last_wal_replay_lsn() >= '{end}'"),
                      what="the standby to catch up")
    bulkhaul("copy", uri, tmp_path / "out", "--table", "events", "--unit-bytes", "64KiB",
             "--workers", "3")
    folder = tmp_path / "out" / "public_events"
    assert exports.checksum(folder).rows == tables.ROWS
    assert len(exports.parts(folder)) > 10
    assert exports.metadata(folder)["snapshot"]["consistent"] is True


def psql(uri, sql):
    with psycopg.connect(uri) as connection:
        return connection.execute(sql).fetchone()[0]
