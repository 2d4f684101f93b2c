"""Memory cgroups with a limit of their own, version 1 or 2, below one that this process may write to.

Groups of version 2 are made where a parent hands the memory controller down already: nothing of the
machine's own groups is changed.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import pathlib
import tempfile

import pytest

MOUNTS = pathlib.Path("/proc/self/mountinfo")
MEMBERSHIP = pathlib.Path("/proc/self/cgroup")


@dataclasses.dataclass(frozen=True)
class MemoryGroup:
    folder: pathlib.Path
    version: int
    home: pathlib.Path  # where this process is

    def _file(self, version_1: str, version_2: str) -> pathlib.Path:
        return self.folder / ("memory." + (version_1 if self.version == 1 else version_2))

    def limit(self, size: int) -> None:
        self._file("limit_in_bytes", "max").write_text(f"{size}\n")

    def limit_bytes(self) -> int:
        return int(self._file("limit_in_bytes", "max").read_text())

    def join(self) -> None:
        """Of the calling process, for `preexec_fn`: what it has until then is charged elsewhere."""
        (self.folder / "cgroup.procs").write_text(f"{os.getpid()}\n")

    def used_bytes(self) -> int:
        """Without the pages of files, which the kernel takes back where memory is short."""
        wanted = {1: ("total_rss", "total_shmem"), 2: ("anon", "shmem")}[self.version]
        numbers = dict(line.split() for line in (self.folder / "memory.stat").read_text().splitlines())
        return sum(int(numbers.get(name, 0)) for name in wanted)

    def peak_bytes(self) -> int | None:
        """Pages of files included; None where the kernel does not keep it (version 2 before 5.19)."""
        path = self._file("max_usage_in_bytes", "peak")
        return int(path.read_text()) if path.exists() else None

    def kills(self) -> int:
        """Processes that were killed because the group had no memory left."""
        text = self._file("oom_control", "events").read_text()
        return int(dict(line.split() for line in text.splitlines()).get("oom_kill", 0))

    def close(self) -> None:
        """What still runs in it goes back to where this process is: who started it stops it."""
        for process in (self.folder / "cgroup.procs").read_text().split():
            with contextlib.suppress(OSError):  # it has ended meanwhile
                (self.home / "cgroup.procs").write_text(process)
        self.folder.rmdir()


def _own_groups() -> list[tuple[int, list[pathlib.Path]]]:
    """By version: the memory group of this process and its parents, innermost first."""
    mounts = {}
    for line in MOUNTS.read_text().splitlines():
        before, behind = line.split(" - ", 1)
        kind, _, options = behind.split(" ", 2)
        point = pathlib.Path(before.split()[4])
        if kind == "cgroup" and "memory" in options.split(","):
            mounts[1] = point
        elif kind == "cgroup2":
            mounts[2] = point
    found = []
    for line in MEMBERSHIP.read_text().splitlines():
        number, controllers, path = line.split(":", 2)
        version = 1 if "memory" in controllers.split(",") else 2 if number == "0" else 0
        if version not in mounts:
            continue
        inner = mounts[version] / path.strip("/")
        folders = [folder for folder in (inner, *inner.parents)
                   if folder.is_relative_to(mounts[version]) and folder.is_dir()]
        found.append((version, folders))
    return found


def make_memory_group(limit_bytes: int) -> MemoryGroup | None:
    """A group with this limit, or None where the machine lets this process make none."""
    for version, parents in _own_groups():
        for parent in parents:
            try:
                folder = pathlib.Path(tempfile.mkdtemp(prefix="bulkhaul-test-", dir=parent))
            except OSError:
                continue
            group = MemoryGroup(folder, version, parents[0])
            try:
                group.limit(limit_bytes)
                if group.limit_bytes() == limit_bytes and group.kills() == 0:
                    return group
            except OSError:  # version 2 without the controller has no such files
                pass
            group.close()
    return None


@contextlib.contextmanager
def memory_group(limit_bytes: int):
    """The same for a `with`, gone at its end. The test is skipped where there is none."""
    group = make_memory_group(limit_bytes)
    if group is None:
        pytest.skip("this process may make no cgroup with a memory limit: that takes root, and a "
                    "writable /sys/fs/cgroup")
    try:
        yield group
    finally:
        group.close()
