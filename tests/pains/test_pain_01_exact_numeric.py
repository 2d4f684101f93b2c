"""Numbers arrive exactly: never as a double, never as NULL."""

from decimal import Decimal

import duckdb
import pyarrow
import pytest

from support import exports

WIDE = "123456789012345678901234567890.12345678"


def test_decimals_to_38_digits(export):
    table = export(f"""CREATE TABLE t (a numeric(38,8), b numeric(18,2), c numeric(9,0),
        d numeric(5,-2), e numeric(4,6));
        INSERT INTO t VALUES ({WIDE}, 9999999999999999.99, -999999999, 1234500, 0.001234),
        (-{WIDE}, -0.01, 0, -100, -0.000001), (NULL, NULL, NULL, NULL, NULL)""")
    row = table.to_pylist()
    assert row[0]["a"] == Decimal(WIDE) and row[1]["a"] == Decimal("-" + WIDE)
    assert row[0]["b"] == Decimal("9999999999999999.99") and row[1]["b"] == Decimal("-0.01")
    assert int(row[0]["c"]) == -999999999
    assert Decimal(row[0]["d"]) == 1234500 and Decimal(row[1]["d"]) == -100
    assert Decimal(row[0]["e"]) == Decimal("0.001234") and Decimal(row[1]["e"]) == Decimal("-0.000001")
    assert list(row[2].values()) == [None] * 5
    assert pyarrow.types.is_decimal(table.schema.field("b").type)


def test_more_than_38_digits_is_text_or_decimal256(export):
    digits = "9" * 60 + "." + "1" * 10
    make = f"CREATE TABLE t (a numeric(70,10)); INSERT INTO t VALUES ({digits}), (-{digits})"
    assert export(make)["a"].to_pylist() == [digits, "-" + digits]
    wide = export(make, "--wide-numeric", "decimal256")
    assert [str(value) for value in wide["a"].to_pylist()] == [digits, "-" + digits]


def test_numeric_without_precision(export):
    make = "CREATE TABLE t (a numeric); INSERT INTO t VALUES (0.1), (1e30), (-0.000000000001)"
    assert export(make)["a"].to_pylist() == [
        "0.1", "1000000000000000000000000000000", "-0.000000000001"]
    make = "CREATE TABLE t (a numeric); INSERT INTO t VALUES (0.1), (12.34567)"
    exact = export(make, "--numeric", "decimal(20,5)")
    assert exact["a"].to_pylist() == [Decimal("0.10000"), Decimal("12.34567")]
    assert export(make, "--numeric", "double")["a"].to_pylist() == [0.1, 12.34567]


def test_value_that_the_asked_type_cannot_hold_is_an_error(export):
    outcome = export("CREATE TABLE t (price numeric); INSERT INTO t VALUES (1), (0.123456)",
                     "--numeric", "decimal(20,5)", code=1)
    said = outcome.err + outcome.out
    assert "price" in said and "numeric" in said, said


@pytest.mark.parametrize("column", ["int2", "int4", "int8"])
def test_extreme_integers(export, column):
    bits = {"int2": 15, "int4": 31, "int8": 63}[column]
    table = export(f"CREATE TABLE t (a {column}); INSERT INTO t VALUES "
                   f"(-{2**bits}), ({2**bits - 1}), (0), (NULL)".replace(
                       f"(-{2**bits})", f"(('-{2**bits}')::{column})"))
    assert table["a"].to_pylist() == [-(2**bits), 2**bits - 1, 0, None]


def test_other_readers_sum_exactly(export, tmp_path):
    export("CREATE TABLE t AS SELECT (i || '.07')::numeric(20,2) AS a "
           "FROM generate_series(1, 10000) AS i")
    found = exports.query(tmp_path / "out0" / "public_t",
                          "SELECT sum(a), typeof(any_value(a)) FROM {rows}")
    assert found == [(Decimal("50005700.00"), "DECIMAL(20,2)")]


def test_floats_keep_every_bit(export):
    table = export("CREATE TABLE t (a float8, b float4); INSERT INTO t VALUES "
                   "(5e-324, 1e-45), (1.7976931348623157e308, 3.4028235e38), (0.1, 0.1), "
                   "('-0', '-0')")
    assert table["a"].to_pylist()[:3] == [5e-324, 1.7976931348623157e308, 0.1]
    assert str(table["a"].to_pylist()[3]) == "-0.0"
    assert duckdb.sql("SELECT 0.1::FLOAT::DOUBLE").fetchone()[0] == table["b"].to_pylist()[2]
