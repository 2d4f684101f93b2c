"""`bulkhaul query` and the duckdb: source, over a real server, a SQLite file and real exports."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import pathlib
import signal
import sqlite3
import subprocess

import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet
import pytest

from tests.conftest import REPOSITORY

ROWS = 5000


@pytest.fixture
def query(bulkhaul):
    """Runs `bulkhaul query` with the pinned DuckDB and its extensions."""
    import duckdb_extension_postgres_scanner

    # The folder above both extensions' packages would take long to search.
    packages = pathlib.Path(duckdb_extension_postgres_scanner.__file__).parent
    bulkhaul.environment["BULKHAUL_LIBDUCKDB"] = str(
        REPOSITORY / "build" / "deps" / "npm" / "duckdb" / "libduckdb.so")
    bulkhaul.environment["BULKHAUL_DUCKDB_EXTENSIONS"] = str(packages)

    def run(*words, **options):
        return bulkhaul("query", *words, **options)

    return run


@pytest.fixture
def shop(postgres, database, bulkhaul, tmp_path):
    """Orders in PostgreSQL, exported; employees that are only in PostgreSQL."""
    postgres.sql(
        f"""CREATE SCHEMA hr;
            CREATE TABLE orders (id bigint PRIMARY KEY, employee_id int, total numeric(12,2),
                                 note text, at timestamptz);
            INSERT INTO orders SELECT g, g % 7, g * 1.25, nullif('note ' || g % 10, 'note 3'),
                   '2024-01-01 00:00:00+00'::timestamptz + g * interval '1 hour'
              FROM generate_series(1, {ROWS}) g;
            CREATE TABLE employees (id int PRIMARY KEY, name text, team_id int);
            INSERT INTO employees SELECT g, 'employee ' || g, g % 2 FROM generate_series(0, 6) g;
            CREATE TABLE hr.teams (team_id int, team text);
            INSERT INTO hr.teams VALUES (0, 'north'), (1, 'it''s, "south"')""",
        database)
    uri = postgres.uri_of(database)
    bulkhaul("copy", uri, tmp_path / "exports", "--table", "public.orders")
    return uri, tmp_path / "exports"


def test_joins_the_server_with_an_export(query, shop, postgres, database):
    uri, exports = shop
    sql = """SELECT team, count(*) AS orders, sum(total) AS total
               FROM {pg}employees e JOIN {hr}teams USING (team_id)
               JOIN {exports}orders o ON o.employee_id = e.id
              GROUP BY team ORDER BY team"""
    got = query(sql.format(pg="pg_main.", hr="pg_main.hr.", exports="exports.public_"),
                "--attach", uri, "--attach", exports, "--format", "csv")
    rows = list(csv.reader(io.StringIO(got.out)))
    assert rows[0] == ["team", "orders", "total"]
    expected = postgres.sql(sql.format(pg="", hr="hr.", exports=""), database)
    assert [(team, int(orders), total) for team, orders, total in rows[1:]] == [
        (team, orders, str(total)) for team, orders, total in expected]


def test_a_job_file_names_what_is_attached(query, shop, tmp_path):
    uri, exports = shop
    job = tmp_path / "job.yaml"
    job.write_text(f"source: {uri}\ndestination: {exports}\n")
    got = query("SELECT count(*) AS n FROM exports.public_orders o JOIN pg_main.orders p USING (id)"
                " WHERE o.total = p.total", "--job", job, "--format", "json")
    assert json.loads(got.out) == {"n": ROWS}


def test_a_job_file_that_writes_one_file(query, shop, bulkhaul, tmp_path):
    uri, _ = shop
    job = tmp_path / "job.yaml"
    job.write_text(f"source: {uri}\ndestination: {tmp_path}/all.csv.gz\ntables: [public.orders]\n")
    bulkhaul("run", job)
    got = query("SELECT count(*) AS n FROM files.all", "--job", job, "--format", "json")
    assert json.loads(got.out) == {"n": ROWS}


def attached(query, tmp_path, source, destination, sql, *words) -> tuple[dict, str]:
    job = tmp_path / "job.yaml"
    job.write_text(f"source: {json.dumps(str(source))}\ndestination: {destination}\n")
    got = query(sql, "--job", job, "--format", "json", *words)
    return json.loads(got.out), got.err


def test_a_job_between_two_databases(query, shop, postgres, database, tmp_path):
    uri, _ = shop
    postgres.sql(f"CREATE DATABASE {database}_copy")
    postgres.sql("CREATE TABLE copied AS SELECT 1 AS id", f"{database}_copy")
    other = postgres.uri_of(f"{database}_copy")
    row, said = attached(query, tmp_path, uri, other,
                         "SELECT o.total FROM pg_main.orders o JOIN pg_destination.copied USING (id)")
    assert row == {"total": 1.25} and "pg_destination" in said
    row, said = attached(query, tmp_path, uri, other, "SELECT count(*) AS n FROM pg_source.orders "
                         "JOIN pg_destination.copied USING (id) JOIN pg_main.copied USING (id)",
                         "--attach", other)
    assert row == {"n": 1}
    postgres.sql(f"DROP DATABASE {database}_copy")


def test_a_job_from_files_into_a_database(query, shop, tmp_path):
    uri, _ = shop
    (tmp_path / "in" / "day=2").mkdir(parents=True)
    pa.parquet.write_table(pa.table({"id": [1, 2], "x": ["a", "b"]}), tmp_path / "in" / "p.parquet")
    with gzip.open(tmp_path / "in" / "day=2" / "c.csv.gz", "wt") as out:
        out.write("id,y\n3,it's\n")
    (tmp_path / "in" / "j.jsonl").write_text('{"id":4}\n')
    with pa.ipc.new_file(tmp_path / "in" / "a.arrow", pa.schema([("id", pa.int64())])):
        pass
    for path, sql, expected in (
            ("*.parquet", "SELECT sum(total) AS n FROM files.in JOIN pg_main.orders USING (id)",
             {"n": 3.75}),
            ("day=2/*.gz", "SELECT y, day FROM files.in JOIN pg_main.orders USING (id)",
             {"y": "it's", "day": 2}),
            ("j.jsonl", "SELECT total FROM files.j JOIN pg_main.orders USING (id)", {"total": 5.0})):
        row, said = attached(query, tmp_path, tmp_path / "in" / path, uri, sql)
        assert row == expected and said.count("note:") == 0, said
    row, said = attached(query, tmp_path, tmp_path / "in" / "a.arrow", uri, "SELECT 1 AS n")
    assert row == {"n": 1} and "there is no files.a: DuckDB does not read the format arrow" in said


@pytest.mark.parametrize("source, why", [
    ("opensearch://u:geheim@127.0.0.1:1/logs-*", "DuckDB does not read such a source"),
    ("generator:preset=orders", "DuckDB does not read such a source"),
    ("postgres://u:geheim@127.0.0.1:1/db", "pg_main is not attached"),
    ("/nowhere/*.csv", "no file matches"),
    ("duckdb:pg=postgres://u:geheim@127.0.0.1:1/db", "pg is not attached")])
def test_what_of_a_job_cannot_be_attached_is_a_note(query, shop, tmp_path, source, why):
    _, exports = shop
    row, said = attached(query, tmp_path, source, exports,
                         "SELECT count(*) AS n FROM exports.public_orders")
    assert row == {"n": ROWS} and f"note: " in said and why in said and "geheim" not in said
    row, said = attached(query, tmp_path, source, tmp_path / "not yet", "SELECT 1 AS n")
    assert row == {"n": 1} and "exports is not attached" in said


def test_json_has_no_bare_nan(query):
    sql = """SELECT 'nan'::DOUBLE AS a, ['-inf'::DOUBLE, 'inf'::DOUBLE, 1.5] AS b,
                    'NaN "Infinity\\' AS c, {'NaN': 1} AS d"""

    def refuse(word):
        raise AssertionError(f"{word} is no JSON")

    assert json.loads(query(sql, "--format", "json").out, parse_constant=refuse) == {
        "a": "NaN", "b": ["-Infinity", "Infinity", 1.5], "c": 'NaN "Infinity\\', "d": {"NaN": 1}}


def test_every_format_holds_the_same_rows(query, shop, tmp_path):
    _, exports = shop
    sql = "SELECT id, total, note FROM exports.public_orders ORDER BY id;"
    words = (sql, "--attach", exports)
    query(*words, "--file", tmp_path / "rows.parquet")
    parquet = pa.parquet.read_table(tmp_path / "rows.parquet")
    assert parquet.num_rows == ROWS
    assert parquet.schema.field("total").type == pa.decimal128(12, 2)
    query(*words, "--file", tmp_path / "rows.arrow")
    with pa.ipc.open_file(tmp_path / "rows.arrow") as arrow:
        assert arrow.read_all().to_pydict() == parquet.to_pydict()
    lines = query(*words, "--format", "json").out.splitlines()
    assert [json.loads(line)["note"] for line in lines] == parquet["note"].to_pylist()
    query(*words, "--file", tmp_path / "rows.csv")
    rows = list(csv.DictReader((tmp_path / "rows.csv").open()))
    assert [row["total"] for row in rows] == [str(total) for total in parquet["total"].to_pylist()]
    assert sorted(path.name for path in tmp_path.glob("rows.*")) == [
        "rows.arrow", "rows.csv", "rows.parquet"]


@pytest.mark.parametrize("words", [
    [], ["--compression", "gzip", "--no-csv-header"], ["--compression", "zstd", "--csv-quote", "all"],
    ["--csv-null", "\\N", "--csv-delimiter", "tab"], ["--csv-null", "NULL", "--csv-quote", "strings"]],
    ids=["plain", "gzip", "zstd", "null", "quoted"])
def test_a_csv_export_has_the_values_that_went_in(query, bulkhaul, postgres, database, tmp_path, words):
    """In the names and types of the same table's Parquet export, where DuckDB has such a type."""
    postgres.sql("""CREATE TABLE s2 (id int PRIMARY KEY, zip text, n numeric(24,4), e text,
        big numeric(30,0), wide numeric(60,20), t text, b boolean, x double precision, r real, c bytea,
        d date, h time, s timestamp, z timestamptz, u uuid, a int[], "Odd ""n'ame" int, "ID" int);
        INSERT INTO s2 VALUES
        (1, '01234', 12345678901234567890.1234, '', 123456789012345678901234567890, 1.5, '\\N', true,
         0.1, 'NaN', '\\x00ff5c', '0044-03-15 BC', '23:59:59.999999', '12024-02-29 01:02:03',
         '2024-02-29 12:00:00.5+05:30', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '{1,NULL}', 5, 6),
        (2, 'NULL', -1, E'a,\\t"b"\n', 0, 0, 'null', false, '-inf', 1e30, '', '9999-12-31', '00:00',
         '1969-12-31 23:59:59.999999', 'epoch', NULL, '{}', 0, 0);
        INSERT INTO s2 (id) VALUES (3)""", database)
    copy = ["copy", postgres.uri_of(database), "--table", "s2"]
    bulkhaul(*copy, "--format", "csv", *words, tmp_path / "csv")
    bulkhaul(*copy, tmp_path / "parquet")

    def told(name):
        folders = [word for n in ("csv", "parquet") for word in ("--attach", f"{n}={tmp_path / n}")]
        return {kind: query(f"{kind} FROM {name}.public_s2{order}", *folders, "--format", "json").out
                for kind, order in (("SELECT *", " ORDER BY id"), ("DESCRIBE SELECT *", ""))}

    def rows(out):
        return [json.loads(line) for line in out.splitlines()]

    csv_rows, parquet_rows = (told(name) for name in ("csv", "parquet"))
    types, wanted = ({row["column_name"]: row["column_type"] for row in rows(one["DESCRIBE SELECT *"])}
                     for one in (csv_rows, parquet_rows))
    assert list(types) == list(wanted)
    assert {name for name in types if types[name] != wanted[name]} == {"a"}
    for got, expected in zip(rows(csv_rows["SELECT *"]), rows(parquet_rows["SELECT *"]), strict=True):
        assert {**got, "a": got["a"] and json.loads(got["a"])} == expected


def test_a_table_shows_the_first_rows_and_counts_all(query, shop):
    _, exports = shop
    got = query("FROM exports.public_orders ORDER BY id", "--attach", exports, "--rows-shown", 3)
    lines = got.out.splitlines()
    assert len(lines) == 4 and lines[0].split() == ["id", "employee_id", "total", "note", "at"]
    assert lines[3].split()[:4] == ["3", "3", "3.75", "NULL"]
    assert "5,000 rows, the first 3 shown" in got.err
    assert "-1 not in range 1 to 1000000000" in query("SELECT 1", "--rows-shown=-1", code=2).err


def test_explain_reads_nothing(query, shop):
    _, exports = shop
    got = query("SELECT sum(total) FROM exports.public_orders", "--attach", exports, "--explain")
    assert "READ_PARQUET" in got.out


def test_databases_are_attached_read_only(query, shop, postgres, database, tmp_path):
    uri, _ = shop
    assert "read-only" in query("DELETE FROM pg_main.orders", "--attach", uri, code=2).err
    assert postgres.sql("SELECT count(*) FROM orders", database) == [(ROWS,)]


def test_sqlite(query, tmp_path, bulkhaul):
    import duckdb_extension_sqlite_scanner

    bulkhaul.environment["BULKHAUL_DUCKDB_EXTENSIONS"] = str(
        pathlib.Path(duckdb_extension_sqlite_scanner.__file__).parent)
    with sqlite3.connect(tmp_path / "it's.db") as connection:
        connection.execute("CREATE TABLE t (a INTEGER, b TEXT)")
        connection.execute("INSERT INTO t VALUES (1, 'x'), (2, NULL)")
    got = query("SELECT * FROM sqlite_main.t ORDER BY a", "--attach", tmp_path / "it's.db",
                "--format", "csv")
    assert got.out == "a,b\n1,x\n2,\n"


def test_a_file_is_not_replaced_unasked(query, tmp_path):
    target = tmp_path / "one.csv"
    target.write_text("mine")
    assert "exists" in query("SELECT 1 AS a", "--file", target, code=2).err
    assert target.read_text() == "mine"
    query("SELECT 1 AS a", "--file", target, "--overwrite")
    assert target.read_text() == "a\n1\n"
    assert query("SELECT 1/a FROM (SELECT 'x'::INT AS a)", "--file", tmp_path / "two.csv",
                 code=2).err
    assert [path.name for path in tmp_path.glob("*.*")] == ["one.csv"]


def test_errors_name_the_cause_and_no_password(query, tmp_path):
    got = query("SELECT 1", "--attach", "postgres://u:geheim@127.0.0.1:1/db", code=None)
    assert got.code == 1 and "geheim" not in got.err and "127.0.0.1" in got.err
    assert '"y" not found' in query("SELECT y FROM (SELECT 1 AS x)", code=2).err
    assert "holds no export" in query("SELECT 1", "--attach", tmp_path, code=2).err
    assert "'a'" in query("SELECT '101'::BIT AS a", code=2).err
    assert "npm pack" in query("SELECT 1", env={"BULKHAUL_LIBDUCKDB": "/nowhere/lib.so"},
                               code=2).err


ENDLESS = "SELECT sum(a.range * b.range % 7) FROM range(1000000) a, range(1000000) b"  # hours


def test_interrupt_ends_a_long_query(query, bulkhaul):
    process = bulkhaul.start("query", ENDLESS)
    # It has more threads than ours once DuckDB works.
    tasks = pathlib.Path(f"/proc/{process.pid}/task")
    while process.poll() is None and len(os.listdir(tasks)) < 3:
        pass
    process.send_signal(signal.SIGINT)
    assert bulkhaul.finish(process).code == 130


# Ctrl-C at the worst moment: between the preparation of a query and its begin.
INTERRUPTED_BETWEEN = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <signal.h>
#include <unistd.h>
static volatile int interrupted;
static void *real(const char *name) { return dlsym(dlopen(REAL, RTLD_NOW | RTLD_NOLOAD), name); }
void duckdb_interrupt(void *connection) {
  ((void (*)(void *))real("duckdb_interrupt"))(connection);
  interrupted = 1;
}
static void interrupt_first(void) {
  static int done;
  if (!done++) kill(getpid(), SIGINT);
  while (!interrupted) usleep(1000);
}
int duckdb_execute_prepared_streaming(void *prepared, void *result) {
  interrupt_first();
  return ((int (*)(void *, void *))real("duckdb_execute_prepared_streaming"))(prepared, result);
}
int duckdb_pending_prepared_streaming(void *prepared, void *pending) {
  interrupt_first();
  return ((int (*)(void *, void *))real("duckdb_pending_prepared_streaming"))(prepared, pending);
}
"""


def test_an_interrupt_before_the_query_begins_is_not_forgotten(query, bulkhaul, tmp_path):
    real = bulkhaul.environment["BULKHAUL_LIBDUCKDB"]
    library = tmp_path / "between.so"
    subprocess.run(["gcc", "-shared", "-fPIC", f'-DREAL="{real}"', "-o", library, "-x", "c", "-",
                    "-x", "none", "-Wl,--no-as-needed", f"-Wl,-rpath,{os.path.dirname(real)}",
                    real], input=INTERRUPTED_BETWEEN,
                   text=True, check=True)
    bulkhaul.environment["BULKHAUL_LIBDUCKDB"] = str(library)
    query(ENDLESS, code=130)


def test_a_query_is_a_job_source(bulkhaul, query, shop, tmp_path):
    uri, exports = shop
    bulkhaul("copy", f"duckdb:pg={uri};exports={exports}", tmp_path / "out", "--query-name", "big",
             "--query", "SELECT o.*, e.name FROM exports.public_orders o "
                        "JOIN pg.employees e ON e.id = o.employee_id WHERE o.id > 1000")
    table = pa.parquet.read_table(tmp_path / "out" / "big" / "part_0001.parquet")
    assert sorted(table["id"].to_pylist()) == list(range(1001, ROWS + 1))
    assert table.schema.field("total").type == pa.decimal128(12, 2)
    bulkhaul("verify", tmp_path / "out")
    got = bulkhaul("copy", f"duckdb:exports={exports}", tmp_path / "no", "--table", "orders", code=2)
    assert "--query" in got.err
