"""Groups while downloading, from every source: the result is what the server's own GROUP BY says."""

from __future__ import annotations

import json
import sqlite3

import duckdb
import pyarrow.ipc
import pytest

from support import exports, faults

ROWS = 20_000
MANY = 3_000_000
ORDERS = f"""
CREATE TYPE level AS ENUM ('low', 'high');
CREATE TABLE orders (id int PRIMARY KEY, region text, grade level, total numeric(10,2),
  latency_ms float8, created_at timestamptz, paid date);
INSERT INTO orders SELECT i,
  CASE WHEN i % 11 > 0 THEN 'region ' || i % 7 END, (ARRAY['low', 'high']::level[])[1 + i % 2],
  CASE WHEN i % 13 > 0 THEN i * 0.37 END,
  CASE WHEN i % 17 = 0 THEN 'NaN'::float8 WHEN i % 5 > 0 THEN i % 1000 END,
  timestamptz '2023-11-15 00:00+00' + i * interval '37 minutes', date '2024-01-01' + i % 90
FROM generate_series(1, {ROWS}) AS i;
ANALYZE;
"""


@pytest.fixture(scope="module")
def orders(postgres):
    """URI of a database that tests only read."""
    postgres.sql("CREATE DATABASE grouped")
    postgres.sql(ORDERS, "grouped")
    yield postgres.uri_of("grouped")
    postgres.sql("DROP DATABASE grouped WITH (FORCE)")


def server_says(postgres, sql: str) -> list[list]:
    """Rows that the query makes as JSON arrays."""
    return [row[0] for row in postgres.sql(sql, "grouped")]


def groups(folder, sql: str) -> list[list]:
    return [list(row) for row in exports.query(folder, sql)]


def test_a_monthly_roll_up_equals_the_servers(bulkhaul, postgres, orders, tmp_path):
    job = tmp_path / "job.yaml"
    job.write_text(f"""
source: {orders}
destination: {tmp_path / "out"}
unit_rows: 1500
validate: true
tables:
  - pattern: public.orders
    group_by: [region, {{month: created_at}}]
    aggregates: [count, count(total), sum: total, min(created_at), max(created_at),
                 mean(latency_ms), sum(total) as revenue, max(paid)]
""".replace("sum: total,", "{sum: total},"))
    report = tmp_path / "report.json"
    done = bulkhaul("run", job, "--report", report)
    folder = tmp_path / "out" / "public_orders"
    found = groups(folder, "SELECT coalesce(region, '-'), epoch(month_created_at)::BIGINT, count, "
                           "count_total, sum_total::VARCHAR, epoch(min_created_at)::BIGINT, "
                           "epoch(max_created_at)::BIGINT, "
                           "coalesce(round(mean_latency_ms, 6)::VARCHAR, '-'), "
                           "revenue::VARCHAR, max_paid::VARCHAR FROM {rows} ORDER BY ALL")
    wanted = server_says(postgres, """SELECT json_build_array(coalesce(region, '-'),
        extract(epoch FROM date_trunc('month', created_at, 'UTC'))::bigint, count(*), count(total),
        sum(total)::text, extract(epoch FROM min(created_at))::bigint,
        extract(epoch FROM max(created_at))::bigint, NULL, sum(total)::text, max(paid)::text)
        FROM orders GROUP BY coalesce(region, '-'), date_trunc('month', created_at, 'UTC')
        ORDER BY coalesce(region, '-') COLLATE "C", date_trunc('month', created_at, 'UTC')""")
    means = [row[7] for row in found]
    assert "nan" in " ".join(means).lower()
    assert [row[:7] + [None] + row[8:] for row in found] == wanted
    assert len(found) > 100
    entry = json.loads(report.read_text())["tables"][0]
    assert entry["units"] > 5
    assert entry["rows"] == len(found)
    assert entry["rows"] + entry["rows_merged"] == ROWS
    assert "rows read" in done.out + done.err
    bulkhaul("verify", folder)
    totals = exports.metadata(folder)["totals"]
    assert totals["rows_read"] == ROWS
    assert totals["rows"] == len(found)


def test_means_of_floats_equal_the_servers(bulkhaul, postgres, orders, tmp_path):
    bulkhaul("copy", orders, tmp_path / "out", "--group-by", "grade",
             "--aggregates", "sum(latency_ms), mean(latency_ms), count(latency_ms)",
             "--where", "latency_ms <> 'NaN'", "--unit-rows", 999)
    found = groups(tmp_path / "out" / "public_orders", "SELECT * FROM {rows} ORDER BY 1")
    assert found == server_says(postgres, """SELECT json_build_array(grade::text, sum(latency_ms),
        avg(latency_ms), count(latency_ms)) FROM orders WHERE latency_ms <> 'NaN'
        GROUP BY grade ORDER BY grade::text""")


@pytest.mark.parametrize("form", ["parquet", "csv", "arrow"])
def test_every_format(bulkhaul, postgres, orders, tmp_path, form):
    bulkhaul("copy", orders, tmp_path / "out", "--format", form, "--group-by", "week(paid)",
             "--aggregates", "count,sum(id)")
    folder = tmp_path / "out" / "public_orders"
    path = exports.parts(folder, form)[0]
    if form == "arrow":
        table = pyarrow.ipc.open_file(path).read_all()
        found = [[str(row["week_paid"]), row["count"], row["sum_id"]] for row in table.to_pylist()]
    else:
        found = [list(row) for row in duckdb.sql(
            f"SELECT week_paid::VARCHAR, count, sum_id FROM '{path}' ORDER BY 1").fetchall()]
    assert found == server_says(postgres, """SELECT json_build_array(date_trunc('week', paid)::date,
        count(*), sum(id)) FROM orders GROUP BY date_trunc('week', paid)
        ORDER BY date_trunc('week', paid)""")
    bulkhaul("verify", folder)


def test_rename_and_cast_come_first_and_a_limit_is_of_rows_read(bulkhaul, orders, tmp_path):
    job = tmp_path / "job.yaml"
    job.write_text(f"""
source: {orders}
destination: {tmp_path / "out"}
limit: 1000
rename: {{region: place}}
cast: {{total: double}}
group_by: [place]
aggregates: [count, max(total)]
""")
    bulkhaul("run", job)
    folder = tmp_path / "out" / "public_orders"
    assert groups(folder, "SELECT sum(count), count(place), typeof(any_value(max_total)) "
                          "FROM {rows}") == [[1000, 7, "DOUBLE"]]


def test_a_total_of_an_empty_table_is_one_row(bulkhaul, postgres, database, tmp_path):
    postgres.sql("CREATE TABLE t (a int, b text)", database)
    uri = postgres.uri_of(database)
    bulkhaul("copy", uri, tmp_path / "total", "--aggregates", "count, sum(a), min(b)")
    assert groups(tmp_path / "total" / "public_t", "SELECT * FROM {rows}") == [[0, None, None]]
    bulkhaul("copy", uri, tmp_path / "groups", "--group-by", "b", "--aggregates", "count")
    assert groups(tmp_path / "groups" / "public_t", "SELECT * FROM {rows}") == []


def test_misspelled_and_meaningless_wishes_are_refused(bulkhaul, orders, tmp_path):
    def refused(*words) -> str:
        done = bulkhaul("copy", orders, tmp_path / "out", *words, code=None)
        assert done.code in (1, 2)  # found by the source, or by the plan
        return done.err

    assert "did you mean 'region'?" in refused("--group-by", "regoin")
    assert "did you mean 'total'?" in refused("--aggregates", "sum(totl)")
    assert "did you mean 'month'?" in refused("--group-by", "moth(created_at)")
    assert "sum has no meaning for column 'region'" in refused("--aggregates", "sum(region)")
    assert "do not go together" in refused("--group-by", "region", "--shrink")
    assert not (tmp_path / "out" / "public_orders").exists()


def test_sqlite(bulkhaul, tmp_path):
    path = tmp_path / "shop.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE sales (id INTEGER PRIMARY KEY, shop TEXT, pieces INTEGER)")
        connection.executemany("INSERT INTO sales VALUES (?, ?, ?)", [
            (i, None if i % 9 == 0 else f"shop {i % 4}", i * 3 if i % 6 else None)
            for i in range(1, 5001)])
        wanted = connection.execute(
            "SELECT shop, count(*), count(pieces), sum(pieces), min(id), max(id), avg(pieces) "
            "FROM sales GROUP BY shop ORDER BY shop NULLS LAST").fetchall()
    connection.close()
    bulkhaul("copy", path, tmp_path / "out", "--unit-rows", 700, "--group-by", "shop",
             "--aggregates", "count,count(pieces),sum(pieces),min(id),max(id),avg(pieces)")
    assert groups(tmp_path / "out" / "sales", "SELECT * FROM {rows}") == [list(r) for r in wanted]


def test_groups_that_do_not_fit_the_memory(bulkhaul, tmp_path):
    """Three million groups spilled; the report's peak is within the limit."""
    report = tmp_path / "report.json"
    limit = 128 << 20
    uri = f"generator:?rows={MANY}&columns=id:int64/serial,value:int64"
    bulkhaul("copy", uri, tmp_path / "whole", "--columns", "id")
    name = exports.table_folders(tmp_path / "whole")[0].name
    rows = groups(tmp_path / "whole" / name, "SELECT min(id), max(id), count(*) FROM {rows}")
    assert rows[0][2] == MANY
    bulkhaul("copy", uri, tmp_path / "out", "--group-by", "id", "--aggregates", "count,sum(id)",
             "--memory-limit", limit, "--report", report)
    found = json.loads(report.read_text())
    assert found["tables"][0]["rows"] == MANY
    assert groups(tmp_path / "out" / name, "SELECT min(id), max(id), count(DISTINCT id), "
                  "sum(count), bool_and(sum_id = id) FROM {rows}") == [
                      rows[0][:2] + [MANY, MANY, True]]
    assert found["memory"]["peak_rss_bytes"] <= limit


@pytest.mark.parametrize("point", ["ledger.unit_done#3", "part.synced#20", "committer.begin",
                                   "publish.parts_linked"])
def test_killed_and_resumed(bulkhaul, postgres, orders, tmp_path, point):
    words = ("copy", orders, tmp_path / "out", "--job-id", "job", "--unit-rows", 1000,
             "--keep-snapshot", "1m", "--group-by", "region,day(created_at)",
             "--aggregates", "count,sum(total)")
    killed = bulkhaul(*words, env={"BULKHAUL_CRASH_AT": point}, code=None)
    assert killed.code == faults.SIGKILLED
    assert exports.table_folders(tmp_path / "out") == []
    bulkhaul("resume", "job")
    folder = tmp_path / "out" / "public_orders"
    assert groups(folder, "SELECT count(*), sum(count), sum(sum_total)::VARCHAR FROM {rows}") == \
        server_says(postgres, """SELECT json_build_array(count(*), sum(c), sum(t)::text) FROM (
            SELECT count(*) AS c, sum(total) AS t FROM orders
            GROUP BY region, date_trunc('day', created_at, 'UTC')) AS g""")
    bulkhaul("verify", folder)
