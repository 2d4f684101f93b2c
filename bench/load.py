"""Scenarios of bench/run.py for files into PostgreSQL, against other loaders and the raw protocol.

On few cores loader and server share them, so beside the loader's own CPU seconds those of the
server's processes are kept (`server_cpu_seconds`), and both together (`all_cpu_seconds`).
"""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys
import time

from data import FOLDER, LINEITEM, REPOSITORY, say, tpch_csv
from load_data import FILES, HUGE_BYTES, NARROW_ROWS, made
from measure import measure

PEERS = pathlib.Path(__file__).resolve().parent / "peers"
RAW_LOAD = REPOSITORY / "build/release/bin/raw_load"
LINEITEM_ROWS = 6_001_215
DATABASE = "load"
RAW_FILES = 8
TICKS = os.sysconf("SC_CLK_TCK")
# What a loader makes of lineitem that knows no char(n).
TABLE = LINEITEM.replace("char(1)", "text").replace("char(25)", "text").replace(
    "char(10)", "text").replace("varchar(44)", "text")
CSV_DECIMALS = "15,2"
CHECKSUM = "SELECT count(*), sum(hashtext(t::text)::bigint) FROM {} AS t"


def ticks_of(pid: int | str) -> tuple[int, int]:
    """The process's parent, and its CPU time with that of its children that ended."""
    try:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return 0, 0
    return int(fields[1]), sum(int(field) for field in fields[11:15])


class Target:
    """The benchmark's database; tables are dropped and WAL is flushed between two loads."""

    def __init__(self, server):
        self.server = server
        self.uri = server.ensure(DATABASE, lambda connection: None)
        self.postmaster = int((FOLDER / "postgres/data/postmaster.pid").read_text().split()[0])

    def sql(self, *statements: str) -> list:
        rows = []
        with self.server.connect(DATABASE) as connection:
            for statement in statements:
                cursor = connection.execute(statement)
                rows = cursor.fetchall() if cursor.description else []
        return rows

    def server_seconds(self) -> float:
        """CPU time of the server's processes so far, once the loader's backends have ended."""
        others = ("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' "
                  "AND pid <> pg_backend_pid()")
        while self.sql(others)[0][0] > 0:
            time.sleep(0.01)
        while True:  # a process that ends meanwhile would be counted nowhere
            ended = ticks_of(self.postmaster)[1]
            ticks = ended
            for entry in os.listdir("/proc"):
                if entry.isdigit():
                    parent, used = ticks_of(entry)
                    ticks += used if parent == self.postmaster else 0
            if ticks_of(self.postmaster)[1] == ended:
                return ticks / TICKS

    def measured(self, table: str, before: list[str], words: list, **environment) -> dict:
        """One load into `table`, which is dropped first; `before` makes what it needs."""
        self.sql(f"DROP TABLE IF EXISTS {table}", *before, "CHECKPOINT")
        begin = self.server_seconds()
        figures = measure(words, None, environment, seconds_max=3600)
        figures["server_cpu_seconds"] = self.server_seconds() - begin
        figures["all_cpu_seconds"] = figures["server_cpu_seconds"] + figures["cpu_seconds"]
        return figures

    def statement(self, before: list[str], statement: str) -> dict:
        """One statement of the server alone, on what was just written."""
        self.sql(*before)
        begin_cpu, begin = self.server_seconds(), time.perf_counter()
        self.sql(statement)
        seconds = time.perf_counter() - begin
        used = self.server_seconds() - begin_cpu
        return {"seconds": seconds, "cpu_seconds": used, "peak_rss_mb": 0.0,
                "server_cpu_seconds": used, "all_cpu_seconds": used}

    def check(self, table: str, expected: str) -> None:
        found, wanted = self.sql(CHECKSUM.format(table)), self.sql(CHECKSUM.format(expected))
        if found != wanted:
            raise RuntimeError(f"{table} has {found}, its source {wanted} (rows, checksum)")

    def expected(self, name: str, select: str) -> str:
        """A table with a file's rows, loaded by DuckDB, to compare with."""
        table = f"expected_{name}"
        if not self.sql(f"SELECT 1 FROM pg_class WHERE relname = '{table}'"):
            say(f"loading {table}")
            measure(duckdb_words(self.uri, table, select))
        return table

    def expected_lineitem(self) -> str:
        """lineitem as psql's \\copy loads it."""
        table = "expected_lineitem"
        if not self.sql(f"SELECT 1 FROM pg_class WHERE relname = '{table}'"):
            say(f"loading {table}")
            with self.server.connect(DATABASE) as connection, connection.transaction():
                connection.execute(TABLE.replace("lineitem", table, 1))
                with connection.cursor().copy(f"COPY {table} FROM STDIN (FORMAT csv, HEADER)") as to:
                    with open(tpch_csv("lineitem", "1"), "rb") as file:
                        while chunk := file.read(1 << 20):
                            to.write(chunk)
        return table

    def raw_files(self) -> list[pathlib.Path]:
        """lineitem as ready-made binary COPY files."""
        paths = [FILES / f"lineitem.{number}.copy" for number in range(RAW_FILES)]
        if not all(path.exists() for path in paths):
            say("writing binary COPY files")
            table = self.expected_lineitem()
            pages = self.sql(f"SELECT pg_relation_size('{table}') / 8192 + 1")[0][0]
            step = pages // RAW_FILES + 1
            with self.server.connect(DATABASE) as connection:
                for number, path in enumerate(paths):
                    scratch = path.with_suffix(".new")
                    with open(scratch, "wb") as file, connection.cursor().copy(
                            f"COPY (SELECT * FROM {table} WHERE ctid >= '({number * step},0)' AND "
                            f"ctid < '({(number + 1) * step},0)') TO STDOUT (FORMAT binary)") as out:
                        for piece in out:
                            file.write(piece)
                    scratch.rename(path)
        return paths


def duckdb_words(uri: str, table: str, select: str) -> list:
    return [sys.executable, PEERS / "duckdb_load.py", uri, table, select]


class Loads:
    """bulkhaul's loads into one target; `program` is the program, `state` its state folder."""

    def __init__(self, target: Target, program: pathlib.Path, state: pathlib.Path):
        self.target, self.program, self.state = target, program, state

    def bulkhaul(self, path: pathlib.Path, *more, table: str = "loaded",
                 before: tuple[str, ...] = ()) -> dict:
        return self.target.measured(
            table, list(before),
            [self.program, "copy", path, self.target.uri, "--target-table", table, "--workers", 2,
             "--progress", "none", *more], XDG_STATE_HOME=str(self.state))


def make_lineitem(table: str, key: bool = False) -> str:
    statement = TABLE.replace("lineitem", table, 1)
    return statement[:-1] + ", PRIMARY KEY (l_orderkey, l_linenumber))" if key else statement


def load(target: Target, loads: Loads, scenario, rounds: int) -> dict:
    result = scenario("load", "lineitem at scale 1 into a new table, 2 connections")
    parquet, text = made("lineitem_1"), tpch_csv("lineitem", "1")
    decimals = ("--decimal-precision", CSV_DECIMALS)
    raw_files, expected = target.raw_files(), target.expected_lineitem()
    columns = {name: "DECIMAL(15,2)" for name in ("l_extendedprice", "l_discount", "l_tax")}
    read_csv = f"FROM read_csv('{text}', types = {columns})"
    make = [make_lineitem("loaded")]
    for number in range(rounds + 1):  # the first round warms caches, is checked and not kept
        runs = {
            "raw COPY": lambda: target.measured(
                "loaded", make, [RAW_LOAD, target.uri, "loaded", 2, *raw_files]),
            "bulkhaul, Parquet": lambda: loads.bulkhaul(parquet),
            "bulkhaul, unit": lambda: loads.bulkhaul(
                parquet, "--if-exists", "append", "--commit", "unit", before=tuple(make)),
            "bulkhaul, CSV": lambda: loads.bulkhaul(text, *decimals),
            "DuckDB, Parquet": lambda: target.measured("loaded", [], duckdb_words(
                target.uri, "loaded", f"FROM read_parquet('{parquet}')")),
            "DuckDB, CSV": lambda: target.measured("loaded", [], duckdb_words(
                target.uri, "loaded", read_csv)),
            "psql \\copy, CSV": lambda: target.measured("loaded", make, [
                "psql", "-X", "-q", target.uri, "-c",
                f"\\copy loaded FROM '{text}' WITH (FORMAT csv, HEADER)"]),
        }
        if 1 <= number <= 2:
            runs["ADBC, Parquet"] = lambda: target.measured("loaded", [], [
                sys.executable, PEERS / "adbc_load.py", target.uri, "loaded", parquet])
        for name, run in runs.items():
            if number == 0 and name.startswith(("DuckDB", "psql")):
                continue
            one = run()
            if number > 0:
                result.add(name, one)
            elif name != "bulkhaul, CSV":  # l_quantity is bigint there: its text differs
                target.check("loaded", expected)
            else:
                target.check(f"(SELECT {LISTED} FROM loaded)", expected)
    target.sql("DROP TABLE loaded")
    result.medians()
    for kind in ("seconds", "all_cpu_seconds"):
        for ours in ("bulkhaul, Parquet", "bulkhaul, unit"):
            result.ratio(kind, ours, "DuckDB, Parquet", 0.75)
            result.ratio(kind, ours, "raw COPY", 1.35)
        result.ratio(kind, "bulkhaul, CSV", "DuckDB, CSV", 0.75)
    result.ratio("seconds", "bulkhaul, CSV", "psql \\copy, CSV", 0.6)
    for ours in ("bulkhaul, Parquet", "bulkhaul, unit", "bulkhaul, CSV"):
        result.check(f"peak RSS in MB: {ours}", result.result["median"][ours]["peak_rss_mb"], 200)
    return result.result


LISTED = ", ".join("l_quantity::numeric(15,2)" if name == "l_quantity" else name for name in (
    "l_orderkey l_partkey l_suppkey l_linenumber l_quantity l_extendedprice l_discount l_tax "
    "l_returnflag l_linestatus l_shipdate l_commitdate l_receiptdate l_shipinstruct l_shipmode "
    "l_comment").split())
UPDATES = ", ".join(
    f"{name} = EXCLUDED.{name}" for name in (
        "l_partkey l_suppkey l_quantity l_extendedprice l_discount l_tax l_returnflag l_linestatus "
        "l_shipdate l_commitdate l_receiptdate l_shipinstruct l_shipmode l_comment").split())


def load_twice(target: Target, loads: Loads, scenario, rounds: int) -> dict:
    """Modes that write rows twice: all at once by append, or by upsert."""
    result = scenario("load_twice", "lineitem at scale 1 by append at once and by upsert, from Parquet")
    parquet, expected = made("lineitem_1"), target.expected_lineitem()
    plain, keyed = make_lineitem("loaded"), make_lineitem("loaded", key=True)
    raw_files = target.raw_files()
    inserts = {
        "INSERT SELECT": (plain, "INSERT INTO loaded SELECT * FROM beside"),
        "INSERT ON CONFLICT": (keyed, "INSERT INTO loaded SELECT * FROM beside ON CONFLICT "
                               f"(l_orderkey, l_linenumber) DO UPDATE SET {UPDATES}"),
    }
    for _ in range(min(rounds, 3)):
        for name, (table, statement) in inserts.items():
            result.add("raw COPY", target.measured(
                "loaded", [plain], [RAW_LOAD, target.uri, "loaded", 2, *raw_files]))
            result.add(name, target.statement(
                ["ALTER TABLE loaded RENAME TO beside", table], statement))
            target.sql("DROP TABLE beside")
        result.add("bulkhaul, append", loads.bulkhaul(
            parquet, "--if-exists", "append", before=(plain,)))
        result.add("bulkhaul, unlogged", loads.bulkhaul(
            parquet, "--if-exists", "append", "--unlogged", before=(plain,)))
        result.add("bulkhaul, upsert", loads.bulkhaul(
            parquet, "--if-exists", "upsert", before=(keyed,)))
    target.check("loaded", expected)
    target.sql("DROP TABLE loaded")
    result.medians()
    figures = result.result["median"]
    for ours, insert in (("bulkhaul, append", "INSERT SELECT"),
                         ("bulkhaul, upsert", "INSERT ON CONFLICT")):
        limit = figures["raw COPY"]["seconds"] + 1.2 * figures[insert]["seconds"]
        result.check(f"seconds: {ours} / (raw COPY + 1.2 {insert})",
                     figures[ours]["seconds"] / limit, 1)
    return result.result


def load_kinds(target: Target, loads: Loads, scenario, rounds: int) -> dict:
    result = scenario("load_kinds", "20 M rows of 5 columns, 1 M of 8 (CSV), 1 M of 26")
    narrow, mixed, wide = made("narrow"), made("mixed"), made("wide")
    checks = {
        "20 M x 5, Parquet": (narrow, target.expected("narrow", f"FROM read_parquet('{narrow}')")),
        "1 M x 8, CSV": (mixed, target.expected("mixed", f"FROM read_csv('{mixed}')")),
        "1 M x 26, Parquet": (wide, target.expected("wide", f"FROM read_parquet('{wide}')")),
    }
    for number in range(rounds):
        for name, (path, expected) in checks.items():
            result.add(name, loads.bulkhaul(path))
            if number == 0:
                target.check("loaded", expected)
    target.sql("DROP TABLE loaded")
    result.medians()
    median = result.result["median"]
    first = median["20 M x 5, Parquet"]
    result.check("rows/s of 20 M x 5 in thousands", NARROW_ROWS / first["seconds"] / 1000, 3 * 355,
                 at_least=True)
    result.check("peak RSS in MB of 20 M x 5", first["peak_rss_mb"], 160)
    result.check("seconds of 1 M x 8, CSV", median["1 M x 8, CSV"]["seconds"], 1.3)
    result.check("seconds of 1 M x 26, Parquet", median["1 M x 26, Parquet"]["seconds"], 3)
    return result.result


def load_memory(target: Target, loads: Loads, scenario, rounds: int) -> dict:
    result = scenario("load_memory", "peak RSS at scale 0.1 and 1, 2 workers")
    for _ in range(min(rounds, 3)):
        for scale, name in (("0.1", "lineitem_01"), ("1", "lineitem_1")):
            result.add(f"Parquet {scale}", loads.bulkhaul(made(name)))
            result.add(f"CSV {scale}", loads.bulkhaul(tpch_csv("lineitem", scale)))
    target.sql("DROP TABLE loaded")
    result.medians()
    median = result.result["median"]
    for kind in ("Parquet", "CSV"):
        small, large = (median[f"{kind} {scale}"]["peak_rss_mb"] for scale in ("0.1", "1"))
        result.check(f"peak RSS of {kind}: scale 1 / scale 0.1", large / small, 1.10)
        result.check(f"peak RSS of {kind} in MB", large, 200)
    return result.result


# Every kind of rule that is looked at row by row; `unique` is a sort, measured by itself.
CONTRACT = """columns:
  l_orderkey: {type: int64, nullable: false, min: 1}
  l_partkey: {type: int64, nullable: false, min: 1, max: 200000}
  l_suppkey: {type: int64, nullable: false, min: 1, max: 10000}
  l_linenumber: {nullable: false, min: 1, max: 7}
  l_quantity: {nullable: false, min: 1, max: 50}
  l_extendedprice: {type: 'decimal(15,2)', nullable: false, min: 0}
  l_discount: {type: 'decimal(15,2)', nullable: false, min: 0, max: 0.1}
  l_tax: {type: 'decimal(15,2)', nullable: false, min: 0, max: 0.08}
  l_returnflag: {nullable: false, allowed: [A, N, R]}
  l_linestatus: {nullable: false, allowed: [O, F]}
  l_shipdate: {type: date, nullable: false, min: 1992-01-01, max: 1998-12-31}
  l_commitdate: {type: date, nullable: false, min: 1992-01-01, max: 1998-12-31}
  l_receiptdate: {type: date, nullable: false, min: 1992-01-01, max: 1998-12-31}
  l_shipinstruct: {nullable: false, max_length: 25}
  l_shipmode: {nullable: false, pattern: '[A-Z ]+'}
  l_comment: {nullable: false, min_length: 1, max_length: 44}
rows: {min: 1}
"""


def load_contract(target: Target, loads: Loads, scenario, rounds: int) -> dict:
    """What a contract costs: the program's CPU time with one against that without."""
    result = scenario("load_contract", "lineitem at scale 1 with rules on all columns and without")
    contract = FILES / "lineitem.contract.yaml"
    contract.write_text(CONTRACT)
    sources = {"Parquet": (made("lineitem_1"), ()),
               "CSV": (tpch_csv("lineitem", "1"), ("--decimal-precision", CSV_DECIMALS))}
    for _ in range(rounds):
        for kind, (path, words) in sources.items():
            result.add(kind, loads.bulkhaul(path, *words))
            result.add(f"{kind}, contract", loads.bulkhaul(path, *words, "--contract", contract))
    target.sql("DROP TABLE loaded")
    result.medians()
    for kind in sources:
        without, checked = (result.result["median"][name]["cpu_seconds"]
                            for name in (kind, f"{kind}, contract"))
        result.check(f"share of the contract in the load's CPU seconds, {kind}",
                     1 - without / checked, 0.15)
    return result.result


def load_huge(target: Target, loads: Loads, scenario, rounds: int) -> dict:
    """Once, whatever `rounds`: the file and the table take 20 GB of disk."""
    result = scenario("load_huge", f"{HUGE_BYTES / 1e9:g} GB of CSV, --memory-limit 300MiB")
    free = os.statvfs(FOLDER)
    if free.f_bavail * free.f_frsize < 4 * HUGE_BYTES:
        raise RuntimeError(f"needs {4 * HUGE_BYTES / 1e9:g} GB of free disk")
    path = made("huge")
    copies = -(-(HUGE_BYTES - 200) // (tpch_csv("lineitem", "1").stat().st_size - 200))
    try:
        result.add("bulkhaul", loads.bulkhaul(path, "--memory-limit", "300MiB"))
        if (rows := target.sql("SELECT count(*) FROM loaded")[0][0]) != copies * LINEITEM_ROWS:
            raise RuntimeError(f"{rows} rows were loaded")
    finally:
        path.unlink()
        target.sql("DROP TABLE IF EXISTS loaded", "CHECKPOINT")
    result.medians()
    result.check("peak RSS in MB", result.result["median"]["bulkhaul"]["peak_rss_mb"],
                 300 * 1.048576)
    return result.result


SCENARIOS = {function.__name__: function
             for function in (load, load_twice, load_kinds, load_memory, load_contract, load_huge)}
