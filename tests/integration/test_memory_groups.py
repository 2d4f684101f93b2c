"""The memory decision and its bounds inside real cgroups."""

from __future__ import annotations

import json
import os
import pathlib
import signal

import pyarrow as pa
import pytest

from support import exports
from support.memory_group import memory_group
from support.memory_loads import (
    GIB, MIB, csv_of, events_until, gated_target, long_words, narrow_csv)

TIGHT = 256 * MIB


@pytest.fixture(scope="module")
def wide(tmp_path_factory) -> pathlib.Path:
    return long_words(tmp_path_factory.mktemp("wide") / "wide.parquet", 700_000)


def forget_pages(path: pathlib.Path) -> None:
    """So that who reads the file next is charged for its pages."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def machine_bytes() -> int:
    text = pathlib.Path("/proc/meminfo").read_text()
    return int(text.split("MemAvailable:")[1].split()[0]) << 10


def chosen_at(ratio: float) -> str:
    return "eager" if ratio <= 0.65 else "lazy" if ratio <= 2 else "streaming"


@pytest.mark.parametrize("limit,wanted", [(4, "streaming"), (8, "lazy"), (16, "eager")])
def test_a_group_of_four_eight_and_sixteen_gigabytes(bulkhaul, wide, tmp_path, limit, wanted):
    job = tmp_path / "job.yaml"
    job.write_text(json.dumps({"source": str(wide), "destination": str(tmp_path / "out"),
                               "unit_bytes": "1GiB", "where": "text = 'y'"}))
    with memory_group(limit * GIB) as group:
        more = machine_bytes() > (limit + 1) * GIB
        plan = bulkhaul("plan", job, "--output", "json", preexec_fn=group.join).json["memory"]
        run = bulkhaul("run", job, "--output", "json", preexec_fn=group.join).json["memory"]
        assert group.kills() == 0
    for memory in (plan, run):
        assert 6.5 * GIB < memory["need_bytes"] < 8 * GIB
        assert memory["available_bytes"] <= (limit + 0.1) * GIB
        assert memory["ratio"] == pytest.approx(
            memory["need_bytes"] / memory["available_bytes"] / 0.7)
        assert memory["strategy"] == chosen_at(memory["ratio"])
        if more:  # else the machine is what is short
            assert memory["available_bytes"] >= (limit - 0.1) * GIB
            assert memory["strategy"] == wanted


def test_more_data_than_the_group_has_memory_there_and_back(bulkhaul, postgres, database, tmp_path):
    """600 MB of text into PostgreSQL, and out again as Parquet. Pages of files count in the group."""
    rows = 40_000
    csv = csv_of(tmp_path / "texts.csv", pa.table(
        {"id": range(rows), "text": [f"{number:08} lines " * 600 for number in range(rows)]}))
    assert csv.stat().st_size > 1.3 * TIGHT
    forget_pages(csv)
    uri = postgres.uri_of(database)
    with memory_group(TIGHT) as group:
        load = bulkhaul("copy", csv, uri, "--target-table", "public.texts", "--output", "json",
                        preexec_fn=group.join).json
        export = bulkhaul("copy", uri, tmp_path / "out", "--table", "public.texts", "--output",
                          "json", preexec_fn=group.join).json
        peak = group.peak_bytes()
        assert group.kills() == 0
        assert peak is None or TIGHT / 2 < peak <= TIGHT, "it read the file there"
    for report in (load, export):
        memory = report["memory"]
        assert report["totals"]["rows"] == rows
        assert TIGHT * 0.4 < memory["limit_bytes"] <= TIGHT * 0.6
        assert memory["peak_rss_bytes"] <= memory["limit_bytes"]
    assert exports.query(exports.table_folders(tmp_path / "out")[0], """
        SELECT count(*), count(DISTINCT id), bool_and(text = repeat(
            lpad(id::varchar, 8, '0') || ' lines ', 600)) FROM {rows}""") == [(rows, rows, True)]


def test_a_limit_that_is_lowered_meanwhile(bulkhaul, postgres, database, tmp_path):
    source, rows = narrow_csv(tmp_path)
    load = gated_target(bulkhaul, postgres, database, source)
    with memory_group(8 * GIB) as group:
        with postgres.connect(database) as gate:
            gate.execute("SELECT pg_advisory_lock(42)")
            run = bulkhaul.start("copy", *load, "--progress", "json", "--report",
                                 tmp_path / "report", preexec_fn=group.join)
            try:
                events_until(run, lambda event: event.get("totals", {}).get("rows", 0) == rows)
                group.limit(group.used_bytes() + 32 * MIB)
                event = events_until(run, lambda event: "instead of" in event.get("message", ""))
                gate.execute("SELECT pg_advisory_unlock(42)")
                assert bulkhaul.finish(run).code == 0
            finally:
                if run.poll() is None:
                    run.send_signal(signal.SIGKILL)
                    run.wait()
        assert group.kills() == 0
    assert "memory: " in event["message"] and " instead of eager from now on" in event["message"]
    assert postgres.sql("SELECT count(*), sum(id) FROM target", database) == [
        (rows, rows * (rows - 1) // 2)]
    report = json.loads((tmp_path / "report").read_text())
    assert report["memory"]["strategy"] in ("eager, then streaming", "eager, then lazy")
