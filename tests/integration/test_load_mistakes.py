"""What users get wrong about loads: one message that says what, where, why and what to do, and an exit
code that tells usage (2) from what failed (1)."""

from __future__ import annotations

import gzip
import os
import pathlib
import tempfile

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from support.loading import loads_into

ROWS = 100


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with right and wrong files, the one that the program runs in."""
    folder = tmp_path / "here"
    folder.mkdir()
    table = pa.table({"id": range(ROWS), "name": [f"name {i}" for i in range(ROWS)]})
    pa.csv.write_csv(table, folder / "people.csv")
    pq.write_table(table, folder / "people.parquet")
    text, parquet = (folder / "people.csv").read_bytes(), (folder / "people.parquet").read_bytes()
    for name, content in {
            "empty.csv": b"", "blank.csv": b"\n\n", "plain.csv.gz": text, "plain.csv.bz2": text,
            "cut.csv.gz": gzip.compress(text)[:-20], "cut.parquet": parquet[:-20],
            "text.parquet": text, "table.csv": parquet, "packed.csv": gzip.compress(text),
            "sheet.csv": b"PK\x03\x04\x14\x00\x06\x00\x08\x00\x00\x00\x21\x00\xff\xfe,\n",
            "array.jsonl": b'[{"a": 1}, {"a": 2}]\n', "broken.jsonl": b'{"a":1}\n{"a":2\n{"a":3}\n',
            "pretty.jsonl": b'{\n  "a": 1\n}\n', "wrapped.jsonl": b'{"a":1}\n{"a":{"b":1}\n,"c":2}\n',
            "latin.csv": "id,name\n1,Grün\n".encode("latin1"), "typo.yaml": b"columns: {id: {typ: int64}}",
            "tab.yaml": b"source: people.csv\ndestination: out\ncsv:\n\tdelimiter: x\n",
            "unknown.yaml": b"source: people.csv\ndestination: out\nworkerss: 2\n"}.items():
        (folder / name).write_bytes(content)
    (folder / "nothing").mkdir()
    (folder / "mixed").mkdir()
    (folder / "mixed" / "a.csv").write_bytes(text)
    (folder / "mixed" / "b.csv").write_bytes(b"id,other\n1,2\n")
    monkeypatch.chdir(folder)
    return folder


OUT = "out"


@pytest.mark.parametrize("words,code,said", [
    (["copy", "./peopel.csv", OUT], 2, ["there is no './peopel.csv'; did you mean './people.csv'?"]),
    (["copy", "./dat/a.csv", OUT], 2, ["there is no './dat/a.csv'", "there is no folder './dat'"]),
    (["copy", "./dat/*.csv", OUT], 2, ["no file matches", "there is no folder"]),
    (["copy", "./x*.csv", OUT], 2, ["no file matches", "x*.csv'"]),
    (["copy", "nothing", OUT], 2, ["holds no data file: .csv", "set source_format"]),
    (["copy", "empty.csv", OUT], 2, ["empty.csv: the file is empty"]),
    (["copy", "blank.csv", OUT], 2, ["blank.csv: the file is empty"]),
    (["copy", "plain.csv.gz", OUT], 1, ["plain.csv.gz: the file is not packed as its name says"]),
    (["copy", "plain.csv.bz2", OUT], 1, ["plain.csv.bz2: the file is not packed as its name says"]),
    (["copy", "cut.csv.gz", OUT], 1, ["cut.csv.gz: ", "Truncated"]),
    (["copy", "cut.parquet", OUT], 1, ["cut.parquet: ", "corrupted"]),
    (["copy", "text.parquet", OUT], 1, ["text.parquet: ", "not a parquet file"]),
    (["copy", "table.csv", OUT], 2, ["table.csv: this is no text but a Parquet file",
                                     "source_format: parquet"]),
    (["copy", "packed.csv", OUT], 2, ["packed.csv: this is no text but packed by gzip"]),
    (["copy", "sheet.csv", OUT], 2, ["sheet.csv: this is no text but a zip archive", "save the sheet"]),
    (["copy", "array.jsonl", OUT], 1, ["array.jsonl: line 1: an array begins here", "jq -c '.[]'"]),
    (["copy", "broken.jsonl", OUT], 1, ["broken.jsonl: line 2: the line is no whole object"]),
    (["copy", "pretty.jsonl", OUT], 1, ["pretty.jsonl: line 1: the line is no whole object",
                                        "jq -c ."]),
    (["copy", "wrapped.jsonl", OUT], 1, ["wrapped.jsonl: line 2: "]),
    (["copy", "latin.csv", OUT], 1, ["latin.csv: line 2, column 'name'", "source_encoding"]),
    (["copy", "people.csv", OUT, "--source-encoding", "utf8x"], 2,
     ["'utf8x' is not known here", "windows-1252"]),
    (["copy", "mixed", OUT], 2, ["mixed/b.csv has no column 'name'", "missing_columns: null"]),
    (["copy", "people.csv", OUT, "--delimiter", ";"], 2,
     ["no flag '--delimiter'", "did you mean '--source-delimiter' or '--csv-delimiter'?"]),
    (["copy", "people.csv", OUT, "--source-delimiter", ";"], 2,
     ["source_delimiter is ';', and the first row has none; ',' cuts it into 2 fields", "none"]),
    (["copy", "people.csv", OUT, "--contract", "typo.yaml"], 2,
     ["typo.yaml:1:16: unknown key 'typ'", "did you mean 'type'?"]),
    (["copy", "people.csv", OUT, "--contract", "no.yaml"], 2, ["no.yaml': there is no such file"]),
    (["run", "no.yaml"], 2, ["cannot read the job file 'no.yaml': there is no such file"]),
    (["run", "tab.yaml"], 2, ["tab.yaml:4:", "a tab indents this line"]),
    (["run", "unknown.yaml"], 2, ["unknown.yaml:3:1: unknown key 'workerss'; did you mean 'workers'?"]),
    (["copy", "people.csv", OUT, "--wrokers", "2"], 2, ["did you mean '--workers'?"]),
    (["copy", "people.csv", OUT, "--where", "idd = 3"], 2, ["no column 'idd'; did you mean 'id'?"]),
    (["copy", "people.csv", OUT, "--columns", "id,nam"], 2, ["no column 'nam'; did you mean 'name'?"]),
    (["copy", "people.csv", OUT, "--cast", "id=integr"], 2, ["'integr' is not a type", "int32"]),
    (["copy", "people.csv", "postgress://h/db"], 2, ["'postgress://h/db' is not a destination"]),
], ids=lambda value: None if isinstance(value, list) and value[0] not in ("copy", "run") else
   " ".join(value[:2] + value[3:]) if isinstance(value, list) else None)
def test_what_is_said(bulkhaul, here, words, code, said):
    done = bulkhaul(*words, code=code)
    for part in said:
        assert part in done.err, done.err
    assert len(done.err) < 1500


def test_a_file_that_may_not_be_read(bulkhaul):
    """Not by root, who may read everything: then by nobody, who may not into pytest's folders."""
    user = {"user": 65534, "group": 65534, "extra_groups": []} if os.getuid() == 0 else {}
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        folder.chmod(0o777)
        (folder / "closed.csv").write_text("id\n1\n")
        (folder / "closed.csv").chmod(0)
        done = bulkhaul("copy", "closed.csv", OUT, code=1, cwd=folder,
                        env={"XDG_STATE_HOME": str(folder / "state")}, **user)
    assert "cannot read" in done.err and "closed.csv': Permission denied" in done.err
    assert "check the permissions" in done.err


def test_a_column_named_like_a_file(bulkhaul, here, postgres, database):
    """What a wrong encoding makes of a text is not printed as a whole."""
    done = bulkhaul("copy", "people.csv", postgres.uri_of(database), "--source-encoding", "utf-16le",
                    code=1)
    assert "cannot be the name of a column" in done.err and "source_encoding" in done.err
    assert len(done.err) < 1500


@pytest.fixture
def weak(postgres, database):
    """A role that may use the schema, and nothing more."""
    with loads_into(postgres, database, "people") as sql:
        sql('CREATE ROLE "we ak" LOGIN')
        yield sql
        sql('DROP OWNED BY "we ak"; DROP ROLE "we ak"')


def test_missing_rights(bulkhaul, here, postgres, database, weak):
    uri = postgres.uri_of(database, "we%20ak")
    load = ["copy", "people.csv", uri, "--if-exists", "append"]
    done = bulkhaul(*load, code=1)
    assert ('the role "we ak" may not create tables in schema \'public\'' in done.err
            and 'GRANT CREATE ON SCHEMA "public" TO "we ak"' in done.err)
    assert "SELECT" not in done.err, "that is about reading"
    weak('GRANT CREATE ON SCHEMA public TO "we ak"; CREATE TABLE people (id bigint, name text)')
    done = bulkhaul(*load, code=1)
    assert 'may not insert into public.people; GRANT INSERT ON "public"."people"' in done.err
    assert "SELECT" not in done.err
    weak('GRANT INSERT ON people TO "we ak"')
    bulkhaul(*load)
    assert weak("SELECT count(*) FROM people") == [(ROWS,)]


def test_passwords(bulkhaul, here, postgres_factory):
    server = postgres_factory()
    server.sql("CREATE ROLE locked LOGIN PASSWORD 'right'")
    rules = server.folder / "data" / "pg_hba.conf"
    if not rules.exists():
        rules, = server.folder.rglob("pg_hba.conf")
    rules.write_text("host all locked 127.0.0.1/32 scram-sha-256\n" + rules.read_text())
    server.sql("SELECT pg_reload_conf()")
    for user in ("locked", "locked:wrong"):
        done = bulkhaul("copy", "people.csv", server.uri_of("postgres", user), code=1)
        assert "password" in done.err and "hint: give the password in PGPASSWORD" in done.err
        assert "wrong" not in done.err


@pytest.mark.parametrize("words,said", [
    ([], ["public.people exists; set if_exists to append"]),
    (["--if-exists", "upsert"], ["has no primary key for upsert; name the columns with key"]),
    (["--if-exists", "upsert", "--key", "idd"],
     ['no column "idd" of the key; did you mean "id"?', "start a new job"]),
    (["--if-exists", "upsert", "--key", "id"], ["CREATE UNIQUE INDEX ON"])])
def test_a_table_that_is_there(bulkhaul, here, postgres, database, words, said):
    with loads_into(postgres, database, "people") as sql:
        sql("CREATE TABLE people (id bigint, name text)")
        done = bulkhaul("copy", "people.csv", postgres.uri_of(database), *words, code=1)
        for part in said:
            assert part in done.err, done.err
        assert sql("SELECT count(*) FROM people") == [(0,)]


@pytest.mark.parametrize("file, words, said", [
    ("people.parquet", ["--source-null", "NA"], "source_null is about files of CSV, and these are parquet"),
    ("people.parquet", ["--sample-rows", "5"], "sample_rows is about files of CSV and JSON"),
    ("lines.jsonl", ["--date-format", "dd/MM/yyyy"], "date_format is about files of CSV, and these are json"),
    ("lines.jsonl", ["--sample-rows", "5", "--source-encoding", "utf-8"], None),
    ("people.csv", ["--trim", "--sample-rows", "5"], None),
    ("people.parquet", ["--ragged", "error"], None)], ids=str)
def test_options_that_the_files_have_no_use_for(bulkhaul, here, file, words, said):
    (here / "lines.jsonl").write_text('{"a": 1}\n')
    for verb in ("plan", "copy"):
        done = bulkhaul(verb, file, OUT, *words, code=2 if said else 0)
        assert said is None or said in done.err, done.err


def test_options_of_a_job_may_be_for_one_of_its_tables(bulkhaul, here):
    job = "source: ./\ndestination: out\ntrim: true\ntables:\n{}  - people.parquet\n"
    (here / "people.csv").rename(here / "text.csv")
    (here / "job.yaml").write_text(job.format("  - text.csv\n"))
    assert len(bulkhaul("run", "job.yaml", "--output", "json").json["tables"]) == 2
    (here / "job.yaml").write_text(job.format(""))
    assert "trim is about files of CSV" in bulkhaul("run", "job.yaml", code=2).err
