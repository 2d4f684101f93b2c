"""No zone of server, session or client shifts a date or a time."""

import datetime

import pytest

MAKE = """CREATE TABLE t (day date, local timestamp, at timestamptz, clock time);
    INSERT INTO t VALUES ('1969-12-31', '2024-03-31 02:30:00.123456', '2024-03-31 02:30:00+00',
    '23:59:59.999999'), ('0001-01-01', '0001-01-01 00:00', '1900-01-01 00:00+00', '00:00'),
    ('2024-02-29', '1969-12-31 23:59:59.999999', '1969-12-31 23:59:59.999999+00', '12:00')"""


@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo", "America/St_Johns", "Europe/Berlin"])
def test_nothing_is_shifted(bulkhaul, export, postgres, database, zone):
    postgres.sql(f"ALTER DATABASE \"{database}\" SET timezone = '{zone}'", database)
    bulkhaul.environment["TZ"] = zone
    bulkhaul.environment["PGTZ"] = zone
    table = export(MAKE)
    utc = datetime.timezone.utc
    rows = table.to_pylist()
    assert [row["day"].isoformat() for row in rows] == ["1969-12-31", "0001-01-01", "2024-02-29"]
    assert rows[0]["local"] == datetime.datetime(2024, 3, 31, 2, 30, 0, 123456)
    assert rows[1]["local"] == datetime.datetime(1, 1, 1)
    assert rows[2]["local"] == datetime.datetime(1969, 12, 31, 23, 59, 59, 999999)
    assert rows[0]["at"] == datetime.datetime(2024, 3, 31, 2, 30, tzinfo=utc)
    assert rows[2]["at"] == datetime.datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=utc)
    assert rows[0]["clock"] == datetime.time(23, 59, 59, 999999)
    assert table.schema.field("at").type.tz == "UTC"
    assert table.schema.field("local").type.tz is None


def test_dates_that_python_does_not_have(export):
    table = export("""CREATE TABLE t (day date, at timestamp); INSERT INTO t VALUES
        ('4713-01-01 BC', '4713-01-01 00:00 BC'), ('5874897-12-31', '250000-12-31 00:00')""")
    assert table["day"][0].value == -2440550  # days of julian day 38 before 1970
    assert table["day"][1].value == 2147483493 - 2440588  # julian days
    assert table["at"][1].value > 0 > table["at"][0].value


def test_timestamp_out_of_range_is_an_error(export):
    """Microseconds since 2000 fit, since 1970 they do not."""
    outcome = export("CREATE TABLE t (at timestamp); INSERT INTO t VALUES ('294276-12-31')", code=1)
    assert "at" in outcome.err + outcome.out and "infinity" in outcome.err + outcome.out
    table = export("CREATE TABLE t (at timestamp); INSERT INTO t VALUES ('294276-12-31')",
                   "--infinity", "null")
    assert table["at"].null_count == 1
