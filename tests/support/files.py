"""What the suites about files share: files in, rows or a refusal out."""

from __future__ import annotations

import pathlib

import pyarrow.parquet as pq
import pytest


@pytest.fixture
def load(bulkhaul, tmp_path):
    """Copies files to Parquet and gives the table as rows of a dictionary each; `.table` as Arrow."""
    def run(source, *words, name=None) -> list[dict]:
        out = tmp_path / f"out{len(list(tmp_path.glob('out*')))}"
        bulkhaul("copy", str(source), out, "--progress", "none", *words)
        folders = [path for path in out.iterdir() if path.is_dir() and not path.name.startswith(".")]
        folder = out / name if name else folders[0]
        run.table = pq.read_table(folder)
        return run.table.to_pylist()

    return run


@pytest.fixture
def refuse(bulkhaul, tmp_path):
    """What the program says of files that it cannot copy; nothing may be published."""
    def run(source, *words, code=None) -> str:
        done = bulkhaul("copy", str(source), tmp_path / "refused", "--progress", "none", *words,
                        code=code)
        assert done.code != 0, done
        assert not list((tmp_path / "refused").glob("*/*.parquet"))
        return done.out + done.err

    return run


def write(path: pathlib.Path, content: str | bytes) -> pathlib.Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path
