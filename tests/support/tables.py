"""Tables that the suites export."""

from __future__ import annotations

from dataclasses import dataclass

ROWS = 15_000
UNIT_BYTES = "8KiB"  # a page: a table of ROWS rows makes more than 200 units

# About 65 rows a page; every common type, NULLs, and text that is stored outside of the page.
EVENTS_SQL = f"""
CREATE TABLE events (
  id bigint PRIMARY KEY, small int2, big int8, ratio float8, price numeric(12,2), day date,
  at timestamptz, flag boolean, name text, payload bytea);
INSERT INTO events
SELECT i, (i % 100)::int2, i::int8 * 1000003, i / 7.0, (i % 10000) / 100.0, date '2020-01-01' + i % 1000,
  timestamptz '2024-02-29 12:00+00' + i * interval '1 second', i % 3 = 0,
  CASE WHEN i % 11 > 0 THEN 'name ' || i END, decode(md5(i::text), 'hex')
FROM generate_series(1, {ROWS}) AS i;
ANALYZE events;
"""

ACCOUNTS = 12_000
BALANCE = 1_000

# What the concurrent writers keep: ids 1 … ACCOUNTS, each once, and the sum of the balances.
ACCOUNTS_SQL = f"""
CREATE TABLE accounts (id bigint PRIMARY KEY, balance bigint NOT NULL, note text);
INSERT INTO accounts SELECT i, {BALANCE}, repeat('x', 60) FROM generate_series(1, {ACCOUNTS}) AS i;
ANALYZE accounts;
"""


@dataclass(frozen=True)
class Invariant:
    rows: int
    distinct_ids: int
    balance: int


ACCOUNTS_INVARIANT = Invariant(ACCOUNTS, ACCOUNTS, ACCOUNTS * BALANCE)
INVARIANT_SQL = "SELECT count(*), count(DISTINCT id), sum(balance)::BIGINT FROM {rows}"
