"""What the tests of loads share: a table of every type, and what a load may leave behind."""

from __future__ import annotations

import contextlib

import pytest

# One table with every type that the export reads in binary, and some that it reads as text.
TYPES_SQL = """
CREATE EXTENSION IF NOT EXISTS hstore;
CREATE EXTENSION IF NOT EXISTS citext;
CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy äöü');
CREATE TYPE pair AS (a int, b text, c numeric(6,2));
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE SCHEMA there;
CREATE TABLE every_type (
  id bigint PRIMARY KEY, a_bool boolean, a_int2 smallint NOT NULL, a_int4 integer, a_float4 real,
  a_float8 double precision, n_money numeric(15,2), n_wide numeric(60,20), n_any numeric,
  n_negative numeric(5,-2), a_text text, a_varchar varchar(10), a_char character(5), a_one "char",
  a_name name, a_bytea bytea, a_date date, a_time time, a_time3 time(3), a_timetz timetz,
  a_stamp timestamp, a_stamp3 timestamp(3), a_stamptz timestamptz, an_interval interval,
  a_uuid uuid, a_json json, a_jsonb jsonb, a_jsonpath jsonpath, an_xml xml, an_inet inet,
  a_cidr cidr, a_mac macaddr, a_mac8 macaddr8, a_bit bit(5), a_varbit varbit, a_money money,
  an_lsn pg_lsn, a_tid tid, an_oid oid, an_xid xid, an_xid8 xid8, a_point point, a_vector tsvector,
  a_mood mood, a_pair pair, a_positive positive, an_hstore hstore, a_citext citext,
  ints integer[], matrix integer[][], texts text[], stamps timestamptz[], moods mood[],
  pairs pair[], inets inet[], points point[], r_int int4range, r_num numrange, r_stamp tstzrange,
  m_int int4multirange, m_date datemultirange, "odd ""name"" äö" int);
COMMENT ON TABLE every_type IS 'all of them';
COMMENT ON COLUMN every_type.a_text IS 'it''s text';
INSERT INTO every_type VALUES (1, true, -32768, 2147483647, 1.5, 'NaN', 1234.50,
  1234567890123456789012345678901234567890.12345678901234567890, 1.2300, -12300, 'grüße 世界',
  'ab ', 'ab', 'x', 'a name', '\\x00ff10', '2024-02-29', '23:59:59.999999', '01:02:03.456',
  '12:34:56.789+05:30', '1969-12-31 23:59:59.999999', '2024-01-01 00:00:00.123',
  '2024-02-29 12:00+00', '1 year -3 days 04:05:06.789', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11',
  '{"a":  1}', '{"b": [1, null]}', '$.a[*]', '<a>1</a>', '10.1.2.3/24', 'fe80::/10',
  '08:00:2b:01:02:03', '08:00:2b:01:02:03:04:05', '10101', '1011', 12.34, '16/B374D848', '(3,7)',
  4294967295, '77', '18446744073709551615', '(1.5,-2)', 'fat & rat'::tsquery::text::tsvector,
  'happy äöü', ROW(1, 'x,"y', 2.50), 7, 'a=>1, b=>NULL', 'MiXed', '{1,NULL,3}', '{{1,2},{3,4}}',
  '{a,NULL,"c,d"}', '{"2024-01-01 00:00+00"}', '{ok,sad}', ARRAY[ROW(1,'p',NULL)::pair, NULL],
  '{10.0.0.1,::1}', '{"(1,2)","(3,4)"}', '[1,5)', '(,2.5]', '["2024-01-01 00:00+00",)',
  '{[1,3),[5,7)}', '{[2024-01-01,2024-02-01)}', 5);
INSERT INTO every_type (id, a_int2) VALUES (2, 0);
INSERT INTO every_type (id, a_int2, ints, matrix, texts, r_int, m_int, an_hstore, a_text, n_any,
  n_money) VALUES (3, 1, '{}', '{}', '{}', 'empty', '{}', '', '', 'NaN', 0);
"""


def leftovers(sql):
    return sql("SELECT oid::regclass::text FROM pg_class WHERE relkind = 'r' "
               "AND relname LIKE '\\_bulkhaul%'")


@contextlib.contextmanager
def loads_into(server, database: str, *tables: str):
    """Gives what runs SQL there: without these tables at first, and at the end without what jobs
    have left that failed and could go on."""
    def run(text: str):
        return server.sql(text, database)
    if tables:
        run(f"DROP TABLE IF EXISTS {', '.join(tables)} CASCADE")
    yield run
    for (name,) in leftovers(run):
        run(f"DROP TABLE {name}")


def database_fixture(name: str, *statements: str, settings: str = ""):
    """A module's own database on the shared server, made by these statements; gives its URI. Name it
    `database`."""
    @pytest.fixture(scope="module")
    def database(postgres):
        postgres.sql(f"CREATE DATABASE {name}")
        if settings:
            postgres.sql(f"ALTER DATABASE {name} SET {settings}")
        for statement in statements:
            postgres.sql(statement, name)
        yield postgres.uri_of(name)
        postgres.sql(f"DROP DATABASE {name} WITH (FORCE)")
    return database


def sql_fixture(name: str, *tables: str):
    """What runs SQL there, by loads_into() for each test. Name it `sql`."""
    @pytest.fixture
    def sql(postgres, database):
        with loads_into(postgres, name, *tables) as run:
            yield run
    return sql
