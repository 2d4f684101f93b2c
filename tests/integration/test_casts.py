"""Casts of Parquet and JSON lines: no value changes silently, and errors name its place."""

from __future__ import annotations

import datetime
import decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from support.files import load, refuse, write  # noqa: F401


@pytest.fixture
def parquet(tmp_path):
    path = tmp_path / "pc.parquet"
    pq.write_table(pa.table({
        "dec": pa.array([decimal.Decimal("0.25"), decimal.Decimal("1234567890123456789.25")],
                        pa.decimal128(38, 2)),
        "i": [1, 16777217], "d": [2.0, 0.1],
        "ts": [datetime.datetime(2024, 1, 1, 12), None]}), path)
    return path


@pytest.mark.parametrize("cast, error", [
    ("dec=float64", "column 'dec' holds 1234567890123456789.25, which is not a double: it has more "
                    "digits than a double holds; string or decimal(p,s) keeps them"),
    ("i=bool", "column 'i' holds 16777217, which is not a bool: only 0 and 1 are false and true"),
    ("i=float32", "column 'i' holds 16777217, which is not a float"),
    ("d=bool", "column 'd' holds 2"), ("d=int64", "column 'd' holds 0.1, which is not a int64")])
def test_a_cast_of_parquet_loses_nothing(refuse, parquet, cast, error):
    row = 1 if cast == "d=bool" else 2
    assert f"pc.parquet, row {row} of the unit: cast: {error}" in refuse(parquet, "--cast", cast)


def test_the_row_is_that_of_the_file_behind_where_and_limit(refuse, tmp_path):
    rows = [f'{{"id": {i}, "k": {i % 3}}}' for i in range(1, 3001)]
    file = write(tmp_path / "a.jsonl", "\n".join(["", *rows]) + "\n")
    for words in ((), ("--where", "k != 0"), ("--batch-rows", "100"), ("--strategy", "eager")):
        assert f"{file}, line 129: cast: column 'id' holds 128" in refuse(
            file, "--cast", "id=int8", *words)
    assert f"{file}, line 129: cast: column 'key' holds 128" in refuse(
        file, "--rename", "id=key", "--cast", "key=int8")


def test_what_no_cast_does_is_refused_by_the_plan(bulkhaul, parquet, tmp_path):
    told = bulkhaul("plan", parquet, tmp_path / "out", "--cast", "ts=time", code=None)
    assert told.code != 0
    assert "cast: column 'ts' is timestamp, which cannot become time" in told.err


def test_type_mismatch_null_is_about_casts_too(load, tmp_path, parquet):
    file = write(tmp_path / "a.jsonl", '{"a": 1.25, "b": 1}\n{"a": 1.239, "b": 300}\n')
    assert load(file, "--cast", "a=decimal(9,2)", "--cast", "b=int8", "--type-mismatch", "null") == [
        {"a": decimal.Decimal("1.25"), "b": 1}, {"a": None, "b": None}]
    rows = load(parquet, "--cast", "dec=float64", "--type-mismatch", "null", "--columns", "dec")
    assert rows == [{"dec": 0.25}, {"dec": None}]
