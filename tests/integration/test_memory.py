"""The memory decision: what is estimated is what a run holds, and what is chosen follows from it."""

from __future__ import annotations

import gzip
import json
import pathlib
import random
import re
import signal

import pyarrow as pa
import pyarrow.csv
import pyarrow.ipc
import pyarrow.parquet as pq
import pytest

from support.memory_loads import (
    GIB, MIB, csv_of, events_until, gated_target, long_words, narrow_csv)


def words(rows: int, length: int) -> pa.Array:
    letters = random.Random(7).choices("abcdefghijklmnopqrstuvwxyz ", k=rows + length)
    text = "".join(letters)
    return pa.array([text[i:i + length] for i in range(rows)])


def wide_csv(folder):
    rows = 28_000
    columns = {f"number_{i}": range(i, i + rows) for i in range(100)}
    columns |= {f"text_{i}": words(rows, 10) for i in range(50)}
    return csv_of(folder / "wide.csv", pa.table(columns)), rows


def long_texts(folder):
    rows = 20_000
    return csv_of(folder / "texts.csv", pa.table({"id": range(rows), "text": words(rows, 2500)})), rows


def gzip_csv(folder):
    rows = 900_000
    plain = csv_of(folder / "plain.txt", pa.table(
        {"id": range(rows), "name": words(rows, 24), "share": [i / 4 for i in range(rows)]}))
    packed = folder / "packed.csv.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes(), 1))
    return packed, rows


def json_lines(folder):
    rows = 200_000
    path = folder / "nested.jsonl"
    with path.open("w") as out:
        for i in range(rows):
            out.write('{"id":%d,"user":{"name":"user %d","tags":["a%d","bcdefghij","klmnop"]},'
                      '"points":[%d,%d,%d,%d],"items":[{"sku":"sku-%d","count":%d,"price":1.5},'
                      '{"sku":"sku-%d","count":2,"price":2.25}]}\n'
                      % (i, i, i % 9, i, i + 1, i + 2, i + 3, i, i % 7, i + 1))
    return path, rows


def parquet_dictionaries(folder):
    rows = 1_000_000
    places = [f"a place with a long name, number {i}" for i in range(200)]
    table = pa.table({"id": range(rows), "place": pa.array([places[i % 200] for i in range(rows)])})
    pq.write_table(table, folder / "dictionary.parquet", row_group_size=500_000)
    return folder / "dictionary.parquet", rows


def parquet_nested_lists(folder):
    rows = 250_000
    numbers = pa.array([list(range(i % 17)) for i in range(rows)], pa.list_(pa.int64()))
    label = pa.struct([("name", pa.string()), ("places", pa.list_(pa.int64()))])
    labels = pa.array([[{"name": "a label", "places": [i, 2]}] * (i % 3) for i in range(rows)],
                      pa.list_(label))
    pq.write_table(pa.table({"id": range(rows), "numbers": numbers, "labels": labels}),
                   folder / "lists.parquet")
    return folder / "lists.parquet", rows


def parquet_decimals(folder):
    rows = 600_000
    unscaled = pa.array(range(rows)).cast(pa.decimal128(30, 4))
    table = pa.table({f"amount_{i}": unscaled for i in range(5)})
    pq.write_table(table, folder / "decimals.parquet", store_decimal_as_integer=True)
    return folder / "decimals.parquet", rows


def arrow_ipc(folder):
    rows = 1_100_000
    table = pa.table({"id": range(rows), "text": words(rows, 32)})
    path = folder / "batches.arrow"
    with pa.ipc.new_file(path, table.schema,
                         options=pa.ipc.IpcWriteOptions(compression="lz4")) as out:
        out.write_table(table, max_chunksize=50_000)
    return path, rows


def small_files(folder):
    many, rows = folder / "many", 4_000
    many.mkdir()
    for i in range(200):
        csv_of(many / f"part_{i:03}.csv", pa.table(
            {"id": range(i * rows, i * rows + rows), "name": words(rows, 40)}))
    return many, 200 * rows


DATA_SETS = [narrow_csv, wide_csv, long_texts, gzip_csv, json_lines, parquet_dictionaries,
             parquet_nested_lists, parquet_decimals, arrow_ipc, small_files]


@pytest.mark.parametrize("make", DATA_SETS, ids=lambda make: make.__name__)
def test_the_estimate_is_within_twice_of_the_peak(bulkhaul, postgres, database, tmp_path, make):
    """An eager run whose rows nobody takes: the target's trigger waits until all are read."""
    source, rows = make(tmp_path)
    eager = [*gated_target(bulkhaul, postgres, database, source), "--strategy", "eager",
             "--memory-limit", "4GiB"]
    decision = bulkhaul("plan", *eager, "--output", "json").json["memory"]
    assert (decision["strategy"], decision["forced"]) == ("eager", True)
    with postgres.connect(database) as gate:
        gate.execute("SELECT pg_advisory_lock(42)")
        run = bulkhaul.start("copy", *eager, "--progress", "json")
        events_until(run, lambda event: event.get("totals", {}).get("rows") == rows)
        status = pathlib.Path(f"/proc/{run.pid}/status").read_text()
        run.send_signal(signal.SIGKILL)
    peak = int(status.split("VmHWM:")[1].split()[0]) << 10
    assert peak > 64 * MIB, "the data would drown in what the program holds anyway"
    assert peak / 2 <= decision["need_bytes"] <= peak * 2, (decision, peak / MIB)


class System:
    """proc/ and sys/ of a machine of 24 GiB with a cgroup, for $BULKHAUL_SYSTEM_ROOT."""

    def __init__(self, root: pathlib.Path):
        self.root = root
        (root / "proc/self").mkdir(parents=True)
        (root / "sys/fs/cgroup/job").mkdir(parents=True)
        (root / "proc/meminfo").write_text(f"MemAvailable: {24 * GIB >> 10} kB\n")
        (root / "proc/self/cgroup").write_text("0::/job\n")
        (root / "sys/fs/cgroup/job/memory.current").write_text("0\n")
        self.environment = {"BULKHAUL_SYSTEM_ROOT": str(root)}

    def limit(self, size: int) -> None:
        path = self.root / "sys/fs/cgroup/job/memory.max"
        path.with_name("new").write_text(f"{size}\n")
        path.with_name("new").rename(path)  # never half written


@pytest.fixture
def system(tmp_path) -> System:
    return System(tmp_path / "system")


def test_a_job_under_four_eight_and_sixteen_gigabytes(bulkhaul, system, tmp_path):
    source = long_words(tmp_path / "wide.parquet", 700_000)
    chosen = {}
    for limit in (4, 8, 16):
        system.limit(limit * GIB)
        words = ["plan", source, tmp_path / "out", "--unit-bytes", "1GiB"]
        plan = bulkhaul(*words, "--output", "json", env=system.environment).json["memory"]
        chosen[limit] = plan["strategy"]
        assert 6.5 * GIB < plan["need_bytes"] < 8 * GIB
        assert limit * GIB <= plan["available_bytes"] < (limit + 0.2) * GIB
        assert plan["ratio"] == pytest.approx(plan["need_bytes"] / plan["available_bytes"] / 0.7)
        text = bulkhaul(*words, env=system.environment).out
        assert f"strategy {chosen[limit]}: needs " in text and "os_margin 30 %" in text
    assert chosen == {4: "streaming", 8: "lazy", 16: "eager"}


def test_a_dictionary_is_unfolded_batch_by_batch(bulkhaul, tmp_path):
    """600 MB of rows."""
    done = bulkhaul("copy", long_words(tmp_path / "wide.parquet", 60_000), tmp_path / "out",
                    "--where", "text = 'y'", "--memory-limit", "150MiB", "--strategy", "streaming",
                    "--progress", "none", "--output", "json")
    assert done.json["totals"]["rows"] == 0
    assert done.json["memory"]["peak_rss_bytes"] < 150 * MIB


def test_what_is_chosen_and_what_is_said(bulkhaul, system, tmp_path):
    source = csv_of(tmp_path / "small.csv", pa.table({"id": range(1000)}))
    system.limit(4 * GIB)

    def memory_of(*more) -> dict:
        report = bulkhaul("copy", source, tmp_path / "out", "--output", "json", *more,
                          env=system.environment).json
        assert report["totals"]["rows"] == 1000
        return report["memory"]

    assert memory_of()["strategy"] == "eager"
    assert memory_of("--strategy", "streaming")["strategy"] == "streaming"
    assert memory_of("--strategy", "lazy")["strategy_reason"].startswith("as strategy says; needs")
    # Nothing is left for this job: it goes on with what it has reserved.
    assert memory_of("--os-margin", "1")["strategy"] == "streaming"
    assert bulkhaul("copy", source, tmp_path / "out", "--os-margin", "2",
                    code=2).err.count("at most 1")


def test_memory_that_shrinks_meanwhile(bulkhaul, postgres, database, system, tmp_path):
    source, rows = narrow_csv(tmp_path)
    load = gated_target(bulkhaul, postgres, database, source)
    system.limit(8 * GIB)
    with postgres.connect(database) as gate:
        gate.execute("SELECT pg_advisory_lock(42)")
        run = bulkhaul.start("copy", *load, "--progress", "json", "--report", tmp_path / "report",
                             env=system.environment)
        events_until(run, lambda event: event.get("totals", {}).get("rows", 0) > 0)
        system.limit(16 * MIB)
        event = events_until(run, lambda event: "instead of" in event.get("message", ""))
        gate.execute("SELECT pg_advisory_unlock(42)")
        assert bulkhaul.finish(run).code == 0
    assert "memory: " in event["message"] and " instead of eager from now on" in event["message"]
    assert postgres.sql("SELECT count(*), sum(id) FROM target", database) == [
        (rows, rows * (rows - 1) // 2)]
    report = json.loads((tmp_path / "report").read_text())
    assert report["memory"]["strategy"] in ("eager, then streaming", "eager, then lazy")
    assert report["memory"]["ratio"] < 0.65


def test_what_a_too_small_budget_would_have_to_be(bulkhaul, tmp_path):
    """What the advice names is enough, give or take what a process is larger another time."""
    pa.csv.write_csv(pa.table({"id": range(1000)}), tmp_path / "t.csv")
    copy = ("copy", tmp_path / "t.csv", tmp_path / "out", "--progress", "none", "--memory-limit")
    refused = bulkhaul(*copy, "4MiB", code=1)
    needed = re.search(r"one worker needs ([\d.]+) MiB", refused.err)
    assert needed, refused.err
    bulkhaul(*copy, f"{int(float(needed[1])) + 8}MiB")


@pytest.mark.parametrize("rows", [3, 300_000])
def test_the_need_of_unique_columns_is_that_of_their_rows(bulkhaul, tmp_path, rows):
    (tmp_path / "u.csv").write_text("id,a\n" + "".join(f"{i},{i % 7}\n" for i in range(rows)))
    (tmp_path / "c.yaml").write_text("columns: {id: {type: int64, unique: true}, a: int64}\n")
    words = [tmp_path / "u.csv", tmp_path / "out", "--memory-limit", "400MiB"]
    contract = ["--contract", tmp_path / "c.yaml"]
    (tmp_path / "types.yaml").write_text("columns: {id: int64, a: int64}\n")
    need = [bulkhaul("plan", *words, *more, "--output", "json").json["memory"]["need_bytes"]
            for more in (["--contract", tmp_path / "types.yaml"], contract)]
    # The sample makes the rows out to be fewer or more than they are.
    assert 12 * rows - MIB < need[1] - need[0] < 48 * rows + MIB, (need, 24 * rows)
    bulkhaul("copy", *words, *contract, "--progress", "none", "--report", tmp_path / "r.json")
    memory = json.loads((tmp_path / "r.json").read_text())["memory"]
    assert memory["strategy"] == "eager"
    if rows > 3:  # else the writers' buffers stay empty
        assert memory["need_bytes"] <= memory["peak_rss_bytes"] * 2, memory
