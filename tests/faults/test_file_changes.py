"""Files that change, and a load of files that is killed."""

from __future__ import annotations

import os
import shutil

import pyarrow.parquet as pq
import pytest

from support import faults

ROWS = 40000
UNIT_BYTES = "64KiB"


def write_part(path, first, word="x") -> None:
    with path.open("w", newline="") as out:
        out.write("id,text\n")
        for i in range(first, first + ROWS // 4):
            out.write(f'{i},"{word} {i},\nsecond ""line"""\n')


@pytest.fixture
def words(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    for part in range(4):
        write_part(folder / f"{part}.csv", part * ROWS // 4)
    return ["copy", str(folder), str(tmp_path / "out"), "--unit-bytes", UNIT_BYTES, "--workers", "2",
            "--job-id", "job", "--progress", "none"]


def rows_of(tmp_path) -> list[tuple]:
    table = pq.read_table(tmp_path / "out" / "in")
    return sorted(zip(table["id"].to_pylist(), table["text"].to_pylist()))


def expected(changed=None) -> list[tuple]:
    return [(i, f'{"new" if i // (ROWS // 4) == changed else "x"} {i},\nsecond "line"')
            for i in range(ROWS)]


def test_killed_at_random_instants(bulkhaul, words, tmp_path):
    kills = faults.RandomKills(bulkhaul, words, seed=5)
    kills.run_whole()
    assert rows_of(tmp_path) == expected()
    for turn in kills.turns(faults.rounds(10)):
        shutil.rmtree(tmp_path / "out")
        shutil.rmtree(bulkhaul.state, ignore_errors=True)
        kills.strike()
        faults.finish_job(bulkhaul, words, "job")
        assert rows_of(tmp_path) == expected(), f"turn {turn}"


def break_after(bulkhaul, words, tmp_path) -> None:
    """The job fails in its last file: all others are staged."""
    last = tmp_path / "in" / "3.csv"
    good = last.read_text()
    last.write_text(good[:-len('second ""line"""\n')] + 'second ""line"""\nbroken\n')
    done = bulkhaul(*words, "--workers", "1", code=None)
    assert "the row has 1 fields" in done.out + done.err
    last.write_text(good)


def test_resume_reads_changed_files_again_and_only_those(bulkhaul, words, tmp_path):
    break_after(bulkhaul, words, tmp_path)
    write_part(tmp_path / "in" / "1.csv", ROWS // 4, "new")
    done = bulkhaul("resume", "job")
    said = done.out + done.err
    assert "are read again" in said
    assert rows_of(tmp_path) == expected(changed=1)


def test_a_file_that_is_gone_or_grows_is_an_error(bulkhaul, words, tmp_path):
    break_after(bulkhaul, words, tmp_path)
    os.rename(tmp_path / "in" / "0.csv", tmp_path / "0.csv")
    done = bulkhaul("resume", "job", code=None)
    assert done.code != 0 and "0.csv" in done.out + done.err
    os.rename(tmp_path / "0.csv", tmp_path / "in" / "0.csv")
    bulkhaul("resume", "job")
    assert rows_of(tmp_path) == expected()
