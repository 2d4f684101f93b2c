"""Rows kept between jobs: what is taken from the cache, and what never is."""

from __future__ import annotations

import datetime
import json
import os
import random

import pytest

from support.search import SearchNode
from support.search_cache import (
    DAY, DAYS, PER_DAY, PROPERTIES, SLICED, START, CachedJobs, check_changes_are_seen, document,
    on_server)

# $BULKHAUL_TEST_SEARCH_KINDS: further kinds, separated by commas.
KINDS = os.environ.get("BULKHAUL_TEST_SEARCH_KINDS", "opensearch-3").split(",")


@pytest.fixture(scope="module", params=KINDS)
def node(request):
    made = SearchNode(request.param)
    yield made
    made.stop()


@pytest.fixture
def days(node, request):
    """An index of five days, of the test's own; gives its name."""
    name = f"days-{abs(hash(request.node.nodeid)) % 10**9}"
    node.create(name, PROPERTIES)
    node.bulk(name, [document(number) for number in range(PER_DAY * DAYS)])
    yield name
    node.drop(name)


@pytest.fixture
def jobs(bulkhaul, tmp_path):
    return CachedJobs(bulkhaul, tmp_path)


def scrolls(node) -> int:
    nodes = node.call("GET", "/_nodes/stats/indices/search")["nodes"]
    return sum(one["indices"]["search"]["scroll_total"] for one in nodes.values())


def test_a_second_run_reads_no_document(jobs, node, days):
    first = jobs(node.uri(days), *SLICED)
    assert (first["hits"], first["misses"], first["passed"]) == (0, DAYS + 1, 0)
    before, rows = scrolls(node), jobs.rows()
    second = jobs(node.uri(days), *SLICED, "--progress", "json")
    assert (second["hits"], second["misses"], second["hit_rate"]) == (DAYS + 1, 0, 1)
    assert second["rows"] == PER_DAY * DAYS and second["bytes"] > 0
    assert scrolls(node) == before
    assert jobs.rows() == rows == on_server(node, days)
    assert "6 of 6 units hit (100 %)" in jobs.outcome.out + jobs.outcome.err
    events = [json.loads(line) for line in jobs.outcome.err.splitlines() if line.startswith("{")]
    assert events[-1]["totals"]["units_cached"] == events[-1]["totals"]["units"] == DAYS + 1
    # Another query, other columns, other types are other rows.
    for words in (("--q", "level:ERROR"), ("--fields", "seq"), ("--dates", "text")):
        assert jobs(node.uri(days), *SLICED, *words)["hits"] == 0, words
    assert jobs(node.uri(days), *SLICED, "--q", "level:ERROR")["hits"] == DAYS + 1
    assert len(jobs.rows()) == PER_DAY * DAYS // 2


def test_transforms_and_formats_are_applied_to_kept_rows(jobs, node, days):
    jobs(node.uri(days), *SLICED)
    seen = jobs(node.uri(days), *SLICED, "--shrink", "--rename", "seq=number", "--single-file")
    assert seen["hit_rate"] == 1
    assert jobs.rows("SELECT count(*), sum(number) FROM {rows}") == [
        (PER_DAY * DAYS, sum(range(PER_DAY * DAYS)))]
    assert "INT16" in str(jobs.rows("SELECT DISTINCT typeof(number) FROM {rows}")) \
        or "SMALLINT" in str(jobs.rows("SELECT DISTINCT typeof(number) FROM {rows}"))


def test_overlapping_ranges_share_their_days(jobs, node, days):
    jobs(node.uri(days + "?gte=2024-03-01&lt=2024-03-04"), *SLICED)
    seen = jobs(node.uri(days + "?gte=2024-03-02T12:00&lt=2024-04-01"), *SLICED)
    assert (seen["hits"], seen["misses"]) == (1, 3), "the 3rd; half of the 2nd, the 4th, the 5th"
    assert [seq for seq, _ in jobs.rows()] == list(range(PER_DAY * 3 // 2, PER_DAY * DAYS))
    seen = jobs(node.uri(days), *SLICED)
    assert (seen["hits"], seen["misses"]) == (5, 1), "but for documents without a time"


@pytest.mark.parametrize("shards", [1, 3])
def test_changes_are_seen(jobs, node, shards):
    check_changes_are_seen(jobs, node, shards)


def test_what_may_still_receive_documents_is_not_kept(jobs, node, tmp_path):
    index = "fresh"
    node.create(index, PROPERTIES)
    now = datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None)
    node.bulk(index, [document(number, now - 20 * number * datetime.timedelta(hours=1))
                      for number in range(4)])
    jobs(node.uri(index))
    seen = jobs(node.uri(index))
    assert (seen["hits"], seen["passed"]) == (0, 1), "its last document is a moment old"
    jobs(node.uri(index), "--cache-settle", "0")
    assert jobs(node.uri(index), "--cache-settle", "0")["hit_rate"] == 1
    assert jobs(node.uri(index), "--cache-settle", "30d")["passed"] == 1, "kept, but not settled"
    sliced = jobs(node.uri(index), *SLICED)
    assert 1 <= sliced["passed"] <= 2, "the slice of today, and the documents without a time"
    node.drop(index)


def test_without_a_time_what_has_not_changed_since_is_settled(jobs, node, tmp_path):
    node.create("plain", {"seq": {"type": "long"}, "level": {"type": "keyword"}})
    node.bulk("plain", [{"seq": number, "level": "A"} for number in range(100)])
    jobs(node.uri("plain"))
    seen = jobs(node.uri("plain"))
    assert seen["hits"] == 0 and len(jobs.entries()) == 1, "kept for less than cache_settle"
    assert jobs(node.uri("plain"), "--cache-settle", "1ms")["hit_rate"] == 1
    node.drop("plain")


def test_queries_that_depend_on_the_moment_are_not_kept(jobs, node, days):
    seen = jobs(node.uri(days), *SLICED, "--q", "@timestamp:[now-100y TO now]")
    assert seen["passed"] == DAYS + 1 and not jobs.files()
    assert "rows are not kept where its query says 'now'" in jobs.outcome.err
    assert jobs(node.uri(days), "--limit", "5")["passed"] == 1


def test_the_size_is_bounded(jobs, node, days):
    jobs(node.uri(days), *SLICED)
    sizes = [entry["bytes"] for entry in jobs.entries()]
    most = sum(sizes) - 1
    jobs(node.uri(days), *SLICED, "--q", "level:ERROR", "--cache-max-bytes", most)
    assert sum(entry["bytes"] for entry in jobs.entries()) <= most
    seen = jobs(node.uri(days), *SLICED, "--cache-max-bytes", "100")
    assert seen["hits"] == 0 and not jobs.entries()
    assert "more than cache_max_bytes" in jobs.outcome.err
    assert jobs.rows() == on_server(node, days)


def test_old_entries_are_read_again(jobs, node, days):
    jobs(node.uri(days), *SLICED)
    assert jobs(node.uri(days), *SLICED, "--cache-ttl", "1ms")["hits"] == 0


def test_damage_is_a_miss(jobs, node, days):
    jobs(node.uri(days), *SLICED)
    wanted = jobs.rows()
    chance = random.Random(5)
    for harm in ("flip", "cut", "empty"):
        victim = max(jobs.files(), key=lambda path: path.stat().st_size)
        data = bytearray(victim.read_bytes())
        at = chance.randrange(16, len(data))
        if harm == "flip":
            data[at] ^= 1 << chance.randrange(8)
        victim.write_bytes(data[:at] if harm == "cut" else b"" if harm == "empty" else data)
        seen = jobs(node.uri(days), *SLICED)
        assert (seen["hits"], seen["misses"]) == (DAYS, 1), harm
        assert "was damaged" in jobs.outcome.err
        assert jobs.rows() == wanted
        assert jobs(node.uri(days), *SLICED)["hit_rate"] == 1


def test_killed_while_it_keeps_rows(jobs, node, days):
    """Parts of the destination pass the same crash points as entries of the cache."""
    for point in ("part.created", "part.written", "part.synced", "part.folder_synced"):
        for passage in (1, 2, 5):
            words = jobs.words(node.uri(days), *SLICED, "--workers", "2")
            jobs.bulkhaul(*words, code=-9, env={"BULKHAUL_CRASH_AT": f"{point}#{passage}"})
            node.forget_scrolls()
        jobs(node.uri(days), *SLICED, "--workers", "2")
        assert jobs.rows() == on_server(node, days), point
    assert jobs(node.uri(days), *SLICED, "--workers", "2")["hit_rate"] == 1


def test_a_failed_unit_leaves_nothing(jobs, node, days):
    words = jobs.words(node.uri(days), "--cast", "level=int32")
    jobs.bulkhaul(*words, code=1)
    assert not list(jobs.cache.iterdir())


def test_two_jobs_at_once(jobs, node, days):
    running = []
    for _ in range(2):
        words = jobs.words(node.uri(days), *SLICED)
        running.append((jobs.bulkhaul.start(*words), jobs.out))
    for process, out in running:
        jobs.bulkhaul.finish(process).check()
        jobs.out = out
        assert jobs.rows() == on_server(node, days)
    assert jobs(node.uri(days), *SLICED)["hit_rate"] == 1
    assert jobs.rows() == on_server(node, days)


def test_ls_and_clear(jobs, bulkhaul, node, days):
    jobs(node.uri(days), *SLICED)
    jobs(node.uri(days), *SLICED)
    entries = jobs.entries()
    assert len(entries) == DAYS + 1 and {entry["hits"] for entry in entries} == {1}
    assert sum(entry["rows"] for entry in entries) == PER_DAY * DAYS
    assert f"{days}, 2024-03-02T00:00:00.000Z to 2024-03-03T00:00:00.000Z" in {
        entry["unit"] for entry in entries}
    listed = bulkhaul("cache", "ls", "--cache-dir", jobs.cache).out
    assert days in listed and "6 entries" in listed
    assert "deleted 0 entries" in bulkhaul("cache", "clear", "--older-than", "1h", "--cache-dir",
                                           jobs.cache).out
    assert "deleted 6 entries" in bulkhaul("cache", "clear", "--cache-dir", jobs.cache).out
    assert not list(jobs.cache.iterdir())


def test_looking_makes_no_cache(bulkhaul, tmp_path):
    assert "there is no cache at" in bulkhaul("cache", "ls", "--cache-dir", tmp_path / "none",
                                              code=2).err
    assert not (tmp_path / "none").exists()
    assert "ls" in bulkhaul("cache", "wipe", code=2).err


def test_a_job_file_says_it_as_a_map(jobs, bulkhaul, node, days, tmp_path):
    job = tmp_path / "job.yaml"
    folder = tmp_path / "kept"
    job.write_text(f"""
source: {node.uri(days)}
destination: {tmp_path / "out"}
conflict: overwrite
slice: day
cache: {{enabled: true, dir: {folder}, max_bytes: 20GiB, ttl: 30d, settle: 10m}}
""")
    bulkhaul("run", job)
    assert len(list(folder.glob("*.rows"))) == DAYS + 1
    assert "6 of 6 units hit" in bulkhaul("run", job).out
    # A second run on the default folder of an environment of its own.
    job.write_text(job.read_text().replace("enabled: true", "enabled: false"))
    assert "units hit" not in bulkhaul("run", job).out
    env = {"XDG_CACHE_HOME": str(tmp_path / "xdg"), "BULKHAUL_CACHE": "true"}
    bulkhaul("copy", node.uri(days), tmp_path / "other", env=env)
    assert (tmp_path / "xdg" / "bulkhaul").stat().st_mode & 0o777 == 0o700
    assert not [path for path in (tmp_path / "xdg").rglob("*") if b"geheim" in path.name.encode()]
    secret = node.uri(days).replace("://", "://me:geheim@")
    bulkhaul("copy", secret, tmp_path / "third", env=env)
    for path in (tmp_path / "xdg" / "bulkhaul").iterdir():
        assert b"geheim" not in path.read_bytes()
