"""Data and loads that the tests of the memory decision share."""

from __future__ import annotations

import json
import pathlib

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

MIB = 1 << 20
GIB = 1 << 30


def csv_of(path: pathlib.Path, table: pa.Table) -> pathlib.Path:
    pa.csv.write_csv(table, path)
    return path


def narrow_csv(folder):
    rows = 1_700_000
    table = pa.table({"id": range(rows), "value": [i % 1000 for i in range(rows)],
                      "share": [i / 8 for i in range(rows)]})
    return csv_of(folder / "narrow.csv", table), rows


def long_words(path: pathlib.Path, rows: int) -> pathlib.Path:
    """A text of 10,000 letters again and again, in a file of some kilobytes."""
    text = pa.DictionaryArray.from_arrays(pa.array([0], pa.int32()).take(pa.array([0] * rows)),
                                          pa.array(["x" * 10_000]))
    pq.write_table(pa.table({"text": text}), path)
    return path


def gated_target(bulkhaul, postgres, database, source) -> list[str]:
    """The words of a load into a table whose trigger waits as long as advisory lock 42 is held."""
    into = ["copy", source, postgres.uri_of(database), "--target-table", "public.target",
            "--workers", "1", "--unit-bytes", "4GiB"]
    bulkhaul(*into, "--limit", "1", "--progress", "none")
    postgres.sql("""
        CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS
            'BEGIN PERFORM pg_advisory_xact_lock_shared(42); RETURN NULL; END';
        TRUNCATE target;
        CREATE TRIGGER wait BEFORE INSERT ON target EXECUTE FUNCTION wait()""", database)
    return [*into[1:], "--if-exists", "append", "--commit", "unit"]


def events_until(run, wanted) -> dict:
    for line in run.stderr:
        event = json.loads(line) if line.startswith("{") else {}
        if wanted(event):
            return event
    pytest.fail(run.communicate()[0])
