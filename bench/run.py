#!/usr/bin/env python3
"""make bench: bulkhaul against what else a user could pick, alternated in one run.

  bench/run.py [--rounds 5] [--scenario lineitem …] [--output bench/results/NAME.json]

Prints each scenario's medians and the ratios against their bars, and keeps every figure of every
round as JSON. Peers are measured without their interpreter's start and imports, bulkhaul from exec
to exit. Scenarios: lineitem, memory, wide, many, plan, sqlite, workers, tables (PostgreSQL, SQLite),
search, search_far (OpenSearch), load, load_twice, load_kinds, load_memory, load_contract, load_huge
(files into PostgreSQL).
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import pathlib
import platform
import subprocess
import sys
import tempfile

import data
import load as load_scenarios
import search as search_scenarios
from data import FOLDER, REPOSITORY, VENV, say
from measure import measure, median, remove

PEERS = pathlib.Path(__file__).resolve().parent / "peers"
BULKHAUL = pathlib.Path(os.environ.get("BULKHAUL_BIN", REPOSITORY / "build/release/bulkhaul"))
RAW_COPY = REPOSITORY / "build/release/bin/raw_copy"
LINEITEM_ROWS = {"tpch_1": 6_001_215, "tpch_01": 600_572}
PAGES_PER_UNIT = 8192  # 64 MiB, bulkhaul's default unit
OUTPUT = FOLDER / "output"
STATE = FOLDER / "state"


def bulkhaul(*words, output: pathlib.Path) -> dict:
    return measure([BULKHAUL, "copy", *words, "--progress", "none"], output,
                   {"XDG_STATE_HOME": str(STATE)})


def lineitem_copy(uri: str, workers: int = 2, *more) -> dict:
    return bulkhaul(uri, OUTPUT / "bulkhaul", "--table", "public.lineitem", "--workers", workers,
                    *more, output=OUTPUT / "bulkhaul")


def duckdb(kind: str, source: str, table: str) -> dict:
    return measure([sys.executable, PEERS / "duckdb_export.py", kind, source, table,
                    OUTPUT / "duckdb.parquet"], OUTPUT / "duckdb.parquet")


class Scenario:
    """Collects rounds by program, medians, and ratios against bars."""

    def __init__(self, name: str, title: str):
        self.result = {"title": title, "rounds": {}, "median": {}, "checks": []}
        say(f"--- {name}: {title}")

    def add(self, program: str, figures: dict) -> None:
        self.result["rounds"].setdefault(program, []).append(figures)

    def medians(self) -> None:
        for program, rounds in self.result["rounds"].items():
            keys = [key for key in rounds[0] if isinstance(rounds[0][key], (int, float))]
            self.result["median"][program] = {key: median(rounds, key) for key in keys}
            figures = self.result["median"][program]
            line = f"{program:22} {figures['seconds']:7.2f} s  {figures['cpu_seconds']:7.2f} CPU-s"
            line += f"  {figures['peak_rss_mb']:7.0f} MB"
            if "output_bytes" in figures:
                line += f"  {figures['output_bytes'] / 1e6:8.1f} MB written"
            print(line, flush=True)

    def check(self, what: str, value: float, bar: float, at_least: bool = False) -> None:
        met = value >= bar if at_least else value <= bar
        self.result["checks"].append({
            "what": what, "value": value, "bar": bar, "at_least": at_least, "met": met})
        print(f"  {'met ' if met else 'MISS'} {what}: {value:.3g} "
              f"({'at least' if at_least else 'at most'} {bar:g})", flush=True)

    def ratio(self, key: str, program: str, other: str, bar: float) -> None:
        figures = self.result["median"]
        if program in figures and other in figures:
            self.check(f"{key}: {program} / {other}",
                       figures[program][key] / figures[other][key], bar)


def lineitem(server: data.Server, rounds: int) -> dict:
    uri = server.ensure("tpch_1", data.MAKERS["tpch_1"])
    scenario = Scenario("lineitem", "lineitem at scale 1 to Parquet with zstd, 2 connections")
    for number in range(rounds + 1):  # the first round warms the server's cache and is not kept
        figures = {
            "raw COPY": measure([RAW_COPY, uri, "lineitem", 2, PAGES_PER_UNIT]),
            "DuckDB": duckdb("postgres", uri, "lineitem"),
        }
        if BULKHAUL.exists():
            figures["bulkhaul"] = lineitem_copy(uri)
        if 1 <= number <= 3:
            figures["connectorx"] = measure(
                [sys.executable, PEERS / "connectorx_export.py", uri, "lineitem", "l_orderkey", 2,
                 OUTPUT / "connectorx.parquet"], OUTPUT / "connectorx.parquet")
            figures["ADBC"] = measure(
                [sys.executable, PEERS / "adbc_export.py", uri, "lineitem",
                 OUTPUT / "adbc.parquet"], OUTPUT / "adbc.parquet")
        for program, one in figures.items():
            if number > 0:
                scenario.add(program, one)
    scenario.medians()
    scenario.ratio("cpu_seconds", "bulkhaul", "DuckDB", 0.6)
    scenario.ratio("seconds", "bulkhaul", "DuckDB", 0.8)
    scenario.ratio("seconds", "bulkhaul", "raw COPY", 1.45)
    scenario.ratio("output_bytes", "bulkhaul", "DuckDB", 1.05)
    if "bulkhaul" in scenario.result["median"]:
        scenario.check("peak RSS in MB", scenario.result["median"]["bulkhaul"]["peak_rss_mb"], 160)
    return scenario.result


def memory(server: data.Server, rounds: int) -> dict:
    scenario = Scenario("memory", "peak RSS at scale 0.1 and 1, 2 workers")
    for name in ("tpch_01", "tpch_1"):
        uri = server.ensure(name, data.MAKERS[name])
        for _ in range(min(rounds, 3)):
            scenario.add(name, lineitem_copy(uri))
    scenario.medians()
    small, large = (scenario.result["median"][name]["peak_rss_mb"] for name in
                    ("tpch_01", "tpch_1"))
    scenario.check("peak RSS: scale 1 / scale 0.1", large / small, 1.10)
    scenario.check("peak RSS: scale 0.1 / scale 1", small / large, 1.10)
    return scenario.result


def wide(server: data.Server, rounds: int) -> dict:
    uri = server.ensure("wide", data.MAKERS["wide"])
    scenario = Scenario("wide", "20,000 rows with 1 MB texts, --memory-limit 256MiB")
    scenario.add("bulkhaul", bulkhaul(
        uri, OUTPUT / "bulkhaul", "--table", "public.documents", "--workers", 2,
        "--memory-limit", "256MiB", output=OUTPUT / "bulkhaul"))
    scenario.medians()
    scenario.check("peak RSS in MB", scenario.result["median"]["bulkhaul"]["peak_rss_mb"],
                   256 * 1.048576)
    return scenario.result


def many(server: data.Server, rounds: int) -> dict:
    uri = server.ensure("many", data.MAKERS["many"])
    scenario = Scenario("many", "2,000 tables of 100 rows")
    for _ in range(min(rounds, 3)):
        scenario.add("bulkhaul", bulkhaul(uri, OUTPUT / "bulkhaul", "--all",
                                          output=OUTPUT / "bulkhaul"))
    scenario.medians()
    scenario.check("tables/s", 2000 / scenario.result["median"]["bulkhaul"]["seconds"], 150,
                   at_least=True)
    return scenario.result


def plan(server: data.Server, rounds: int) -> dict:
    uri = server.ensure("tpch_1", data.MAKERS["tpch_1"])
    heap_bytes = server.scalar("tpch_1", "SELECT pg_table_size('lineitem')")
    scenario = Scenario("plan", "a plan of 10,000 units")
    with tempfile.TemporaryDirectory() as folder:
        def planned(unit_bytes: int) -> dict:
            job = pathlib.Path(folder) / "job.json"
            job.write_text(json.dumps({
                "source": uri, "destination": f"{folder}/out", "tables": ["public.lineitem"],
                "unit_bytes": unit_bytes, "output": "json", "progress": "none"}))
            return measure([BULKHAUL, "plan", job], None, {"XDG_STATE_HOME": str(STATE)})
        for _ in range(rounds):
            scenario.add("one unit", planned(heap_bytes * 2))
            scenario.add("10,000 units", planned(heap_bytes // 10_000))
    scenario.medians()
    figures = scenario.result["median"]
    scenario.check("seconds", figures["10,000 units"]["seconds"], 1.0)
    scenario.check("MB more than a plan of one unit",
                   figures["10,000 units"]["peak_rss_mb"] - figures["one unit"]["peak_rss_mb"], 20)
    return scenario.result


def sqlite(server: data.Server, rounds: int) -> dict:
    path = data.sqlite_orders()
    scenario = Scenario("sqlite", "SQLite orders at scale 1 to Parquet with zstd")
    for number in range(rounds + 1):
        figures = {"DuckDB": duckdb("sqlite", str(path), "orders")}
        if BULKHAUL.exists():
            figures["bulkhaul"] = bulkhaul(f"sqlite://{path}", OUTPUT / "bulkhaul", "--table",
                                           "orders", output=OUTPUT / "bulkhaul")
        for program, one in figures.items():
            if number > 0:
                scenario.add(program, one)
    scenario.medians()
    scenario.ratio("seconds", "bulkhaul", "DuckDB", 0.7)
    return scenario.result


def workers(server: data.Server, rounds: int) -> dict:
    uri = server.ensure("tpch_1", data.MAKERS["tpch_1"])
    scenario = Scenario("workers", "lineitem at scale 1 by number of workers")
    for count in (1, 2, 3, 4, 6, 8):
        for _ in range(min(rounds, 3)):
            one = lineitem_copy(uri, count, "--workers-per-table", count)
            scenario.add(str(count), {**one, "rows_per_second":
                                      LINEITEM_ROWS["tpch_1"] / one["seconds"]})
    scenario.medians()
    return scenario.result


def tables(server: data.Server, rounds: int) -> dict:
    uri = server.ensure("twelve", data.MAKERS["twelve"])
    rows = sum(data.TWELVE_THOUSANDS_OF_ROWS) * 1000
    scenario = Scenario("tables", "12 tables of 0.5 to 5 M rows by tables at once, one worker each")
    for count in (1, 2, 4, 8, 12):
        for _ in range(min(rounds, 2)):
            one = bulkhaul(uri, OUTPUT / "bulkhaul", "--all", "--parallel-tables", count,
                           "--workers", count, "--workers-per-table", 1,
                           output=OUTPUT / "bulkhaul")
            scenario.add(str(count), {**one, "rows_per_second": rows / one["seconds"]})
    scenario.medians()
    return scenario.result


def search_copy(source: str, *words) -> dict:
    return bulkhaul(source, OUTPUT / "bulkhaul", *words, output=OUTPUT / "bulkhaul")


def search(server: data.Server, rounds: int) -> dict:
    return search_scenarios.search(search_copy, Scenario, rounds)


def search_far(server: data.Server, rounds: int) -> dict:
    return search_scenarios.search_far(search_copy, Scenario, rounds)


def loading(run_scenario):
    def run(server: data.Server, rounds: int) -> dict:
        target = load_scenarios.Target(server)
        return run_scenario(target, load_scenarios.Loads(target, BULKHAUL, STATE), Scenario, rounds)
    return run


SCENARIOS = {function.__name__: function
             for function in (lineitem, memory, wide, many, plan, sqlite, workers, tables, search,
                              search_far)}
SCENARIOS |= {name: loading(run) for name, run in load_scenarios.SCENARIOS.items()}


def versions() -> dict:
    listed = subprocess.run([str(VENV / "python"), "-m", "pip", "list", "--format=json"],
                            capture_output=True, text=True, check=True).stdout
    wanted = {"duckdb", "connectorx", "adbc-driver-postgresql", "pyarrow", "tpchgen-cli",
              "duckdb-extension-postgres-scanner", "duckdb-extension-sqlite-scanner",
              "opensearch-py", "pandas"}
    found = {item["name"].replace("_", "-"): item["version"] for item in json.loads(listed)}
    return {name: version for name, version in found.items() if name in wanted}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--scenario", nargs="+", choices=list(SCENARIOS), default=list(SCENARIOS))
    now = datetime.datetime.now(datetime.timezone.utc)
    parser.add_argument("--output", type=pathlib.Path, default=pathlib.Path(
        __file__).resolve().parent / "results" / f"{now:%Y-%m-%dT%H-%M-%SZ}.json")
    arguments = parser.parse_args()
    OUTPUT.mkdir(parents=True, exist_ok=True)
    # The search scenarios have a node of their own.
    postgres = any(not name.startswith("search") for name in arguments.scenario)
    server = data.Server() if postgres else None
    report = {
        "at": f"{now:%Y-%m-%dT%H:%M:%SZ}", "cores": os.cpu_count(), "machine": platform.machine(),
        "server": server.scalar("postgres", "SHOW server_version") if server else None,
        "versions": versions(),
        "load_before": os.getloadavg()[0], "rounds": arguments.rounds, "scenarios": {},
    }
    failed = []
    try:
        for name in arguments.scenario:
            try:
                report["scenarios"][name] = SCENARIOS[name](server, arguments.rounds)
            except (RuntimeError, OSError) as error:
                failed.append(name)
                print(f"bench: {name} did not run: {error}", file=sys.stderr, flush=True)
    finally:
        if server:
            server.stop()
        remove(OUTPUT)
        remove(STATE)
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(json.dumps(report, indent=1) + "\n")
    misses = [f"{name}: {check['what']}" for name, scenario in report["scenarios"].items()
              for check in scenario["checks"] if not check["met"]]
    print(f"bench: figures in {arguments.output}")
    for miss in misses:
        print(f"bench: bar missed: {miss}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
