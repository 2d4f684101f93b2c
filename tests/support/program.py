"""Running the program outside of a test function, and without root's privileges."""

from __future__ import annotations

import os
import pathlib
import subprocess

# Root without the right to ignore a folder's permissions.
WITHOUT_OVERRIDE = (
    ["setpriv", "--bounding-set=-dac_override,-dac_read_search",
     "--inh-caps=-dac_override,-dac_read_search", "--"] if os.geteuid() == 0 else []
)


def run(binary: pathlib.Path, state: pathlib.Path, *words, prefix: list[str] | None = None,
        code: int = 0) -> subprocess.CompletedProcess:
    environment = {
        name: value for name, value in os.environ.items()
        if not name.startswith(("BULKHAUL_", "PG"))
    }
    environment["XDG_STATE_HOME"] = str(state)
    done = subprocess.run(
        [*(prefix or []), str(binary), *map(str, words)], env=environment, capture_output=True,
        text=True, stdin=subprocess.DEVNULL, timeout=300,
    )
    assert done.returncode == code, f"exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done
