"""NaN and infinity are kept where the type has them; elsewhere the user decides, and is told."""

import json
import math

import pytest

MAKE_NUMERIC = """CREATE TABLE t (price numeric(10,2));
    INSERT INTO t VALUES (1.5), ('NaN'), (NULL), (2.5)"""
MAKE_TIMES = """CREATE TABLE t (day date, at timestamptz, local timestamp);
    INSERT INTO t VALUES ('infinity', '-infinity', 'infinity'),
    ('2020-02-29', '2020-02-29 12:00+00', '2020-02-29 12:00')"""


def test_floats_have_them(export):
    values = export("CREATE TABLE t (a float8, b float4); INSERT INTO t VALUES ('NaN', 'NaN'), "
                    "('Infinity', 'Infinity'), ('-Infinity', '-Infinity'), (NULL, NULL)")
    for name in ("a", "b"):
        nan, plus, minus, null = values[name].to_pylist()
        assert math.isnan(nan) and plus == math.inf and minus == -math.inf and null is None


def test_nan_in_a_decimal_is_an_error_that_names_the_option(export):
    outcome = export(MAKE_NUMERIC, code=1)
    said = outcome.err + outcome.out
    for word in ("price", "public.t", "numeric", "NaN"):
        assert word in said, (word, said)


def test_nan_in_a_decimal_as_null_is_counted(export, tmp_path):
    report = tmp_path / "report.json"
    table = export(MAKE_NUMERIC, "--numeric-nan", "null", "--report", report)
    assert [None if value is None else float(value) for value in table["price"].to_pylist()] == [
        1.5, None, None, 2.5]
    counters = json.loads(report.read_text())["tables"][0]["counters"]
    assert sum(counters.values()) == 1, counters


def test_numeric_without_precision_keeps_them_as_text(export):
    table = export("CREATE TABLE t (a numeric); INSERT INTO t VALUES ('NaN'), ('Infinity'), "
                   "('-Infinity'), (1)")
    assert table["a"].to_pylist() == ["NaN", "Infinity", "-Infinity", "1"]


def test_infinite_times_are_an_error_that_names_the_option(export):
    outcome = export(MAKE_TIMES, code=1)
    said = outcome.err + outcome.out
    assert "infinity" in said and "day" in said and "public.t" in said


@pytest.mark.parametrize("choice", ["null", "clamp"])
def test_infinite_times_as_chosen_are_counted(export, tmp_path, choice):
    report = tmp_path / "report.json"
    table = export(MAKE_TIMES, "--infinity", choice, "--report", report)
    first = [table[name][0] for name in table.column_names]
    second = [table[name][1] for name in table.column_names]
    assert [value.is_valid for value in first] == [choice == "clamp"] * 3
    if choice == "clamp":
        assert first[0].value > second[0].value
        assert first[1].value < second[1].value
        assert first[2].value > second[2].value
    assert second[0].as_py().isoformat() == "2020-02-29"
    counters = json.loads(report.read_text())["tables"][0]["counters"]
    assert sum(counters.values()) == 3, counters
