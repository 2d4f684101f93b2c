"""Whole jobs: every source into every format, job files, layouts, conflicts, transforms, and what
they leave behind."""

from __future__ import annotations

import csv
import gzip
import json
import pathlib
import sqlite3

import jsonschema
import pytest

from support import exports

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
ROWS = 5000
SHOP = f"""
CREATE SCHEMA archive;
CREATE TABLE orders (id int PRIMARY KEY, customer int, total numeric(10,2), note text,
  at timestamptz);
INSERT INTO orders SELECT i, i % 97, i * 1.25, CASE WHEN i % 5 > 0 THEN 'note, "' || i || '"' END,
  timestamptz '2024-01-01 00:00+00' + i * interval '1 minute' FROM generate_series(1, {ROWS}) AS i;
CREATE TABLE customers AS SELECT i AS id, 'name ' || i AS name FROM generate_series(1, 97) AS i;
CREATE TABLE tmp_scratch AS SELECT 1 AS x;
CREATE TABLE archive.orders AS SELECT * FROM orders WHERE id <= 100;
ANALYZE;
"""


@pytest.fixture(scope="module")
def shop(postgres):
    """URI of a database that tests only read."""
    postgres.sql("CREATE DATABASE shop")
    postgres.sql(SHOP, "shop")
    yield postgres.uri_of("shop")
    postgres.sql("DROP DATABASE shop WITH (FORCE)")


@pytest.fixture(scope="module")
def sqlite_shop(tmp_path_factory):
    path = tmp_path_factory.mktemp("sqlite") / "shop.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY, customer INTEGER, "
                           "total REAL, note TEXT)")
        connection.executemany(
            "INSERT INTO orders VALUES (?, ?, ?, ?)",
            [(i, i % 97, i / 4, f'note, "{i}"' if i % 5 else None) for i in range(1, ROWS + 1)])
    connection.close()
    return path


def read_csv(folder) -> list[dict]:
    rows = []
    for part in sorted(folder.iterdir()):
        if ".csv" not in part.name:
            continue
        opened = gzip.open(part, "rt", newline="") if part.suffix == ".gz" else open(
            part, newline="", encoding="utf-8")
        with opened as file:
            rows += list(csv.DictReader(file))
    return rows


@pytest.mark.parametrize("sink", ["parquet", "csv", "arrow"])
@pytest.mark.parametrize("source", ["postgres", "sqlite", "generator"])
def test_every_source_into_every_format(bulkhaul, shop, sqlite_shop, tmp_path, source, sink):
    uri = {"postgres": shop, "sqlite": sqlite_shop,
           "generator": f"generator:rows={ROWS}&name=orders&columns=id:int64/serial,"
                        "note:string/null=0.2,total:decimal(10;2)".replace(";", ",")}[source]
    destination = tmp_path / "out"
    table = "public.orders" if source == "postgres" else "orders"
    plan = bulkhaul("plan", uri, destination, "--table", table, "--format", sink, "--unit-rows",
                    "1000", "--output", "json").json
    assert plan["units"] >= 4 and not destination.exists()
    bulkhaul("copy", uri, destination, "--table", table, "--format", sink, "--unit-rows", "1000",
             "--workers", "2", "--job-id", "job", "--validate")
    folder, = exports.table_folders(destination)
    assert folder.name == ("public_orders" if source == "postgres" else "orders")
    if sink == "csv":
        ids = [int(row["id"]) for row in read_csv(folder)]
    else:
        ids = exports.read(folder)["id"].to_pylist()
    assert sorted(ids) == list(range(1, ROWS + 1))
    found = exports.metadata(folder)
    assert found["totals"]["rows"] == ROWS and len(found["parts"]) >= 4
    assert bulkhaul("verify", destination, "--output", "json").json["whole"]
    assert [job["state"] for job in bulkhaul("jobs", "--output", "json").json] == ["done"]
    assert bulkhaul("status", "job", "--output", "json").json["state"] == "done"
    assert not (destination / ".bulkhaul").exists() or list(
        (destination / ".bulkhaul").iterdir()) == []


def test_csv_text_survives(bulkhaul, shop, tmp_path):
    bulkhaul("copy", shop, tmp_path / "out", "--table", "public.orders", "--format", "csv",
             "--compression", "gzip", "--single-file")
    folder = tmp_path / "out" / "public_orders"
    assert len([path for path in folder.iterdir() if ".csv" in path.name]) == 1
    rows = {int(row["id"]): row for row in read_csv(folder)}
    assert len(rows) == ROWS
    assert rows[7]["note"] == 'note, "7"' and rows[7]["total"] == "8.75"
    assert rows[5]["note"] == ""


@pytest.mark.parametrize("kind", ["yaml", "toml", "json"])
def test_job_file_with_overrides(bulkhaul, shop, tmp_path, kind):
    job = {
        "source": "${SHOP_URI}", "destination": str(tmp_path / "out"), "workers": 2,
        "tables": [
            {"pattern": "public.orders", "where": "id <= 1000", "columns": ["total", "id"],
             "output_name": "first thousand", "unit_rows": 250},
            {"pattern": "public.customers"},
            {"pattern": "archive.*", "limit": 10},
        ],
        "queries": [{"name": "totals", "sql": "SELECT customer, sum(total) AS total FROM orders "
                                              "GROUP BY customer"}],
    }
    path = tmp_path / f"job.{kind}"
    if kind == "toml":
        lines = ['source = "${SHOP_URI}"', f'destination = "{tmp_path}/out"', "workers = 2"]
        for name in ("tables", "queries"):
            for entry in job[name]:
                lines.append(f"[[{name}]]")
                lines += [f"{key} = {json.dumps(value)}" for key, value in entry.items()]
        path.write_text("\n".join(lines) + "\n")
    else:  # JSON is YAML too
        path.write_text(json.dumps(job, indent=1))
    bulkhaul("run", path, env={"SHOP_URI": shop})
    found = {exports.metadata(folder)["dataset"]["schema"] + "." +
             exports.metadata(folder)["dataset"]["name"]: exports.read(folder)
             for folder in exports.table_folders(tmp_path / "out")}
    assert {name: table.num_rows for name, table in found.items()} == {
        "public.orders": 1000, "public.customers": 97, "archive.orders": 10, ".totals": 97}
    assert found["public.orders"].column_names == ["total", "id"]
    schema = json.loads((REPOSITORY / "docs" / "schemas" / "job.schema.json").read_text())
    jsonschema.validate(job, schema)


def test_selection(bulkhaul, shop, tmp_path):
    def names(*flags):
        plan = bulkhaul("plan", shop, tmp_path / "none", "--output", "json", *flags).json
        return sorted(f"{table['schema']}.{table['name']}" for table in plan["tables"])

    everything = ["archive.orders", "public.customers", "public.orders", "public.tmp_scratch"]
    assert names("--all") == everything
    assert names() == everything
    assert names("--table", "*.orders") == ["archive.orders", "public.orders"]
    assert names("--schema", "public", "--exclude", "tmp_*") == ["public.customers",
                                                                "public.orders"]
    assert names("--table", "public.c*", "--table", "archive.orders") == ["archive.orders",
                                                                          "public.customers"]


def test_layouts(bulkhaul, shop, tmp_path):
    bulkhaul("copy", shop, tmp_path / "a", "--schema", "*", "--layout", "organized")
    assert (tmp_path / "a" / "archive_orders" / "part_0001.parquet").exists()
    bulkhaul("copy", shop, tmp_path / "b", "--schema", "*", "--layout", "by-schema")
    assert (tmp_path / "b" / "archive" / "orders" / "part_0001.parquet").exists()
    bulkhaul("copy", shop, tmp_path / "c", "--table", "public.orders", "--layout", "direct")
    assert exports.checksum(tmp_path / "c").rows == ROWS
    outcome = bulkhaul("copy", shop, tmp_path / "d", "--all", "--layout", "direct", code=None)
    assert outcome.code in (1, 2) and "direct" in outcome.err


def test_conflicts(bulkhaul, shop, tmp_path):
    words = ["copy", shop, tmp_path / "out", "--table", "public.customers"]
    folder = tmp_path / "out" / "public_customers"

    def names():
        return [entry.name for entry in exports.table_folders(tmp_path / "out")]

    bulkhaul(*words)
    first = folder.stat().st_ino
    bulkhaul(*words)
    bulkhaul(*words)
    assert names() == ["public_customers", "public_customers_v2", "public_customers_v3"]
    outcome = bulkhaul(*words, "--conflict", "fail", code=None)
    assert outcome.code in (1, 2) and "conflict" in outcome.err
    bulkhaul(*words, "--conflict", "timestamp")
    assert len(names()) == 4 and any(name.startswith("public_customers_20") for name in names())
    assert folder.stat().st_ino == first
    bulkhaul(*words, "--conflict", "overwrite", "--where", "id <= 10")
    assert exports.checksum(folder).rows == 10 and len(names()) == 4
    bulkhaul(*words, "--conflict", "overwrite", "--archive")
    assert exports.checksum(folder).rows == 97
    archived = [path for path in (tmp_path / "out" / ".archive").iterdir() if path.name != "jobs"]
    assert len(archived) == 1 and exports.checksum(archived[0]).rows == 10


def test_overwrite_leaves_a_folder_alone_that_is_no_export(bulkhaul, shop, tmp_path):
    precious = tmp_path / "out" / "public_customers"
    precious.mkdir(parents=True)
    (precious / "thesis.txt").write_text("ten years")
    outcome = bulkhaul("copy", shop, tmp_path / "out", "--table", "public.customers", "--conflict",
                       "overwrite", code=None)
    assert outcome.code in (1, 2), "a user's own files were replaced"
    assert (precious / "thesis.txt").read_text() == "ten years"


def test_commit_job_publishes_all_or_nothing(bulkhaul, shop, tmp_path):
    uri = shop + "?options=-c%20search_path%3Dpublic"
    outcome = bulkhaul("copy", uri, tmp_path / "bad", "--all", "--query",
                       "SELECT 1 / (id - 50) AS x FROM public.orders", "--commit", "job", code=1)
    assert "division by zero" in outcome.err
    assert exports.visible(tmp_path / "bad") == []
    bulkhaul("copy", uri, tmp_path / "out", "--all", "--commit", "job")
    assert len(exports.table_folders(tmp_path / "out")) == 4


@pytest.mark.parametrize("codec", ["zstd:9", "snappy", "gzip", "lz4", "none"])
def test_parquet_codecs(bulkhaul, shop, tmp_path, codec):
    bulkhaul("copy", shop, tmp_path / "out", "--table", "public.orders", "--compression", codec)
    assert exports.checksum(tmp_path / "out" / "public_orders").rows == ROWS


def test_files_are_joined_and_cut(bulkhaul, shop, tmp_path):
    words = ["copy", shop, "--table", "public.orders", "--unit-rows", "100"]
    bulkhaul(*words, tmp_path / "many")
    many = len(exports.parts(tmp_path / "many" / "public_orders"))
    assert many > 20
    bulkhaul(*words, tmp_path / "few", "--merge-small-parts", "64KiB")
    few = len(exports.parts(tmp_path / "few" / "public_orders"))
    assert 1 <= few < many / 4
    bulkhaul(*words, tmp_path / "one", "--single-file")
    assert len(exports.parts(tmp_path / "one" / "public_orders")) == 1
    bulkhaul(*words[:-2], tmp_path / "cut", "--max-file-size", "20KiB", "--row-group-rows", "500",
             "--batch-rows", "500")
    assert len(exports.parts(tmp_path / "cut" / "public_orders")) > 1
    same = {exports.checksum(tmp_path / name / "public_orders")
            for name in ("many", "few", "one", "cut")}
    assert len(same) == 1 and same.pop().rows == ROWS


def test_transforms(bulkhaul, shop, tmp_path):
    report = tmp_path / "report.json"
    bulkhaul("copy", shop, tmp_path / "out", "--table", "public.orders", "--rename", "id=order_id",
             "--cast", "customer=int64", "--unit-rows", "1000")
    table = exports.read(tmp_path / "out" / "public_orders")
    assert table.column_names[0] == "order_id" and str(table.schema.field("customer").type) == "int64"
    bulkhaul("copy", shop, tmp_path / "shrunk", "--table", "public.orders", "--shrink",
             "--unit-rows", "1000", "--report", report)
    shrunk = exports.read(tmp_path / "shrunk" / "public_orders")
    assert str(shrunk.schema.field("customer").type) in ("int8", "dictionary<values=int8, "
                                                         "indices=int32, ordered=0>")
    assert str(shrunk.schema.field("id").type) == "int16"
    assert shrunk.sort_by("id")["note"].to_pylist() == table.sort_by("order_id")["note"].to_pylist()
    found, = json.loads(report.read_text())["tables"]
    assert found["explanations"] and found["bytes_before_transform"] > 0
    outcome = bulkhaul("copy", shop, tmp_path / "bad", "--table", "public.orders", "--cast",
                       "id=int8", code=1)
    assert "id" in outcome.err and exports.visible(tmp_path / "bad") == []


def test_published_schemas_hold(bulkhaul, shop, tmp_path):
    schemas = REPOSITORY / "docs" / "schemas"
    report = tmp_path / "report.json"
    out = bulkhaul("copy", shop, tmp_path / "out", "--all", "--unit-rows", "1000", "--report",
                   report, "--output", "json")
    described = json.loads((schemas / "report.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(described)
    jsonschema.validate(json.loads(report.read_text()), described)
    jsonschema.validate(out.json, described)
    described = json.loads((schemas / "export_metadata.schema.json").read_text())
    for folder in exports.table_folders(tmp_path / "out"):
        jsonschema.validate(exports.metadata(folder), described)
    failed = tmp_path / "failed.json"
    bulkhaul("copy", shop, tmp_path / "bad", "--query", "SELECT 1/0 AS x", "--report", failed,
             code=1)
    jsonschema.validate(json.loads(failed.read_text()),
                        json.loads((schemas / "report.schema.json").read_text()))


def test_history_stats_and_clean(bulkhaul, shop, tmp_path):
    destination = tmp_path / "out"
    bulkhaul("copy", shop, destination, "--table", "public.customers", "--job-id", "one")
    record, = (destination / ".archive" / "jobs").iterdir()
    assert record.name.startswith("job_one_20")
    found = json.loads(record.read_text())
    assert "customers" in json.dumps(found) and "workers" in json.dumps(found)
    bulkhaul("copy", shop, destination, "--table", "public.customers", "--job-history", "--job-id",
             "two")
    bulkhaul("copy", shop, destination, "--table", "public.customers", "--no-job-history")
    assert len(list((destination / ".archive" / "jobs").iterdir())) == 2
    assert bulkhaul("stats", "--days", "30", "--output", "json").json["jobs"] >= 2
    bulkhaul("clean", "--older-than", "0")
    assert bulkhaul("jobs", "--output", "json").json == []
    assert len(exports.table_folders(destination)) == 3


def test_progress_for_programs(bulkhaul, shop, tmp_path):
    outcome = bulkhaul("copy", shop, tmp_path / "out", "--all", "--progress", "json")
    events = [json.loads(line) for line in outcome.err.splitlines()]
    kinds = [event["event"] for event in events]
    assert kinds[0] == "job_started" and kinds[-1] == "job_done"
    assert kinds.count("table_published") == 4
    assert sum(event["rows"] for event in events if event["event"] == "table_published") == (
        ROWS + 97 + 1 + 100)


def test_discover(bulkhaul, shop):
    found = bulkhaul("discover", shop, "--output", "json").json
    tables = {f"{table['schema']}.{table['name']}": table for table in found["tables"]}
    assert tables["public.orders"]["primary_key"] == ["id"]
    types = {column["name"]: column["source_type"] for column in tables["public.orders"]["columns"]}
    assert types["total"] == "numeric(10,2)" and types["at"] == "timestamp with time zone"


def test_two_hundred_small_tables(bulkhaul, postgres, database, tmp_path):
    postgres.sql("".join(f"CREATE TABLE t{i} AS SELECT g AS x FROM generate_series(1, {i % 7}) AS g;"
                         for i in range(200)), database)
    outcome = bulkhaul("copy", postgres.uri_of(database), tmp_path / "out", "--all", "--output",
                       "json", "--progress", "none")
    assert outcome.json["totals"]["tables_published"] == 200
    assert outcome.json["totals"]["rows"] == sum(i % 7 for i in range(200))
    assert len(exports.table_folders(tmp_path / "out")) == 200
