"""TLS, SCRAM, client certificates, service files, .pgpass, several hosts; passwords stay secret."""

import pathlib
import shutil
import tempfile

import pytest

from support import exports, faults
from support.certificates import Certificates
from support.proxy import FaultProxy

PASSWORD = "hunter2 s/e:c@ret%"
QUOTED = "hunter2%20s%2Fe%3Ac%40ret%25"
ROWS = 3000


class Locked:
    """A server that wants TLS and a password (scram), or a certificate (guest)."""

    def __init__(self, postgres_factory, folder):
        self.certificates = Certificates(folder / "certificates", "guest")
        hba = folder / "pg_hba.conf"
        hba.write_text("local all all trust\n"
                       "hostssl all scram 127.0.0.1/32 scram-sha-256\n"
                       "hostssl all guest 127.0.0.1/32 cert\n"
                       "host all postgres 127.0.0.1/32 trust\n")
        hba.chmod(0o644)
        self.cluster = postgres_factory(
            "ssl = on", f"ssl_cert_file = '{self.certificates['server.crt']}'",
            f"ssl_key_file = '{self.certificates['server.key']}'",
            f"ssl_ca_file = '{self.certificates['ca.crt']}'", f"hba_file = '{hba}'",
            "password_encryption = 'scram-sha-256'")
        self.cluster.sql(f"""CREATE ROLE scram LOGIN PASSWORD '{PASSWORD}'; CREATE ROLE guest LOGIN;
            CREATE TABLE t AS SELECT i AS x FROM generate_series(1, {ROWS}) AS i;
            GRANT SELECT ON t TO scram, guest""")

    def uri(self, who, *settings, host="127.0.0.1"):
        return f"postgres://{who}@{host}:{self.cluster.port}/postgres?" + "&".join(settings)


@pytest.fixture(scope="module")
def locked(postgres_factory):
    folder = pathlib.Path(tempfile.mkdtemp(prefix="bulkhaul-tls-"))
    folder.chmod(0o755)
    server = Locked(postgres_factory, folder)
    yield server
    server.cluster.stop()
    shutil.rmtree(folder)


@pytest.fixture
def copy(bulkhaul, tmp_path):
    def run(uri, code=0, **options):
        destination = tmp_path / "out"
        outcome = bulkhaul("copy", uri, destination, "--table", "t", "--unit-bytes", "32KiB",
                           "--retries", "0", code=None, **options)
        if code == 0:
            outcome.check(0)
            assert exports.checksum(destination / "public_t").rows == ROWS
        else:
            assert outcome.code in (1, 2), outcome.err
            assert exports.visible(destination) == []
        return outcome

    return run


@pytest.mark.parametrize("mode", ["require", "verify-ca", "verify-full"])
def test_scram_over_tls(locked, copy, mode):
    copy(locked.uri(f"scram:{QUOTED}", f"sslmode={mode}",
                    f"sslrootcert={locked.certificates['ca.crt']}"))


def test_no_tls_is_refused_by_the_server_and_said(locked, copy):
    outcome = copy(locked.uri(f"scram:{QUOTED}", "sslmode=disable"), code=1)
    assert "no encryption" in outcome.err
    assert "hunter2" not in outcome.err + outcome.out


def test_foreign_authority_is_refused(locked, copy):
    outcome = copy(locked.uri(f"scram:{QUOTED}", "sslmode=verify-full",
                              f"sslrootcert={locked.certificates['other.crt']}"), code=1)
    assert "certificate" in outcome.err


def test_client_certificate(locked, copy):
    copy(locked.uri("guest", "sslmode=verify-full", f"sslrootcert={locked.certificates['ca.crt']}",
                    f"sslcert={locked.certificates['client.crt']}",
                    f"sslkey={locked.certificates['client.key']}"))


def test_client_without_its_certificate(locked, copy):
    outcome = copy(locked.uri("guest", "sslmode=require", "sslcert=/nonexistent"), code=1)
    assert "certificate" in outcome.err


def test_password_file(locked, copy, tmp_path):
    path = tmp_path / "pgpass"
    escaped = PASSWORD.replace("\\", "\\\\").replace(":", "\\:")
    path.write_text(f"127.0.0.1:{locked.cluster.port}:*:scram:{escaped}\n")
    path.chmod(0o600)
    copy(locked.uri("scram", "sslmode=require"), env={"PGPASSFILE": str(path)})


def test_service_file(locked, copy, tmp_path):
    path = tmp_path / "services"
    path.write_text(f"[shop]\nhost=127.0.0.1\nport={locked.cluster.port}\nuser=scram\n"
                    f"dbname=postgres\nsslmode=require\npassword={PASSWORD}\n")
    copy("postgres://?service=shop", env={"PGSERVICEFILE": str(path)})


def test_password_from_the_environment(locked, copy):
    copy(locked.uri("scram", "sslmode=require"), env={"PGPASSWORD": PASSWORD})


def test_first_host_is_down(locked, copy):
    copy(f"postgres://scram:{QUOTED}@127.0.0.1:1,127.0.0.1:{locked.cluster.port}/postgres"
         "?sslmode=require")


def test_unix_socket(locked, copy):
    folder = str(locked.cluster.folder.resolve()).replace("/", "%2F")
    copy(f"postgres://postgres@{folder}:{locked.cluster.port}/postgres")


def test_password_is_written_nowhere(bulkhaul, locked, tmp_path):
    """Not in the process's title, ledger, metadata, job records, logs or reports."""
    destination, log, report = tmp_path / "out", tmp_path / "log.txt", tmp_path / "report.json"
    with FaultProxy(locked.cluster.port) as between:
        uri = f"postgres://scram:{QUOTED}@127.0.0.1:{between.port}/postgres?sslmode=require"
        between.hold_after(30_000)
        process = bulkhaul.start("copy", uri, destination, "--table", "t", "--unit-bytes", "8KiB",
                                 "--log-level", "full", "--log-file", log, "--report", report,
                                 "--progress", "json", "--job-id", "job", "--keep-workspace",
                                 "--keep-snapshot", "10s")
        assert between.held.wait(60 * faults.slowness())
        # Its own and its snapshot holder's, no other test's.
        own = f"XDG_STATE_HOME={bulkhaul.state}".encode()
        titles = [read(path / "cmdline") for path in pathlib.Path("/proc").glob("[0-9]*")
                  if own in read(path / "environ").split(b"\0")]
        assert len(titles) >= 2 and not any(b"hunter2" in title for title in titles), titles
        between.release()
        outcome = bulkhaul.finish(process).check(0)
    assert "hunter2" not in outcome.out + outcome.err
    seen = 0
    for folder in (bulkhaul.state, tmp_path):
        for path in folder.rglob("*"):
            if path.is_file():
                seen += 1
                assert b"hunter2" not in path.read_bytes(), path
    assert seen > 5 and log.exists() and report.exists()


def read(path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
