"""kill -9 while one file is written: it is the old one, the whole new one, or not there."""

from __future__ import annotations

import pytest

from support import faults, program

ROWS = 60_000
SOURCE = f"generator:name=t&rows={ROWS}&columns=id:int64/serial,name:string"


def words_for(path, *more) -> list:
    return ["copy", SOURCE, path, "--unit-rows", "2000", "--workers", "2", "--job-id", "job",
            "--retry-delay", "10ms", "--progress", "none", *more]


@pytest.fixture(scope="module")
def whole(bulkhaul_binary, tmp_path_factory) -> bytes:
    """What an undisturbed run writes: it is the same each time."""
    folder = tmp_path_factory.mktemp("undisturbed")
    program.run(bulkhaul_binary, folder / "state", *words_for(folder / "one.csv"))
    text = (folder / "one.csv").read_bytes()
    assert text.count(b"\n") >= ROWS + 1
    return text


def visible(folder) -> list[str]:
    return sorted(p.name for p in folder.iterdir() if not p.name.startswith("."))


@pytest.mark.parametrize("replaced", [None, b"old\n"], ids=["new", "replace"])
def test_killed_at_random_instants(bulkhaul, whole, tmp_path, replaced):
    path = tmp_path / "out" / "one.csv"
    path.parent.mkdir()
    words = words_for(path, *(["--if-exists", "replace"] if replaced else []))

    def begin_again():
        for job in faults.job_states(bulkhaul):
            bulkhaul("clean", "--older-than", "0s")
            assert job not in faults.job_states(bulkhaul)
        path.unlink(missing_ok=True)
        if replaced:
            path.write_bytes(replaced)

    begin_again()
    kills = faults.RandomKills(bulkhaul, words, seed=3)
    kills.run_whole()
    for turn in kills.turns(faults.rounds(8)):
        begin_again()
        kills.strike()
        found = path.read_bytes() if path.exists() else None
        assert found in (replaced, whole), f"turn {turn}"
        assert visible(path.parent) in ([], ["one.csv"])
        faults.finish_job(bulkhaul, words, "job")
        assert path.read_bytes() == whole, f"turn {turn}"
        assert [p.name for p in path.parent.iterdir()] == ["one.csv"], f"turn {turn}"


@pytest.mark.parametrize("replaced", [None, b"old\n"], ids=["new", "replace"])
@pytest.mark.parametrize("point", [
    p for p in faults.crash_points()
    if p.startswith(("publish.", "committer.", "job."))])
def test_killed_between_two_steps(bulkhaul, whole, tmp_path, point, replaced):
    path = tmp_path / "out" / "one.csv"
    path.parent.mkdir()
    if replaced:
        path.write_bytes(replaced)
    words = words_for(path, *(["--if-exists", "replace"] if replaced else []))
    bulkhaul(*words, env={"BULKHAUL_CRASH_AT": point}, code=None)
    assert (path.read_bytes() if path.exists() else None) in (replaced, whole)
    if faults.job_states(bulkhaul).get("job", "done") != "done":
        bulkhaul("resume", "job", env={"BULKHAUL_CRASH_AT": point}, code=None)
        assert (path.read_bytes() if path.exists() else None) in (replaced, whole)
    faults.finish_job(bulkhaul, words, "job")
    assert path.read_bytes() == whole
    assert [p.name for p in path.parent.iterdir()] == ["one.csv"]
    bulkhaul("verify", path)
