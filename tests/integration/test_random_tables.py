"""Random tables of random types: what is published against the server's own text casts."""

from __future__ import annotations

import datetime
import decimal
import os
import random
import uuid

import pytest
from psycopg import sql

from support import exports

UTC = datetime.timezone.utc
TABLES = int(os.environ.get("BULKHAUL_RANDOM_TABLES", 10))
ROWS = 400

# Type → (an expression over the row number i, seeded by {s}; how a value reads as the server's
# text). The sessions that cast have timezone UTC, ISO dates and hexadecimal bytes.
TYPES = {
    "int2": ("((i * {s}) % 65536 - 32768)::int2", str),
    "int4": ("((i::int8 * {s} * 7919) % 4294967296 - 2147483648)::int4", str),
    "int8": ("hashint8extended(i, {s})", str),
    "float8": ("(hashint8extended(i, {s}) / 1e12)::float8", None),
    "float4": ("(hashint8extended(i, {s}) / 1e12)::float4", None),
    "numeric(12,3)": ("(hashint8extended(i, {s}) % 1000000000000 / 1000.0)::numeric(12,3)", str),
    "numeric(38,0)": ("(hashint8extended(i, {s})::numeric * hashint8extended(i, {s} + 1))", None),
    "numeric": ("(hashint8extended(i, {s})::numeric / ({s} + i))", str),
    "numeric(60,20)": ("(hashint8extended(i, {s})::numeric / ({s} + i))", str),
    "boolean": ("(i * {s}) % 3 = 0", lambda value: "true" if value else "false"),
    "text": ("repeat(md5((i * {s})::text) || 'ä€🙂\"'',', i % 4)", str),
    "varchar(20)": ("left(md5((i * {s})::text), i % 20)", str),
    "char(7)": ("left(md5((i * {s})::text), i % 7)", str.rstrip),
    "bytea": ("decode(repeat(md5((i * {s})::text), i % 3), 'hex')",
              lambda value: "\\x" + value.hex()),
    "date": ("date '1900-01-01' + (i * {s}) % 100000", datetime.date.isoformat),
    "timestamp": ("timestamp '1800-01-01' + (i * {s}) % 99999999 * interval '1 minute 0.000001 s'",
                  None),
    "timestamptz": ("timestamptz '1950-01-01' + (i * {s}) % 99999 * interval '11 hours 0.25 s'",
                    None),
    "time": ("time '00:00' + (i * {s}) % 86399 * interval '1.000001 s'", None),
    "uuid": ("md5((i * {s})::text)::uuid", lambda value: str(
        value if isinstance(value, uuid.UUID) else uuid.UUID(bytes=value)
        if isinstance(value, bytes) else uuid.UUID(value))),
    "jsonb": ("jsonb_build_object('i', i, 's', md5((i * {s})::text), 'n', NULL)", str),
    "int4[]": ("ARRAY[i, NULL, i * 2]", lambda value: "{" + ",".join(
        "NULL" if item is None else str(item) for item in value) + "}"),
    "inet": ("('10.' || i % 256 || '.0.1/' || 8 + i % 25)::inet", str),
    "bit(9)": ("(i % 512)::bit(9)", str),
    "money": ("((i * {s}) % 1000000 / 100.0)::numeric::money", None),
}


def moment(value) -> str:
    text = value.isoformat(sep=" ")
    if "." in text:
        head, tail = text.split(".")
        text = head + "." + tail.split("+")[0].rstrip("0") + ("+00" if "+" in tail else "")
    return text.replace("+00:00", "+00")


RENDER = {
    "float8": lambda value, text: float(text) == value,
    "float4": lambda value, text: abs(float(text) - value) <= abs(value) * 1e-6,
    "numeric(38,0)": lambda value, text: int(value) == int(text),
    "timestamp": lambda value, text: moment(value) == text,
    "timestamptz": lambda value, text: moment(value.astimezone(UTC)) == text,
    "time": lambda value, text: value.isoformat().rstrip("0").rstrip(".") == text.rstrip("0").rstrip(
        ".") or value.isoformat() == text,
    "money": lambda value, text: decimal.Decimal(str(value)) == decimal.Decimal(
        text.replace("$", "").replace(",", "")),
}


def same(type_name: str, value, text) -> bool:
    if value is None or text is None:
        return value is None and text is None
    if type_name in RENDER:
        return RENDER[type_name](value, text)
    return TYPES[type_name][1](value) == text


def make_table(connection, chance: random.Random) -> dict[str, str]:
    """Creates table t with an id and random columns; gives column → type."""
    columns, expressions = {}, []
    for ordinal in range(chance.randint(1, 12)):
        type_name = chance.choice(sorted(TYPES))
        name = f"c{ordinal} {chance.choice(['', 'ä', 'select', chr(34)])}"
        columns[name] = type_name
        value = TYPES[type_name][0].replace("{s}", str(chance.randint(1, 10**4)))
        nulls = chance.choice([0, 0, 2, 3, 11])
        if nulls:
            value = f"CASE WHEN i % {nulls} > 0 THEN {value} END"
        expressions.append(f"({value})::{type_name}")
    definitions = sql.SQL(", ").join(
        sql.SQL("{} {}").format(sql.Identifier(name), sql.SQL(type_name))
        for name, type_name in columns.items())
    connection.execute(sql.SQL("DROP TABLE IF EXISTS t; CREATE TABLE t (id int, {})").format(
        definitions))
    connection.execute(f"INSERT INTO t SELECT i, {', '.join(expressions)} "
                       f"FROM generate_series(1, {chance.choice([0, 1, ROWS])}) AS i")
    return columns


@pytest.mark.parametrize("seed", range(TABLES))
def test_random_table(bulkhaul, postgres, database, tmp_path, seed):
    chance = random.Random(seed)
    with postgres.connect(database, options="-c timezone=UTC") as connection:
        columns = make_table(connection, chance)
        bulkhaul("copy", postgres.uri_of(database), tmp_path / "out", "--table", "t",
                 "--unit-bytes", chance.choice(["8KiB", "64KiB", "64MiB"]), "--workers",
                 chance.choice(["1", "2"]), "--batch-rows", chance.choice(["7", "100", "65536"]),
                 "--compression", chance.choice(["zstd:1", "snappy", "none"]), "--dictionary",
                 chance.choice(["auto", "on", "off"]))
        texts = connection.execute(sql.SQL("SELECT id, {} FROM t ORDER BY id").format(
            sql.SQL(", ").join(sql.SQL("{}::text").format(sql.Identifier(name))
                               for name in columns))).fetchall()
    table = exports.read(tmp_path / "out" / "public_t").sort_by("id")
    assert table.column_names == ["id", *columns]
    assert table["id"].to_pylist() == [row[0] for row in texts]
    for ordinal, (name, type_name) in enumerate(columns.items(), start=1):
        for row, value in enumerate(table[name].to_pylist()):
            assert same(type_name, value, texts[row][ordinal]), (
                f"{type_name}: {value!r} is not {texts[row][ordinal]!r}")
