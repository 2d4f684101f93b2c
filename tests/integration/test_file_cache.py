"""Rows of files kept between jobs: what is taken from the cache, and what never is."""

from __future__ import annotations

import os
import pathlib

import pyarrow.parquet as pq
import pytest


@pytest.fixture
def job(bulkhaul, tmp_path):
    """Copies with one cache; gives what the cache did and the rows."""
    def run(source, *words) -> tuple[dict, list[dict]]:
        out = tmp_path / f"out{len(list(tmp_path.glob('out*')))}"
        report = bulkhaul("copy", source, out, "--cache", "--cache-dir", tmp_path / "cache",
                          "--cache-settle", "0s", "--output", "json", "--progress", "none",
                          *words).json
        folder = pathlib.Path(report["tables"][0]["location"])
        return report["cache"], pq.read_table(folder).to_pylist()

    return run


def counts(cache: dict) -> tuple[int, int]:
    return cache["hits"], cache["misses"]


def test_units_of_files_are_kept(job, tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("id,name\n" + "".join(f"{i},n{i}\n" for i in range(4000)))
    cut = ["--unit-bytes", "10KiB"]
    cache, rows = job(path, *cut)
    units = cache["misses"]
    assert counts(cache) == (0, units) and units > 2 and len(rows) == 4000
    assert job(path, *cut) == ({**cache, "hits": units, "misses": 0, "rows": 4000, "hit_rate": 1.0,
                                "bytes": pytest.approx(20_000, abs=20_000)}, rows)
    # Other rows or columns are another matter; other writers are not.
    assert counts(job(path, *cut, "--where", "id < 10")[0]) == (0, units)
    assert counts(job(path, *cut, "--columns", "id")[0]) == (0, units)
    assert counts(job(path, *cut, "--cast", "id=string")[0]) == (0, units)
    assert counts(job(path, *cut, "--compression", "zstd:1", "--retries", "7")[0]) == (units, 0)


def test_a_file_that_changed_in_any_way_is_read_again(job, tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("id\n1\n2\n")
    job(path)
    assert job(path)[0]["hits"] == 1
    # As many bytes, at the same place, and the time set back.
    before = path.stat()
    with path.open("r+") as out:
        out.write("id\n7\n8\n")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    cache, rows = job(path)
    assert counts(cache) == (0, 1) and rows == [{"id": 7}, {"id": 8}]


def test_many_files_are_kept_together(job, tmp_path):
    folder = tmp_path / "many"
    folder.mkdir()
    for i in range(20):
        (folder / f"{i:02}.csv").write_text(f"id\n{i}\n")
    job(folder)
    cache, rows = job(folder)
    assert cache["misses"] == 0 and cache["rows"] == 20 and len(rows) == 20
    (folder / "05.csv").write_text("id\n500\n")
    assert {"id": 500} in job(folder)[1]


def test_a_file_that_was_just_written_is_passed_over(bulkhaul, tmp_path):
    (tmp_path / "a.csv").write_text("id\n1\n")
    words = ["copy", tmp_path / "a.csv", tmp_path / "out", "--cache", "--cache-dir",
             tmp_path / "cache", "--output", "json", "--progress", "none"]
    for _ in range(2):
        cache = bulkhaul(*words).json["cache"]
        assert (cache["hits"], cache["passed"] + cache["misses"]) == (0, 1)
