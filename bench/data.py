"""The data that bulkhaul is measured on, made once under build/bench and kept.

PostgreSQL: TPC-H lineitem and orders at scale 1 and 0.1, twelve tables of 0.5 to 5 million rows,
2,000 tables of 100 rows, 20,000 rows with 1 MB texts; each in a database of its own. SQLite: orders
at scale 1. Everything is analysed and vacuumed, so that no run pays for hint bits.
"""

from __future__ import annotations

import csv
import pathlib
import sqlite3
import subprocess
import sys

import psycopg

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
FOLDER = REPOSITORY / "build" / "bench"
VENV = pathlib.Path(sys.executable).parent

SERVER_SETTINGS = [
    "shared_buffers=1GB", "max_wal_size=8GB", "checkpoint_timeout=1h", "max_connections=60",
    "autovacuum=off", "maintenance_work_mem=256MB",
]

LINEITEM = """CREATE TABLE lineitem (
  l_orderkey bigint NOT NULL, l_partkey bigint NOT NULL, l_suppkey bigint NOT NULL,
  l_linenumber integer NOT NULL, l_quantity numeric(15,2) NOT NULL,
  l_extendedprice numeric(15,2) NOT NULL, l_discount numeric(15,2) NOT NULL,
  l_tax numeric(15,2) NOT NULL, l_returnflag char(1) NOT NULL, l_linestatus char(1) NOT NULL,
  l_shipdate date NOT NULL, l_commitdate date NOT NULL, l_receiptdate date NOT NULL,
  l_shipinstruct char(25) NOT NULL, l_shipmode char(10) NOT NULL, l_comment varchar(44) NOT NULL)"""
ORDERS = """CREATE TABLE orders (
  o_orderkey bigint NOT NULL, o_custkey bigint NOT NULL, o_orderstatus char(1) NOT NULL,
  o_totalprice numeric(15,2) NOT NULL, o_orderdate date NOT NULL,
  o_orderpriority char(15) NOT NULL, o_clerk char(15) NOT NULL, o_shippriority integer NOT NULL,
  o_comment varchar(79) NOT NULL)"""
SQLITE_ORDERS = """CREATE TABLE orders (
  o_orderkey INTEGER PRIMARY KEY, o_custkey INTEGER NOT NULL, o_orderstatus TEXT NOT NULL,
  o_totalprice REAL NOT NULL, o_orderdate TEXT NOT NULL, o_orderpriority TEXT NOT NULL,
  o_clerk TEXT NOT NULL, o_shippriority INTEGER NOT NULL, o_comment TEXT NOT NULL)"""

TWELVE_THOUSANDS_OF_ROWS = [500, 500, 700, 1000, 1000, 1500, 2000, 2000, 2500, 3000, 4000, 5000]


def say(text: str) -> None:
    print(f"bench: {text}", flush=True)


class Server:
    """The benchmark's own PostgreSQL; its data stay from run to run."""

    def __init__(self):
        FOLDER.mkdir(parents=True, exist_ok=True)
        self.uri = self._call("start", str(FOLDER / "postgres"), *SERVER_SETTINGS)

    @staticmethod
    def _call(*words: str) -> str:
        return subprocess.run(
            [str(REPOSITORY / "scripts" / "test-postgres"), *words], check=True, text=True,
            stdout=subprocess.PIPE, stdin=subprocess.DEVNULL,
        ).stdout.strip()

    def database(self, name: str) -> str:
        return self.uri.rsplit("/", 1)[0] + "/" + name

    def connect(self, name: str) -> psycopg.Connection:
        return psycopg.connect(self.database(name), autocommit=True)

    def scalar(self, database: str, sql: str):
        with self.connect(database) as connection:
            return connection.execute(sql).fetchone()[0]

    def stop(self) -> None:
        """Ends the processes and leaves the data for the next run."""
        self._call("crash", str(FOLDER / "postgres"))

    def ensure(self, name: str, make) -> str:
        """Makes database `name` with make(connection), unless it is there whole."""
        with self.connect("postgres") as connection:
            made = connection.execute(
                "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = %s",
                (name,)).fetchone()
            if made and made[0] == "whole":
                return self.database(name)
            say(f"making database {name}")
            connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
            connection.execute(f"CREATE DATABASE {name}")
            with self.connect(name) as inside:
                make(inside)
                inside.execute("VACUUM (FREEZE, ANALYZE)")
                inside.execute("CHECKPOINT")
            connection.execute(f"COMMENT ON DATABASE {name} IS 'whole'")
        return self.database(name)


def tpch_csv(table: str, scale: str) -> pathlib.Path:
    folder = FOLDER / f"tpch-{scale}"
    path = folder / f"{table}.csv"
    if not path.exists():
        say(f"generating TPC-H {table} at scale {scale}")
        folder.mkdir(parents=True, exist_ok=True)
        scratch = folder / "new"
        subprocess.run(
            [str(VENV / "tpchgen-cli"), "csv", "-s", scale, "-T", table, "-o", str(scratch),
             "--overwrite"], check=True, stdout=subprocess.DEVNULL)
        (scratch / f"{table}.csv").rename(path)
    return path


def load_csv(connection: psycopg.Connection, table: str, path: pathlib.Path) -> None:
    with connection.cursor().copy(f"COPY {table} FROM STDIN (FORMAT csv, HEADER)") as copy:
        with open(path, "rb") as file:
            while chunk := file.read(1 << 20):
                copy.write(chunk)


def make_tpch(scale: str):
    def make(connection: psycopg.Connection) -> None:
        for table, statement in (("lineitem", LINEITEM), ("orders", ORDERS)):
            connection.execute(statement)
            load_csv(connection, table, tpch_csv(table, scale))
    return make


def make_twelve(connection: psycopg.Connection) -> None:
    for number, thousands in enumerate(TWELVE_THOUSANDS_OF_ROWS, 1):
        connection.execute(
            f"CREATE TABLE events_{number:02d} AS SELECT i AS id, (i * 7919) % 100003 AS customer, "
            "now() - i * interval '1 second' AS created_at, "
            "((i * 31) % 1000000 / 100.0)::numeric(12,2) AS amount, "
            "'event ' || md5(i::text) AS note "
            f"FROM generate_series(1::bigint, {thousands * 1000}) AS i")


def make_many(connection: psycopg.Connection) -> None:
    for first in range(0, 2000, 100):
        connection.execute("".join(
            f"CREATE TABLE small_{number:04d} AS SELECT i AS id, i * 2 AS twice, "
            f"'row ' || i AS name, i % 2 = 0 AS even FROM generate_series(1, 100) AS i;"
            for number in range(first, first + 100)))


def make_wide(connection: psycopg.Connection) -> None:
    connection.execute("CREATE TABLE documents (id integer, body text)")
    connection.execute(
        "INSERT INTO documents SELECT i, repeat(md5(i::text), 32768) "
        "FROM generate_series(1, 20000) AS i")


MAKERS = {
    "tpch_1": make_tpch("1"), "tpch_01": make_tpch("0.1"), "twelve": make_twelve,
    "many": make_many, "wide": make_wide,
}


def sqlite_orders() -> pathlib.Path:
    path = FOLDER / "orders.db"
    if path.exists():
        return path
    say("making the SQLite orders")
    scratch = FOLDER / "orders.new"
    scratch.unlink(missing_ok=True)
    connection = sqlite3.connect(scratch)
    connection.execute("PRAGMA journal_mode=OFF")
    connection.execute("PRAGMA synchronous=OFF")
    connection.execute(SQLITE_ORDERS)
    with open(tpch_csv("orders", "1"), newline="") as file:
        rows = csv.reader(file)
        next(rows)
        connection.executemany("INSERT INTO orders VALUES (?,?,?,?,?,?,?,?,?)", rows)
    connection.commit()
    connection.execute("ANALYZE")
    connection.commit()
    connection.close()
    scratch.rename(path)
    return path
