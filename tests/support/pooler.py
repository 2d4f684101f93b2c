"""pgbouncer in front of a test server."""

from __future__ import annotations

import os
import pathlib
import pwd
import shutil
import subprocess
import tempfile
import time

from support import ports


class Pooler:
    """Use as a context manager. pgbouncer refuses root, so it then runs as nobody."""

    def __init__(self, target_port: int, mode: str, pool_size: int = 20):
        self._folder = pathlib.Path(tempfile.mkdtemp(prefix="bulkhaul-pooler-"))
        os.chmod(self._folder, 0o755)
        self._log = open(self._folder / "log", "w+", encoding="utf-8")
        for port in ports.candidates():
            self.port = port
            if self._start(target_port, mode, pool_size):
                return

    def _start(self, target_port: int, mode: str, pool_size: int) -> bool:
        """Whether it listens; False when another process has the port."""
        settings = self._folder / "pgbouncer.ini"
        settings.write_text(f"""
[databases]
* = host=127.0.0.1 port={target_port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {self.port}
auth_type = any
pool_mode = {mode}
default_pool_size = {pool_size}
max_client_conn = 100
unix_socket_dir =
ignore_startup_parameters = extra_float_digits
""".replace("* = host", "* = user=postgres host"))
        prefix = []
        if os.geteuid() == 0:
            user = pwd.getpwnam("nobody")
            prefix = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}",
                      "--clear-groups", "--"]
        program = shutil.which("pgbouncer", path=os.environ.get("PATH", "") + ":/usr/sbin")
        assert program, "pgbouncer is not installed; run scripts/install-packages test"
        self._process = subprocess.Popen(
            [*prefix, program, str(settings)], stdout=self._log, stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL, cwd="/")
        deadline = time.monotonic() + 120
        while f"listening on 127.0.0.1:{self.port}" not in self.log():
            if self._process.poll() is not None:
                assert "in use" in self.log(), self.log()
                return False
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.02)
        return True

    def log(self) -> str:
        return (self._folder / "log").read_text()

    def uri(self, database: str) -> str:
        return f"postgres://postgres@127.0.0.1:{self.port}/{database}?sslmode=disable"

    def __enter__(self) -> Pooler:
        return self

    def __exit__(self, *_) -> None:
        self._process.terminate()
        self._process.wait(timeout=20)
        self._log.close()
        shutil.rmtree(self._folder, ignore_errors=True)
