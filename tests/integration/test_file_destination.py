"""A destination that names one file: exactly that file, whole, and nothing beside it."""

from __future__ import annotations

import csv
import gzip
import json
import os
import pathlib
import sqlite3

import pyarrow
import pyarrow.csv
import pyarrow.ipc
import pyarrow.parquet
import pytest

ROWS = 5000
EXPECTED = [(i, f'note, "{i}"' if i % 5 else None) for i in range(1, ROWS + 1)]
# Several units a table, so that the file is put together.
CUT = ("--unit-rows", "700")


@pytest.fixture(scope="module")
def shop(tmp_path_factory) -> pathlib.Path:
    path = tmp_path_factory.mktemp("source") / "shop.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY, note TEXT)")
        connection.executemany("INSERT INTO orders VALUES (?, ?)", EXPECTED)
        connection.execute("CREATE TABLE customers (id INTEGER PRIMARY KEY)")
        connection.execute("CREATE TABLE blank (id INTEGER PRIMARY KEY, note TEXT)")
    connection.close()
    return path


@pytest.fixture
def out(tmp_path) -> pathlib.Path:
    return tmp_path / "out"


def everything(folder: pathlib.Path) -> list[str]:
    """Hidden names too."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def read(path: pathlib.Path) -> list[tuple]:
    name = path.name
    if name.endswith(".parquet"):
        table = pyarrow.parquet.read_table(path)
    elif name.endswith((".arrow", ".feather", ".ipc")):
        table = pyarrow.ipc.open_file(path).read_all()
    else:
        convert = pyarrow.csv.ConvertOptions(
            column_types={"id": pyarrow.int64(), "note": pyarrow.string()},
            strings_can_be_null=True, quoted_strings_can_be_null=False, null_values=[""])
        with pyarrow.input_stream(
                str(path), compression="gzip" if name.endswith(".gz") else
                "zstd" if name.endswith(".zst") else None) as stream:
            table = pyarrow.csv.read_csv(
                stream, convert_options=convert,
                parse_options=pyarrow.csv.ParseOptions(delimiter="\t" if ".tsv" in name else ","))
    return list(zip(*(column.to_pylist() for column in table.columns)))


@pytest.mark.parametrize("name", [
    "one.csv", "one.csv.gz", "one.csv.zst", "one.tsv", "one.tsv.gz", "one.tsv.zst", "one.parquet",
    "one.arrow", "one.feather", "one.ipc"])
def test_every_name_is_what_it_says(bulkhaul, shop, out, name):
    done = bulkhaul("copy", shop, out / name, "--table", "orders", *CUT)
    assert everything(out) == [name]
    assert read(out / name) == EXPECTED
    assert str(out / name) in done.out
    verified = bulkhaul("verify", out / name, "--output", "json").json
    assert verified["whole"]
    assert verified["exports"][0]["rows"] == ROWS
    assert verified["exports"][0]["file"] == name


def test_the_header_comes_once_and_rows_keep_their_order(bulkhaul, shop, out):
    bulkhaul("copy", shop, out / "one.csv", "--table", "orders", *CUT, "--csv-quote", "strings")
    with open(out / "one.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["id", "note"]
    assert [row[0] for row in rows[1:]] == [str(i) for i, _ in EXPECTED]


def test_a_name_in_the_working_directory(bulkhaul, shop, out):
    out.mkdir()
    bulkhaul("copy", shop, "one.csv", "--table", "orders", cwd=out)
    assert everything(out) == ["one.csv"]


def test_a_table_without_rows_is_a_header(bulkhaul, shop, out):
    bulkhaul("copy", shop, out / "one.csv", "--table", "blank")
    assert (out / "one.csv").read_text() == "id,note\n"
    bulkhaul("copy", shop, out / "one.parquet", "--table", "blank")
    assert pyarrow.parquet.read_schema(out / "one.parquet").names == ["id", "note"]
    assert everything(out) == ["one.csv", "one.parquet"]
    for name in everything(out):
        assert "as its job has recorded" in bulkhaul("verify", out / name).out


def test_postgres_and_a_query(bulkhaul, postgres, database, out):
    postgres.sql("CREATE TABLE t AS SELECT i AS id, 'note ' || i AS note "
                 "FROM generate_series(1, 3000) AS i", database)
    bulkhaul("copy", postgres.uri_of(database), out / "t.csv.gz", "--table", "public.t",
             "--unit-bytes", "16KiB")
    with gzip.open(out / "t.csv.gz", "rt", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert sorted(int(row["id"]) for row in rows) == list(range(1, 3001))
    bulkhaul("copy", postgres.uri_of(database), out / "q.parquet", "--query",
             "SELECT id FROM t WHERE id <= 10", "--split-by", "id")
    assert sorted(pyarrow.parquet.read_table(out / "q.parquet")["id"].to_pylist()) == list(
        range(1, 11))
    assert everything(out) == ["q.parquet", "t.csv.gz"]


def test_files_are_converted(bulkhaul, shop, out):
    bulkhaul("copy", shop, out / "one.csv", "--table", "orders")
    bulkhaul("copy", out / "one.csv", out / "two.parquet")
    bulkhaul("copy", out / "two.parquet", out / "three.tsv.zst")
    assert read(out / "two.parquet") == EXPECTED
    assert read(out / "three.tsv.zst") == EXPECTED
    assert everything(out) == ["one.csv", "three.tsv.zst", "two.parquet"]


def test_several_tables_are_refused_before_anything_is_made(bulkhaul, shop, out):
    for verb in ("plan", "copy"):
        words = [verb, shop, out / "one.csv"]
        if verb == "plan":
            job = out.parent / "job.yaml"
            job.write_text(json.dumps({"source": str(shop), "destination": str(out / "one.csv")}))
            words = [verb, job]
        refused = bulkhaul(*words, "--on-error", "continue", code=2)
        assert "is one file, and 3 tables are selected" in refused.err
        assert "name a folder as destination, or select one table" in refused.err
        assert not out.exists() or everything(out) == []


def test_what_exists_is_kept_unless_it_is_to_be_replaced(bulkhaul, shop, out):
    out.mkdir()
    path = out / "one.csv"
    path.write_text("mine\n")
    path.chmod(0o600)
    refused = bulkhaul("copy", shop, path, "--table", "orders", code=None)
    assert refused.code != 0
    assert "exists and if_exists is 'fail'; set if_exists: replace" in refused.err
    assert path.read_text() == "mine\n"
    assert everything(out) == ["one.csv"]
    bulkhaul("copy", shop, path, "--table", "orders", "--if-exists", "replace")
    assert read(path) == EXPECTED
    assert path.stat().st_mode & 0o777 == 0o600, "others could not read what was there"
    assert everything(out) == ["one.csv"]
    bulkhaul("verify", path)
    bulkhaul("copy", shop, path, "--table", "orders", "--limit", "10", "--if-exists", "replace")
    assert bulkhaul("verify", path, "--output", "json").json["exports"][0]["rows"] == 10


def test_only_a_file_is_replaced(bulkhaul, shop, out):
    out.mkdir()
    (out / "target.csv").write_text("mine\n")
    (out / "link.csv").symlink_to("target.csv")
    refused = bulkhaul("copy", shop, out / "link.csv", "--table", "orders", "--if-exists",
                       "replace", code=None)
    assert "is a symbolic link and no file" in refused.err
    assert (out / "target.csv").read_text() == "mine\n"
    assert (out / "link.csv").is_symlink()
    os.mkfifo(out / "pipe.csv")
    refused = bulkhaul("copy", shop, out / "pipe.csv", "--table", "orders", "--if-exists",
                       "replace", code=None)
    assert "is a device or pipe and no file" in refused.err


def test_who_takes_the_name_meanwhile_keeps_it(bulkhaul, shop, out):
    words = ["copy", shop, out / "one.csv", "--table", "orders", "--job-id", "job"]
    bulkhaul(*words, env={"BULKHAUL_CRASH_AT": "publish.assembled"}, code=-9)
    (out / "one.csv").write_text("mine\n")
    refused = bulkhaul("resume", "job", code=None)
    assert "exists and if_exists is 'fail'" in refused.err
    assert (out / "one.csv").read_text() == "mine\n"
    (out / "one.csv").unlink()
    bulkhaul("resume", "job")
    assert read(out / "one.csv") == EXPECTED
    assert everything(out) == ["one.csv"]


def test_the_plan_names_the_file_and_makes_nothing(bulkhaul, shop, out, tmp_path):
    job = tmp_path / "job.yaml"
    job.write_text(json.dumps({
        "source": str(shop), "destination": str(out / "one.parquet"), "tables": ["orders"]}))
    plan = bulkhaul("plan", job, "--output", "json").json
    assert plan["tables"][0]["location"] == str(out / "one.parquet")
    assert plan["format"] == "parquet"
    assert not out.exists()
    report = tmp_path / "report.json"
    bulkhaul("run", job, "--report", report)
    table = json.loads(report.read_text())["tables"][0]
    assert table["location"] == str(out / "one.parquet")
    assert table["files"] == 1
    noted = bulkhaul("plan", job, code=1).out
    assert "would be refused" in noted
    assert "if_exists: replace" in noted


def test_contradictions_are_usage_errors(bulkhaul, shop, out):
    for words, said in [
        (["one.csv", "--format", "parquet"], "is csv by its name, and format says parquet"),
        (["one.csv", "--compression", "gzip"], "is not compressed by its name"),
        (["one.csv", "--conflict", "overwrite"], "set if_exists: fail or replace instead"),
        (["one.csv", "--if-exists", "upsert"], "if_exists says upsert"),
        (["one.csv", "--commit", "job"], "has no use for commit: job"),
        (["one.csv", "--layout", "direct"], "layout: direct makes folders"),
        (["one.jsonl"], "cannot be written. Files end in .csv"),
    ]:
        refused = bulkhaul("copy", shop, out / words[0], "--table", "orders", *words[1:], code=2)
        assert said in refused.err, words
        assert not out.exists(), words
    bulkhaul("copy", shop, f"{out}/one.csv/", "--table", "orders", "--layout", "direct")
    assert (out / "one.csv" / "_export_metadata.json").exists()


def test_a_job_does_not_read_what_it_writes(bulkhaul, shop, out):
    bulkhaul("copy", shop, out / "a.csv", "--table", "orders")
    words = ["copy", f"{out}/*.csv", out / "all.csv", "--if-exists", "replace"]
    bulkhaul(*words)
    assert read(out / "all.csv") == EXPECTED
    assert "is one of the files that the job reads" in bulkhaul(*words, code=2).err
    assert read(out / "all.csv") == EXPECTED


def test_verify_finds_damage_and_says_when_it_knows_nothing(bulkhaul, shop, out):
    path = out / "one.csv"
    bulkhaul("copy", shop, path, "--table", "orders")
    whole = path.read_bytes()
    path.write_bytes(whole.replace(b"note, ", b"nope, ", 1))
    damaged = bulkhaul("verify", path, code=1)
    assert "DAMAGED" in damaged.out
    assert "one.csv: its checksum is" in damaged.out
    (out / "other.csv").write_bytes(whole)
    unknown = bulkhaul("verify", out / "other.csv", code=None)
    assert unknown.code != 0
    assert "no job says what" in unknown.err
    path.write_bytes(whole)
    bulkhaul("verify", path)
    bulkhaul("clean", "--older-than", "0s")
    assert "until 'bulkhaul clean' removes it" in bulkhaul("verify", path, code=None).err


def test_validate_rejects_and_records_on_request(bulkhaul, shop, out):
    bulkhaul("copy", shop, out / "one.csv.gz", "--table", "orders", "--validate",
             "--job-history")
    assert read(out / "one.csv.gz") == EXPECTED
    left = everything(out)
    assert left[:2] == [".archive", ".archive/jobs"]
    assert left[-1] == "one.csv.gz"
    assert len(left) == 4


def test_any_name_with_layout_file(bulkhaul, shop, out):
    bulkhaul("copy", shop, out / "one.dat", "--table", "orders", "--layout", "file", "--format",
             "csv")
    assert everything(out) == ["one.dat"]
    assert (out / "one.dat").read_text().startswith("id,note\n")
    assert "set format" in bulkhaul("copy", shop, out / "two.dat", "--table", "orders", "--layout",
                                    "file", code=2).err
