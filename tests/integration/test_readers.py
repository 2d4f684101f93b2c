"""What DuckDB, Polars, pandas and pyarrow make of our files: the right types and values.

The files come from build/release/bin/sink_types_program, two parts with three rows in all.
"""

from __future__ import annotations

import datetime
import decimal
import json
import math
import os
import pathlib
import subprocess
import uuid

import duckdb
import jsonschema
import pandas
import polars
import pyarrow
import pyarrow.dataset
import pyarrow.parquet
import pytest

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent.parent
BUILD = pathlib.Path(os.environ.get("BULKHAUL_BUILD_DIR", REPOSITORY / "build" / "release"))
UTC = datetime.timezone.utc
MOMENT = datetime.datetime(2026, 11, 21, 10, 15, 0, 123456)

EXPECTED = {
    "bool": [True, False, None],
    "int16": [-32768, 32767, None],
    "int32": [-(2**31), 2**31 - 1, None],
    "int64": [-(2**63), 2**63 - 1, None],
    "float32": [0.5, -math.inf, None],
    "decimal9": [decimal.Decimal("1234567.89"), decimal.Decimal("-0.01"), None],
    "decimal18": [decimal.Decimal("12345678901234.5678"), decimal.Decimal("-0.0001"), None],
    "decimal38": [
        decimal.Decimal("9999999999999999999999999999.9999999999"),
        decimal.Decimal("-0.0000000001"), None],
    "text": ["", 'tëxt, "q"\n', None],
    "binary": [b"", b"xyz", None],
    "date": [datetime.date(1970, 1, 1), datetime.date(2026, 11, 21), None],
    "time": [datetime.time(0), datetime.time(23, 59, 59, 999999), None],
    "timestamp": [datetime.datetime(1970, 1, 1), MOMENT, None],
    "timestamptz": [datetime.datetime(1970, 1, 1, tzinfo=UTC), MOMENT.replace(tzinfo=UTC), None],
    "list": [[1, None], [], None],
    "struct": [{"x": 1, "y": "a"}, {"x": None, "y": None}, None],
    "enum": ["red", "green", None],
}
UUIDS = [uuid.UUID(bytes=b"0123456789abcdef"), uuid.UUID(bytes=b"fedcba9876543210"), None]
JSONS = ['{"a":1}', "[]", None]


def export(folder: pathlib.Path, kind: str, *options: str) -> pathlib.Path:
    done = subprocess.run(
        [BUILD / "bin" / "sink_types_program", folder / "exports", kind, *options],
        capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return pathlib.Path(done.stdout.strip())


@pytest.fixture(scope="module")
def parquet(tmp_path_factory) -> pathlib.Path:
    return export(tmp_path_factory.mktemp("parquet"), "parquet")


def same(found: list, expected: list) -> bool:
    return len(found) == len(expected) and all(
        (a is None) == (b is None) and (a is None or a == b)
        for a, b in zip(found, expected, strict=True))


def check(columns: dict[str, list]) -> None:
    for name, values in EXPECTED.items():
        assert same(columns[name], values), f"{name}: {columns[name]} and not {values}"
    first, second, third = columns["float64"]
    assert first == 0.1 and math.isnan(second) and third is None


def test_pyarrow(parquet):
    table = pyarrow.dataset.dataset(
        sorted(parquet.glob("*.parquet")), format="parquet").to_table()
    check({name: table[name].to_pylist() for name in table.column_names})
    schema = table.schema
    assert schema.field("int16").type == pyarrow.int16()
    assert schema.field("decimal18").type == pyarrow.decimal128(18, 4)
    assert schema.field("timestamp").type == pyarrow.timestamp("us")
    assert schema.field("timestamptz").type == pyarrow.timestamp("us", "UTC")
    assert pyarrow.types.is_dictionary(schema.field("enum").type)
    assert schema.field("uuid").type == pyarrow.uuid()
    assert table["uuid"].to_pylist() == UUIDS
    assert table["json"].to_pylist() == JSONS


def test_physical_types(parquet):
    schema = pyarrow.parquet.ParquetFile(parquet / "part_0001.parquet").schema
    columns = {schema.column(i).name: schema.column(i) for i in range(len(schema))}
    assert columns["decimal9"].physical_type == "INT32"
    assert columns["decimal18"].physical_type == "INT64"
    assert columns["decimal38"].physical_type == "FIXED_LEN_BYTE_ARRAY"
    assert columns["uuid"].logical_type.type == "UUID"
    assert columns["json"].logical_type.type == "JSON"


def test_duckdb(parquet):
    with duckdb.connect(config={"threads": 1}) as connection:
        rows = connection.sql(f"SELECT * FROM read_parquet('{parquet}/*.parquet')")
        types = dict(zip(rows.columns, map(str, rows.types), strict=True))
        # Fetching a time with zone would need another package.
        rows = rows.select(duckdb.SQLExpression(
            "* REPLACE (make_timestamp(epoch_us(timestamptz)) AS timestamptz)"))
        values = dict(zip(rows.columns, map(list, zip(*rows.fetchall(), strict=True)),
                          strict=True))
    assert types["decimal9"] == "DECIMAL(9,2)"
    assert types["decimal18"] == "DECIMAL(18,4)"
    assert types["decimal38"] == "DECIMAL(38,10)"
    assert types["uuid"] == "UUID"
    assert types["json"] == "JSON"
    assert types["timestamp"] == "TIMESTAMP"
    assert types["timestamptz"] == "TIMESTAMP WITH TIME ZONE"
    assert types["enum"] == "VARCHAR"
    assert types["list"] == "INTEGER[]"
    values["timestamptz"] = [v and v.replace(tzinfo=UTC) for v in values["timestamptz"]]
    check(values)
    assert values["uuid"] == UUIDS
    assert values["json"] == JSONS


def test_polars(parquet):
    frame = polars.read_parquet(parquet / "*.parquet")
    assert frame.schema["decimal18"] == polars.Decimal(18, 4)
    assert frame.schema["timestamp"] == polars.Datetime("us")
    assert frame.schema["timestamptz"] == polars.Datetime("us", "UTC")
    assert frame.schema["int16"] == polars.Int16
    columns = {name: frame[name].to_list() for name in frame.columns}
    columns["timestamptz"] = [v and v.astimezone(UTC) for v in columns["timestamptz"]]
    check(columns)


def test_pandas(parquet):
    frame = pandas.read_parquet(sorted(parquet.glob("*.parquet"))[1], dtype_backend="pyarrow")
    assert frame["decimal18"].tolist()[0] == decimal.Decimal("-0.0001")
    assert frame["timestamptz"].iloc[0] == pandas.Timestamp(MOMENT, tz="UTC")
    assert frame["text"].iloc[0] == 'tëxt, "q"\n'
    assert frame["int64"].iloc[0] == 2**63 - 1


@pytest.mark.parametrize("options", [(), ("compression", "gzip"), ("compression", "zstd"),
                                     ("csv_quote", "all"), ("csv_delimiter", "tab"),
                                     ("csv_null", "\\N")])
def test_csv_in_duckdb(tmp_path, options):
    folder = export(tmp_path, "csv", *options)
    names = sorted(path.name for path in folder.iterdir())
    assert names[0] == "_export_metadata.json" and len(names) == 3
    chosen = dict(zip(options[::2], options[1::2], strict=True))
    delimiter = "\t" if chosen.get("csv_delimiter") == "tab" else ","
    null = chosen.get("csv_null", "")
    with duckdb.connect(config={"threads": 1}) as connection:
        rows = connection.execute(
            f"SELECT * FROM read_csv('{folder}/part_*', delim='{delimiter}', header=true,"
            f" nullstr='{null}', quote='\"', escape='\"', all_varchar=true,"
            " allow_quoted_nulls=false)"
        ).fetchall()
        names = [column[0] for column in connection.description]
    columns = dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))
    assert columns["text"] == ["", 'tëxt, "q"\n', None]
    assert columns["int64"] == ["-9223372036854775808", "9223372036854775807", None]
    assert columns["decimal38"] == [
        "9999999999999999999999999999.9999999999", "-0.0000000001", None]
    assert columns["float64"] == ["0.1", "nan", None]
    assert columns["binary"] == ["\\x", "\\x78797a", None]
    assert columns["timestamptz"] == ["1970-01-01T00:00:00Z", "2026-11-21T10:15:00.123456Z", None]
    assert columns["time"] == ["00:00:00", "23:59:59.999999", None]
    assert columns["uuid"] == [str(v) if v else None for v in UUIDS]
    assert [v and json.loads(v) for v in columns["struct"]] == EXPECTED["struct"]
    assert [v if v is None else json.loads(v) for v in columns["list"]] == EXPECTED["list"]


def test_csv_types_as_duckdb_guesses_them(tmp_path):
    folder = export(tmp_path, "csv")
    with duckdb.connect(config={"threads": 1}) as connection:
        rows = connection.sql(f"SELECT * FROM read_csv('{folder}/part_*.csv')")
        types = dict(zip(rows.columns, map(str, rows.types), strict=True))
    assert types["bool"] == "BOOLEAN"
    assert types["int64"] == "BIGINT"
    assert types["date"] == "DATE"
    assert types["timestamp"] == "TIMESTAMP"
    assert types["timestamptz"] == "TIMESTAMP WITH TIME ZONE"


@pytest.mark.parametrize("compression", ["none", "lz4", "zstd"])
def test_arrow_parts_in_polars_and_pyarrow(tmp_path, compression):
    folder = export(tmp_path, "arrow", "compression", compression)
    table = pyarrow.dataset.dataset(sorted(folder.glob("*.arrow")), format="ipc").to_table()
    columns = {name: table[name].to_pylist() for name in table.column_names}
    check(columns)
    frame = polars.concat([polars.read_ipc(path)
                           for path in sorted(folder.glob("*.arrow"))])
    assert frame.height == 3
    assert frame["enum"].to_list() == ["red", "green", None]


@pytest.mark.parametrize("kind", ["parquet", "csv", "arrow"])
def test_metadata_keeps_to_its_schema(tmp_path, kind):
    folder = export(tmp_path, kind)
    schema = json.loads(
        (REPOSITORY / "docs" / "schemas" / "export_metadata.schema.json").read_text())
    metadata = json.loads((folder / "_export_metadata.json").read_text())
    jsonschema.Draft202012Validator(schema).validate(metadata)
    assert metadata["totals"]["rows"] == 3
    assert [part["rows"] for part in metadata["parts"]] == [1, 2]
    assert metadata["format"] == kind
    metadata["unknown"] = 1
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(schema).validate(metadata)
