"""Fixtures of the Python suites: a PostgreSQL server, the program, and folders of their own.

The program is $BULKHAUL_BIN, else build/release/bulkhaul.
"""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
from dataclasses import dataclass

import psycopg
import pytest

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
TEST_POSTGRES = REPOSITORY / "scripts" / "test-postgres"
RUN_SECONDS_MAX = 300


class Cluster:
    """A throw-away PostgreSQL server; it dies with the test process at the latest."""

    def __init__(self, *settings: str):
        self._parent = tempfile.mkdtemp(prefix="bulkhaul-test-")
        os.chmod(self._parent, 0o755)  # the server runs as another user when we are root
        self.folder = pathlib.Path(self._parent) / "pg"
        self.uri = self._call("start", "--owner", str(os.getpid()), str(self.folder), *settings)

    @staticmethod
    def _call(*words: str) -> str:
        done = subprocess.run(
            [str(TEST_POSTGRES), *words], capture_output=True, text=True, timeout=120,
            stdin=subprocess.DEVNULL,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    @property
    def port(self) -> int:
        return int((self.folder / "port").read_text())

    def uri_of(self, database: str, user: str = "postgres") -> str:
        return f"postgres://{user}@127.0.0.1:{self.port}/{database}"

    def connect(self, database: str = "postgres", **options) -> psycopg.Connection:
        options.setdefault("autocommit", True)
        return psycopg.connect(self.uri_of(database), **options)

    def sql(self, text: str, database: str = "postgres", parameters=None) -> list[tuple]:
        """Runs the statements, returns the rows of the last one ([] when it has none)."""
        with self.connect(database) as connection:
            cursor = connection.execute(text, parameters)
            while cursor.nextset():
                pass
            return cursor.fetchall() if cursor.description else []

    def start(self) -> None:
        """Brings a crashed server back, on the same port."""
        self._call("start", str(self.folder))

    def restart(self) -> None:
        """Immediate shutdown and start on the same port."""
        self._call("restart", str(self.folder))

    def crash(self) -> None:
        """SIGKILL to every server process; the server stays down."""
        self._call("crash", str(self.folder))

    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")

    def stop(self) -> None:
        if self.folder.exists():
            self._call("stop", str(self.folder))
        shutil.rmtree(self._parent, ignore_errors=True)


@dataclass
class Outcome:
    """What one run of the program did."""

    code: int
    out: str
    err: str

    @property
    def json(self):
        return json.loads(self.out)

    def check(self, code: int = 0) -> Outcome:
        assert self.code == code, (
            f"exit code {self.code}, not {code}\n--- stdout\n{self.out}\n--- stderr\n{self.err}"
        )
        return self


class Bulkhaul:
    """Runs the program with a state folder of its own and a clean BULKHAUL_* environment."""

    def __init__(self, binary: pathlib.Path, state: pathlib.Path):
        self.binary = binary
        self.state = state
        self.environment = {
            name: value for name, value in os.environ.items()
            if not name.startswith(("BULKHAUL_", "PG"))
        }
        self.environment["XDG_STATE_HOME"] = str(state)
        self._running: list[subprocess.Popen] = []

    def __call__(self, *words, code: int | None = 0, env: dict | None = None,
                 timeout: float = RUN_SECONDS_MAX, **options) -> Outcome:
        """Waits for the end; fails the test unless the exit code is `code` (None: any)."""
        done = subprocess.run(
            [str(self.binary), *map(str, words)], capture_output=True, text=True,
            env={**self.environment, **(env or {})}, stdin=subprocess.DEVNULL, timeout=timeout,
            **options,
        )
        outcome = Outcome(done.returncode, done.stdout, done.stderr)
        return outcome if code is None else outcome.check(code)

    def start(self, *words, env: dict | None = None, **options) -> subprocess.Popen:
        """Starts it and returns at once; what still runs at the test's end is killed."""
        options.setdefault("stdout", subprocess.PIPE)
        options.setdefault("stderr", subprocess.PIPE)
        process = subprocess.Popen(
            [str(self.binary), *map(str, words)], text=True,
            env={**self.environment, **(env or {})}, stdin=subprocess.DEVNULL, **options,
        )
        self._running.append(process)
        return process

    @staticmethod
    def finish(process: subprocess.Popen, timeout: float = RUN_SECONDS_MAX) -> Outcome:
        out, err = process.communicate(timeout=timeout)
        return Outcome(process.returncode, out or "", err or "")

    def stop_all(self) -> None:
        for process in self._running:
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
            process.communicate()


@pytest.fixture(scope="session")
def bulkhaul_binary() -> pathlib.Path:
    binary = pathlib.Path(
        os.environ.get("BULKHAUL_BIN", REPOSITORY / "build" / "release" / "bulkhaul")
    )
    assert os.access(binary, os.X_OK), f"{binary} is not there; run `make build`"
    return binary


@pytest.fixture(scope="session")
def postgres_factory():
    """Makes further servers (`postgres_factory("max_connections=10")`); all stop at the end."""
    clusters: list[Cluster] = []

    def make(*settings: str) -> Cluster:
        clusters.append(Cluster(*settings))
        return clusters[-1]

    yield make
    for cluster in clusters:
        cluster.stop()


@pytest.fixture(scope="session")
def postgres(postgres_factory) -> Cluster:
    """The server that most tests share. A test that kills servers makes its own."""
    return postgres_factory()


@pytest.fixture
def database(postgres, request):
    """An empty database of the test's own on the shared server; gives its name."""
    name = f"t{abs(hash(request.node.nodeid)) % 10**12}"
    postgres.sql(f'CREATE DATABASE "{name}"')
    yield name
    postgres.sql(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture
def state_folder(tmp_path) -> pathlib.Path:
    folder = tmp_path / "state"
    folder.mkdir()
    return folder


@pytest.fixture
def bulkhaul(bulkhaul_binary, state_folder):
    runner = Bulkhaul(bulkhaul_binary, state_folder)
    yield runner
    runner.stop_all()
