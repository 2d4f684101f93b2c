"""pgbouncer in front of a test server."""

from __future__ import annotations

import os
import pathlib
import pwd
import shutil
import socket
import subprocess
import tempfile
import time


class Pooler:
    """Use as a context manager. pgbouncer refuses root, so it then runs as nobody."""

    def __init__(self, target_port: int, mode: str, pool_size: int = 20):
        self._folder = pathlib.Path(tempfile.mkdtemp(prefix="bulkhaul-pooler-"))
        os.chmod(self._folder, 0o755)
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
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
        self._log = open(self._folder / "log", "w+", encoding="utf-8")
        self._process = subprocess.Popen(
            [*prefix, program, str(settings)], stdout=self._log, stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL, cwd="/")
        self._wait()

    def _wait(self) -> None:
        deadline = time.monotonic() + 30
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            except OSError:
                assert time.monotonic() < deadline and self._process.poll() is None, self.log()
                time.sleep(0.05)

    def log(self) -> str:
        self._log.seek(0)
        return self._log.read()

    def uri(self, database: str) -> str:
        return f"postgres://postgres@127.0.0.1:{self.port}/{database}?sslmode=disable"

    def __enter__(self) -> Pooler:
        return self

    def __exit__(self, *_) -> None:
        self._process.terminate()
        self._process.wait(timeout=20)
        self._log.close()
        shutil.rmtree(self._folder, ignore_errors=True)
