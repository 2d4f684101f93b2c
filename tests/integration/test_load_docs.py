"""What README and the pages about files, loads, contracts and queries show, run as it is written: only
hosts and absolute paths are replaced."""

from __future__ import annotations

import datetime
import gzip
import os
import pathlib
import re
import sqlite3
import subprocess

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from support import exports

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent.parent
ROWS = 500
NOW = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)


def block(page: str, behind: str = "") -> str:
    """The first block of code behind that text of the page."""
    text = (REPOSITORY / page).read_text()
    assert behind in text, f"{page} does not say '{behind}' any more"
    behind_it = text[text.index(behind):]
    return re.search(r"```\w*\n(.*?)```", behind_it, re.DOTALL)[1]


def write(path: pathlib.Path, columns: dict) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pa.table(columns)
    if path.suffix == ".parquet":
        pq.write_table(table, path)
        return
    pa.csv.write_csv(table, path.with_suffix("") if path.suffix == ".gz" else path)
    if path.suffix == ".gz":
        plain = path.with_suffix("")
        path.write_bytes(gzip.compress(plain.read_bytes()))
        plain.unlink()


class Shell:
    """A folder of its own and a database, in which the pages' commands run."""

    def __init__(self, bulkhaul, postgres, database: str, folder: pathlib.Path):
        self.postgres, self.database, self.folder = postgres, database, folder
        self.uri = postgres.uri_of(database)
        self.shop = postgres.uri_of(f"{database}_shop")
        programs = folder.parent / "bin"
        programs.mkdir()
        (programs / "bulkhaul").symlink_to(bulkhaul.binary)
        self.environment = {**bulkhaul.environment, "PATH": f"{programs}:{os.environ['PATH']}"}

    def here(self, text: str) -> str:
        """With this test's servers."""
        conninfo = f"host=127.0.0.1 port={self.postgres.port} dbname={self.database} user=postgres"
        text = text.replace("host=db.example.com dbname=warehouse user=loader", conninfo)
        text = re.sub(r"postgres://[^\s;/]*/shop", self.shop, text)
        text = re.sub(r"postgres://[^\s;/]*/warehouse", self.uri, text)
        assert "example.com" not in text and "…/" not in text, text
        return text

    def run(self, text: str, code: int = 0) -> str:
        """What the commands print."""
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", self.here(text)], cwd=self.folder, text=True,
            env=self.environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=300)
        assert done.returncode == code, f"{text}\n{done.stdout}\n{done.stderr}"
        return done.stdout + done.stderr

    def job(self, text: str, verb: str = "run") -> str:
        (self.folder / "job.yaml").write_text(self.here(text))
        return self.run(f"bulkhaul {verb} job.yaml")

    def sql(self, text: str) -> list[tuple]:
        return self.postgres.sql(text, self.database)

    def count(self, table: str) -> int:
        return self.sql(f"SELECT count(*) FROM {table}")[0][0]


@pytest.fixture
def shell(bulkhaul, postgres, database, tmp_path):
    folder = tmp_path / "here"
    folder.mkdir()
    postgres.sql(f'CREATE DATABASE "{database}_shop"')
    postgres.sql("""
        CREATE SCHEMA sales; CREATE SCHEMA audit; CREATE SCHEMA hr;
        CREATE TABLE customers (id bigint PRIMARY KEY);
        CREATE TABLE sales.orders (id bigint PRIMARY KEY, total numeric(12,2));
        INSERT INTO sales.orders SELECT g, g FROM generate_series(1, 200) g;
        CREATE TABLE audit.log (id bigint);
        CREATE TABLE public.orders (id bigint, employee_id bigint, total numeric(12,2));
        INSERT INTO public.orders SELECT g, g % 3, 1.5 FROM generate_series(1, 30) g;
        CREATE TABLE employees (id bigint, name text, team_id int);
        INSERT INTO employees SELECT g, 'name ' || g, g % 2 FROM generate_series(0, 2) g;
        CREATE TABLE hr.teams (team_id int, team text);
        INSERT INTO hr.teams VALUES (0, 'north'), (1, 'south')""", f"{database}_shop")
    yield Shell(bulkhaul, postgres, database, folder)
    postgres.sql(f'DROP DATABASE "{database}_shop" WITH (FORCE)')


@pytest.fixture
def files(shell) -> pathlib.Path:
    """The files that the pages name."""
    folder = shell.folder
    for part in range(2):
        ids = range(part * ROWS, part * ROWS + ROWS)
        write(folder / f"data/{part}.parquet", {"id": ids, "name": [f"name {i}" for i in ids]})
    write(folder / "sales.csv.gz", {"id": range(ROWS), "total": [i / 4 for i in range(ROWS)]})
    with sqlite3.connect(folder / "shop.db") as connection:
        connection.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY, note TEXT)")
        connection.executemany("INSERT INTO orders VALUES (?, 'x')", [(i,) for i in range(ROWS)])
    return folder


def test_the_page_of_loads(shell, files):
    *into_new, shop = block("docs/sink-postgres.md").splitlines()
    shell.run("\n".join(into_new))
    assert [shell.count(name) for name in ("events", "sales", "orders")] == [2 * ROWS, ROWS, ROWS]
    shell.sql("DROP TABLE orders")  # the shop has another one
    shell.run(shop)
    assert [shell.count(name) for name in ("orders", "employees", "customers")] == [30, 3, 0]


def test_tables_that_refer_to_one_another(shell):
    shell.sql("""
        CREATE TABLE customers (id bigint PRIMARY KEY);
        CREATE TABLE orders (id bigint PRIMARY KEY, customer bigint REFERENCES customers);
        CREATE TABLE order_lines (id bigint PRIMARY KEY, "order" bigint REFERENCES orders);
        CREATE TABLE order_notes (id bigint PRIMARY KEY)""")
    ids = range(ROWS)
    for name, columns in {"customers": {"id": ids}, "orders": {"id": ids, "customer": ids},
                          "order_lines": {"id": ids, "order": ids},
                          "order_notes": {"id": ids}}.items():
        write(shell.folder / f"data/{name}.csv", columns)
    yaml = block("docs/sink-postgres.md", "they may be listed in any order")
    shell.job(yaml)
    assert [shell.count(name) for name in ("customers", "orders", "order_lines", "order_notes")] == [
        ROWS] * 4


def test_a_new_partition(shell):
    shell.sql("CREATE TABLE events (at date, id bigint) PARTITION BY RANGE (at)")
    write(shell.folder / "day.csv", {"at": ["2024-03-01"] * ROWS, "id": range(ROWS)})
    yaml = block("docs/sink-postgres.md", "as a partition of their own")
    shell.job(f"source: ./day.csv\ndestination: postgres://h/warehouse\n{yaml}")
    assert shell.count("events_2024_03_01") == shell.count("events") == ROWS


def test_the_page_of_files(shell, files):
    write(files / "in/deep/a.csv.gz", {"country": ["DE", "DE", "FR"], "amount": [100, 99, 500]})
    printed = shell.run(block("docs/source-files.md"))
    assert re.search(r"\bdata\b.*\b1,?000\b", printed), printed
    out = shell.folder / "out"
    assert [folder.name for folder in exports.table_folders(out)] == ["data", "in"]
    assert exports.read(out / "in").to_pylist() == [{"country": "DE", "amount": 100}]


def test_several_tables_of_a_folder(shell):
    write(shell.folder / "data/orders.csv", {"id": range(3)})
    write(shell.folder / "data/customers/a.csv", {"id": range(2)})
    write(shell.folder / "data/customers/b.csv", {"id": range(2, 4)})
    shell.job(block("docs/source-files.md", "name without its ending"))
    assert {folder.name: exports.read(folder).num_rows
            for folder in exports.table_folders(shell.folder / "out")} == {"orders": 3, "customers": 4}


@pytest.mark.parametrize("page,text", [
    ("docs/source-files.md", "never a NULL:"), ("docs/source-files.md", "is never rounded")])
def test_the_errors_that_the_page_shows(shell, page, text):
    (shell.folder / "sales.csv").write_text("id\n" + "1\n" * 1899 + "1.5\n")
    (shell.folder / "events.jsonl").write_text('{"id": 1.5}\n' * 6 + '{"id": 9007199254740993}\n')
    shown = block(page, text).strip().removesuffix("…").strip()
    printed = shell.run(f"bulkhaul copy {shown.split(':')[0]} ./out --sample-rows 5", code=1)
    assert shown in printed


def write_orders(path: pathlib.Path, **more) -> None:
    write(path, {"id": range(ROWS), "amount": [f"{i}.50" for i in range(ROWS)],
                 "email": [f"a{i}@b.example" for i in range(ROWS)], "status": ["paid"] * ROWS,
                 "updated_at": [NOW.isoformat()] * ROWS, "note": ["x"] * ROWS, **more})


def test_the_page_of_contracts(shell):
    write_orders(shell.folder / "orders.csv")
    commands = block("docs/contracts.md").replace("./orders.csv postgres:",
                                                  "./orders.csv --target-table loaded postgres:")
    printed = shell.run(commands)
    assert "CREATE" not in printed
    # The contract that the page shows takes the same rows.
    (shell.folder / "orders.contract.yaml").write_text(block("docs/contracts.md", "## The file"))
    for line in commands.splitlines():
        if "contract init" not in line:
            shell.run(line.replace("loaded", "loaded_again"))
    assert shell.postgres.sql("SELECT count(*) FROM loaded_again", f"{shell.database}_shop") == [
        (ROWS,)]


def test_the_line_about_drift(shell):
    write_orders(shell.folder / "orders.csv", new=range(ROWS))
    (shell.folder / "c.yaml").write_text(block("docs/contracts.md", "## The file"))
    shell.sql("CREATE TABLE orders (id bigint, amount numeric(15,2), email text, status text, "
              "updated_at timestamptz, note text)")
    shell.job("source: ./orders.csv\ndestination: postgres://h/warehouse\nif_exists: append\n"
              "contract: c.yaml\n" + block("docs/contracts.md", "what each kind of change does"))
    assert shell.sql("SELECT count(new), max(new) FROM orders") == [(ROWS, ROWS - 1)]


def test_the_page_of_queries(shell):
    import duckdb_extension_postgres_scanner

    shell.environment["BULKHAUL_LIBDUCKDB"] = str(
        REPOSITORY / "build" / "deps" / "npm" / "duckdb" / "libduckdb.so")
    shell.environment["BULKHAUL_DUCKDB_EXTENSIONS"] = str(
        pathlib.Path(duckdb_extension_postgres_scanner.__file__).parent)
    shell.run("bulkhaul copy postgres://h/shop ./exports --table public.orders")
    printed = shell.run(block("docs/query.md"))
    assert "north" in printed and "south" in printed
    shell.job(block("docs/query.md", "## As a job's source"))
    assert exports.read(exports.table_folders(shell.folder / "joined")[0]).num_rows == 30


def test_the_page_of_memory(shell, files):
    write(files / "data/orders.parquet", {"id": range(ROWS)})
    command, _, shown = block("docs/memory.md", "reads ahead as far as").splitlines()

    def without_sizes(text: str) -> str:
        return re.sub(r"[\d.]+( [KMG]iB)?", "#", text)

    assert without_sizes(shown) in without_sizes(shell.run(command.removeprefix("$ ")))


def test_the_readme(shell, files):
    shell.sql("CREATE SCHEMA sales")
    example = shell.folder / "examples" / "nightly-load.yaml"
    example.parent.mkdir()
    example.write_text(nightly_load(shell))
    shell.run(block("README.md", "## Loading into PostgreSQL"))
    assert [shell.count(name) for name in ("events", "sales", "sales.orders")] == [
        2 * ROWS, ROWS, ROWS]
    write(files / "data/b.csv.gz", {"id": range(ROWS)})
    (files / "job.yaml").write_text("source: ./data/b.csv.gz\ndestination: ./out\n")
    text = block("README.md", "## Use it").replace("\\\n", " ")
    for line in text.splitlines():
        if "JOB" in line or "bulkhaul query" in line:
            continue
        shell.run(line)
        if "./exports" in line:  # the next one exports there again
            shell.run("rm -r exports")
    assert "id:" in (files / "contract.yaml").read_text()


def nightly_load(shell) -> str:
    """The example with files of this test."""
    write(shell.folder / "sales/orders/1.csv.gz", {
        "order_id": range(ROWS), "total": [f"{i}.25" for i in range(ROWS)]})
    secret = shell.folder / "database_url"
    secret.write_text(shell.uri + "\n")
    text = (REPOSITORY / "examples" / "nightly-load.yaml").read_text()
    for there, here in (("/srv/incoming/sales", shell.folder / "sales"),
                        ("/run/secrets/database_url", secret), ("/var/log/bulkhaul", shell.folder)):
        assert there in text
        text = text.replace(there, str(here))
    return text


def test_the_nightly_load_twice(shell):
    shell.sql("CREATE SCHEMA sales")
    job = nightly_load(shell)
    shell.job(job, "plan")
    shell.job(job)
    found = shell.sql("SELECT order_id, total FROM sales.orders ORDER BY 1")
    assert len(found) == ROWS and str(found[1][1]) == "1.25"
    shell.job(job)
    assert shell.sql("SELECT order_id, total FROM sales.orders ORDER BY 1") == found
