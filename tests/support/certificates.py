"""A certificate authority, a server's and a client's certificate, made by openssl."""

from __future__ import annotations

import os
import pathlib
import pwd
import shutil
import subprocess


class Certificates:
    """ca.crt, server.crt/.key for localhost and 127.0.0.1, client.crt/.key for `user`."""

    def __init__(self, folder: pathlib.Path, user: str):
        self.folder = folder
        folder.mkdir(exist_ok=True)
        folder.chmod(0o755)
        self._run("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-keyout",
                  "ca.key", "-out", "ca.crt", "-subj", "/CN=test authority")
        self._issue("server", "localhost", "subjectAltName=DNS:localhost,IP:127.0.0.1")
        self._issue("client", user, "extendedKeyUsage=clientAuth")
        self._run("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-keyout",
                  "other.key", "-out", "other.crt", "-subj", "/CN=another authority")
        for key in folder.glob("*.key"):
            key.chmod(0o600)
        server_user = self._server_user()
        if server_user is not None:
            shutil.chown(folder / "server.key", *server_user)

    @staticmethod
    def _server_user():
        """As whom scripts/test-postgres runs the server."""
        if os.geteuid() != 0:
            return None
        for name in ("postgres", "nobody"):
            try:
                return pwd.getpwnam(name).pw_uid, pwd.getpwnam(name).pw_gid
            except KeyError:
                continue
        return None

    def _run(self, *words: str) -> None:
        done = subprocess.run(["openssl", *words], cwd=self.folder, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    def _issue(self, name: str, common_name: str, extension: str) -> None:
        (self.folder / "extension").write_text(extension + "\n")
        self._run("req", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{name}.key", "-out",
                  f"{name}.csr", "-subj", f"/CN={common_name}")
        self._run("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.crt", "-CAkey", "ca.key",
                  "-CAcreateserial", "-days", "2", "-out", f"{name}.crt", "-extfile", "extension")

    def __getitem__(self, name: str) -> str:
        return str(self.folder / name)
