"""Scenarios of bench/run.py for the search source: a million log documents in 13 indices."""

from __future__ import annotations

import json
import pathlib
import shutil
import subprocess
import sys

from data import FOLDER, REPOSITORY, say
from measure import measure
from search_data import DOCUMENTS, FIELDS, INDICES, SearchNode, index_plan

PEERS = pathlib.Path(__file__).resolve().parent / "peers"
PROGRAMS = REPOSITORY / "build/release/bin"
OUTPUT = FOLDER / "output"
STREAMS = 4
PAGE_DOCUMENTS = 5000
DELAY_MS = 20
# A node that has served for hours is compiled; one that has just begun takes three times the CPU
# time for a page, and gets to a steady state with about ten million documents.
WARMING_ROUNDS = 5
# So small that a worker waits for the node and not for a core, as with a cluster that has more
# cores than this machine; with pages of 5,000 the two cores are busy with four workers.
FAR_PAGE_DOCUMENTS = 100
FAR_INDICES = "logs-2024.03.*"
FAR_DOCUMENTS = sum(count for name, _, _, count in index_plan() if name.startswith("logs-2024"))
ELASTICDUMP = "6.125.1"
COUNTS = """
import json, sys
import pyarrow.dataset
found = pyarrow.dataset.dataset(sys.argv[1], format="parquet")
numbers = found.to_table(columns=["seq"]).column("seq").unique()
print(json.dumps([found.count_rows(), len(numbers), len(found.schema)]))
"""


def elasticdump_program() -> pathlib.Path | None:
    folder = REPOSITORY / "build/deps/elasticdump"
    program = folder / "node_modules/.bin/elasticdump"
    if not program.exists():
        if shutil.which("npm") is None:
            say("npm is not installed: elasticdump is left out")
            return None
        done = subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--prefix", str(folder),
                               f"elasticdump@{ELASTICDUMP}"], capture_output=True, text=True)
        if done.returncode != 0:
            say(f"npm cannot install elasticdump, which is left out: {done.stderr.strip()[-300:]}")
            return None
    return program


def raw(node: SearchNode) -> dict:
    return measure([PROGRAMS / "raw_search", node.address, STREAMS, PAGE_DOCUMENTS,
                    *(name for name, *_ in index_plan())])


def scan_to_csv(node: SearchNode) -> dict:
    return measure([sys.executable, PEERS / "opensearch_scan.py", node.address, INDICES,
                    OUTPUT / "scan.csv"], OUTPUT / "scan.csv")


def dump(node: SearchNode, program: pathlib.Path) -> dict:
    return measure([program, f"--input=http://{node.address}/{INDICES}",
                    f"--output={OUTPUT / 'dump.json'}", "--type=data", "--noRefresh", "--quiet",
                    f"--limit={PAGE_DOCUMENTS}"], OUTPUT / "dump.json")


def pickled_slices(address: str, threads: int, indices: str = INDICES,
                   first: str = "2024-01-01", last: str = "2024-04-01") -> dict:
    return measure([sys.executable, PEERS / "pickled_slices.py", address, indices, first, last,
                    threads, OUTPUT / "slices"], OUTPUT / "slices")


def check_complete(rows: int) -> None:
    # In a process of its own: what this one holds counts in the peak of every program it starts.
    found = json.loads(subprocess.run(
        [sys.executable, "-c", COUNTS, str(OUTPUT / "bulkhaul/logs")], check=True,
        capture_output=True, text=True).stdout)
    if found != [rows, rows, len(FIELDS)]:
        raise RuntimeError(f"exported are rows, different rows, columns: {found}")


def search(copy, scenario, rounds: int) -> dict:
    """`copy(source, *words)` measures one export; `scenario` is run.Scenario."""
    node = SearchNode()
    program = elasticdump_program()
    result = scenario("search", f"a million log documents to Parquet, {STREAMS} streams")
    try:
        def export(indices: str = INDICES) -> dict:
            return copy(f"opensearch://{node.address}/{indices}", "--workers", STREAMS)

        for _ in range(WARMING_ROUNDS):
            raw(node)
            export()
        for number in range(rounds + 1):  # the first round is checked and not kept
            figures = {"raw pages": raw(node), "bulkhaul": export()}
            if number == 0:
                check_complete(DOCUMENTS)
                continue
            figures["bulkhaul, 4 indices"] = export("logs-2024.03.01,logs-2024.03.02,"
                                                    "logs-2024.03.03,logs-2024.03.04")
            if number in (1, 3):  # these take minutes
                figures["opensearch-py"] = scan_to_csv(node)
                if program:
                    figures["elasticdump"] = dump(node, program)
                figures["threads, pickles"] = pickled_slices(node.address, 8)
            for name, one in figures.items():
                result.add(name, one)
        report = FOLDER / "report.json"
        result.add("bulkhaul, shrink", copy(f"opensearch://{node.address}/{INDICES}", "--workers",
                                            STREAMS, "--shrink", "--report", report))
    finally:
        node.stop()
    result.medians()
    median = result.result["median"]
    ours = median["bulkhaul"]
    result.check("speed: bulkhaul / raw pages", median["raw pages"]["seconds"] / ours["seconds"],
                 0.7, at_least=True)
    for name, bar in (("opensearch-py", 8), ("elasticdump", 8), ("threads, pickles", 20)):
        if name in median:
            result.check(f"speed: bulkhaul / {name}", median[name]["seconds"] / ours["seconds"],
                         bar, at_least=True)
    result.check("CPU seconds a million documents", ours["cpu_seconds"], 2.5)
    result.check(f"peak RSS in MB at {STREAMS} streams", ours["peak_rss_mb"], 150)
    result.check("peak RSS: 1,000,000 documents / 320,000 documents",
                 ours["peak_rss_mb"] / median["bulkhaul, 4 indices"]["peak_rss_mb"], 1.10)
    table = json.loads(report.read_text())["tables"][0]
    report.unlink()
    for line in table["explanations"]:
        print(f"  shrink: {line}", flush=True)
    result.result["shrink"] = table["explanations"]
    result.check("Arrow bytes that shrink saves, in percent",
                 100 * (1 - table["bytes_after_transform"] / table["bytes_before_transform"]), 31,
                 at_least=True)
    return result.result


def search_far(copy, scenario, rounds: int) -> dict:
    node = SearchNode()
    result = scenario("search_far", f"{FAR_DOCUMENTS:,} documents of a node {DELAY_MS} ms away, "
                      f"pages of {FAR_PAGE_DOCUMENTS}, by number of workers")
    host, port = node.address.split(":")
    proxy = subprocess.Popen([str(PROGRAMS / "delay_proxy"), host, port, str(DELAY_MS)],
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        address = f"127.0.0.1:{proxy.stdout.readline().strip()}"
        for _ in range(min(rounds, 1)):
            for count in (1, 2, 4, 8, 16, 32, 48, 70):
                one = copy(f"opensearch://{address}/{FAR_INDICES}", "--workers", count,
                           "--page-documents", FAR_PAGE_DOCUMENTS)
                result.add(str(count), {**one, "rows_per_second": FAR_DOCUMENTS / one["seconds"]})
        result.add("threads, pickles: 32",
                   pickled_slices(address, 32, FAR_INDICES, "2024-03-01", "2024-03-11"))
    finally:
        proxy.stdin.close()
        proxy.wait()
        node.stop()
    result.medians()
    median = result.result["median"]
    result.check("speed: 32 workers / 1 worker", median["1"]["seconds"] / median["32"]["seconds"],
                 20, at_least=True)
    result.ratio("peak_rss_mb", "32", "threads, pickles: 32", 0.45)
    return result.result
