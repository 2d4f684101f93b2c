"""Runs one program and says what it took."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import statistics
import subprocess
import tempfile
import time


def folder_bytes(path: pathlib.Path) -> int:
    """Bytes of the result: the data files, not the metadata beside them."""
    if path.is_file():
        return path.stat().st_size
    return sum(
        file.stat().st_size for file in path.rglob("*")
        if file.is_file() and not any(part.startswith((".", "_"))
                                      for part in file.relative_to(path).parts)
    )


def remove(path: pathlib.Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def measure(words: list, output: pathlib.Path | None = None, environment: dict | None = None,
            seconds_max: float = 900) -> dict:
    """Wall and CPU seconds, peak RSS of the process tree's root, and bytes written to `output`.

    A peer that imports libraries first prints {"seconds", "cpu_seconds"} of the export alone on its
    last line; those figures are taken then, in the peer's favour. bulkhaul is always measured from
    exec to exit.
    """
    if output is not None:
        remove(output)
    os.sync()  # what the program before has left to write is not this one's load
    # Files, not pipes: nobody reads while the program runs, and a full pipe would stop it.
    out_file, err_file = tempfile.TemporaryFile("w+"), tempfile.TemporaryFile("w+")
    begin = time.perf_counter()
    process = subprocess.Popen(
        [str(word) for word in words], stdin=subprocess.DEVNULL, stdout=out_file,
        stderr=err_file, env={**os.environ, **(environment or {})},
    )
    deadline = begin + seconds_max
    while True:
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        if pid:
            break
        if time.perf_counter() > deadline:
            process.kill()
        time.sleep(0.002)
    wall = time.perf_counter() - begin
    process.returncode = os.waitstatus_to_exitcode(status)
    with out_file, err_file:
        out_file.seek(0)
        err_file.seek(0)
        out, err = out_file.read(), err_file.read()
    if process.returncode != 0:
        raise RuntimeError(f"{words} ended with {process.returncode}\n{out}\n{err}")
    figures = {
        "seconds": wall,
        "cpu_seconds": usage.ru_utime + usage.ru_stime,
        "peak_rss_mb": usage.ru_maxrss * 1024 / 1e6,
        "process_seconds": wall,
    }
    lines = out.strip().splitlines()
    if lines and lines[-1].startswith('{"seconds"'):
        figures.update(json.loads(lines[-1]))
    if output is not None and output.exists():
        figures["output_bytes"] = folder_bytes(output)
    return figures


def median(rounds: list[dict], key: str) -> float:
    return statistics.median(one[key] for one in rounds)
