"""Tables that become wider for the rows that are loaded: what ALTER COLUMN TYPE can do, and what is
refused before a row is read because PostgreSQL would refuse it at the end."""

from __future__ import annotations

import datetime
import decimal

import pyarrow
import pyarrow.parquet as parquet
import pytest

EVOLVE = ["--if-exists", "append", "--drift", "retyped=evolve"]
FUNCTIONS = """
CREATE FUNCTION fires() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END';
CREATE FUNCTION odd(integer) RETURNS boolean IMMUTABLE LANGUAGE sql AS 'SELECT $1 % 2 = 1';
"""


@pytest.fixture
def schema(postgres, database):
    """Runs SQL in a schema of its own."""
    postgres.sql("DROP SCHEMA IF EXISTS evolve CASCADE; CREATE SCHEMA evolve", database)
    return lambda text: postgres.sql("SET search_path = evolve;" + text, database)


@pytest.fixture
def load(tmp_path, bulkhaul, postgres, database):
    """Loads a table, or plans to, into evolve.t."""
    def run(table, *words, verb="copy"):
        path = tmp_path / "t.parquet"
        parquet.write_table(table, path)
        return bulkhaul(verb, path, postgres.uri_of(database), "--target-schema", "evolve", *EVOLVE,
                        *words, code=None)
    return run


def types_of(schema) -> dict:
    return dict(schema("SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute"
                       " WHERE attrelid = 't'::regclass AND attnum > 0 AND NOT attisdropped"))


@pytest.mark.parametrize("mode", [[], ["--commit", "unit"], ["--if-exists", "replace"]],
                         ids=["append", "unit", "replace"])
def test_types_become_wider_and_keep_every_value(schema, load, mode):
    schema("CREATE TABLE t (short varchar(3) PRIMARY KEY, padded char(3), exact numeric(4,2),"
           " day date DEFAULT current_date, moment timestamp(0), numbers integer[],"
           " names varchar(2)[], same text, fits varchar);"
           "CREATE INDEX ON t (lower(short)); CREATE INDEX ON t USING gin (numbers);"
           "ALTER TABLE t ADD CHECK (exact > 0);"
           "INSERT INTO t VALUES ('abc', 'x', 12.34, '2024-02-29', '2024-01-01 10:00', '{1,NULL}',"
           " '{ab}', 's', 'f')")
    outcome = load(pyarrow.table({
        "short": ["longer than that"], "padded": ["not padded "],
        "exact": pyarrow.array([decimal.Decimal("123456.789")], pyarrow.decimal128(12, 3)),
        "day": [datetime.datetime(2024, 3, 1, 12, 30)],
        "moment": [datetime.datetime(2024, 3, 1, 12, 30, 0, 123456)],
        "numbers": [[3_000_000_000, None]], "names": [["abcd", None]], "same": ["s"],
        "fits": ["f"]}), *mode)
    assert outcome.code == 0, outcome.err
    assert types_of(schema) == {
        "short": "text", "padded": "text", "exact": "numeric(12,3)",
        "day": "timestamp without time zone", "moment": "timestamp without time zone",
        "numbers": "bigint[]", "names": "text[]", "same": "text", "fits": "character varying"}
    rows = schema("SELECT * FROM t ORDER BY exact")
    was = ("abc", "x", decimal.Decimal("12.340"), datetime.datetime(2024, 2, 29),
           datetime.datetime(2024, 1, 1, 10), [1, None], ["ab"], "s", "f")
    now = ("longer than that", "not padded ", decimal.Decimal("123456.789"),
           datetime.datetime(2024, 3, 1, 12, 30),
           datetime.datetime(2024, 3, 1, 12, 30, 0, 123456), [3_000_000_000, None],
           ["abcd", None], "s", "f")
    assert rows == ([now] if "replace" in mode else [was, now])


def test_text_that_becomes_longer_is_no_rewrite_of_the_table(schema, load):
    schema("CREATE TABLE t (v varchar(3)); INSERT INTO t VALUES ('abc')")
    file = "SELECT pg_relation_filenode('t')"
    before = schema(file)
    assert load(pyarrow.table({"v": ["abcdef"]})).code == 0
    assert types_of(schema) == {"v": "text"} and schema(file) == before


def test_a_longer_varchar_of_another_database_is_taken_over(schema, postgres, database, bulkhaul):
    schema("CREATE SCHEMA evolve_from;"
           "CREATE TABLE evolve_from.t AS SELECT 'abcdef'::varchar(8) AS v, 1.5::numeric AS n;"
           "CREATE TABLE t (v varchar(3), n numeric(3,2))")
    uri = postgres.uri_of(database)
    outcome = bulkhaul("copy", uri, uri, "--table", "evolve_from.t",
                       "--target-schema", "evolve", *EVOLVE, code=None)
    assert outcome.code == 0, outcome.err
    assert types_of(schema) == {"v": "character varying(8)", "n": "numeric"}
    assert schema("SELECT v, n FROM t") == [("abcdef", decimal.Decimal("1.5"))]
    schema("DROP SCHEMA evolve_from CASCADE")


USES = {
    "view": ("CREATE TABLE t (a int); CREATE VIEW w AS SELECT a FROM t", "view evolve.w"),
    "materialized view": ("CREATE TABLE t (a int);"
                          "CREATE MATERIALIZED VIEW w AS SELECT a + 1 FROM t",
                          "materialized view evolve.w"),
    "rule": ("CREATE TABLE t (a int); CREATE TABLE log (a int);"
             "CREATE RULE r AS ON DELETE TO t DO ALSO INSERT INTO log VALUES (old.a)",
             "rule r on table evolve.t"),
    "generated": ("CREATE TABLE t (a int, g int GENERATED ALWAYS AS (a * 2) STORED)",
                  "generated column g of table evolve.t"),
    "policy": ("CREATE TABLE t (a int); CREATE POLICY p ON t USING (a > 1)",
               "policy p on table evolve.t"),
    "trigger": ("CREATE TABLE t (a int); CREATE TRIGGER g BEFORE UPDATE OF a ON t FOR EACH ROW"
                " EXECUTE FUNCTION fires()", "trigger g on table evolve.t"),
    "trigger when": ("CREATE TABLE t (a int); CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW"
                     " WHEN (new.a > 1) EXECUTE FUNCTION fires()", "trigger g on table evolve.t"),
    "function": ("CREATE TABLE t (a int);"
                 "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT a FROM t; END",
                 "function evolve.f()"),
    "partition key": ("CREATE TABLE t (a int) PARTITION BY RANGE (a)",
                      "the partition key of evolve.t"),
    "partition expression": ("CREATE TABLE t (a int) PARTITION BY RANGE ((a + 1))",
                             "the partition key of evolve.t"),
    "view of a partition": ("CREATE TABLE t (a int, b int) PARTITION BY RANGE (b);"
                            "CREATE TABLE t1 PARTITION OF t DEFAULT;"
                            "CREATE VIEW w AS SELECT a FROM t1", "view evolve.w"),
    "partition": ("CREATE TABLE whole (a int, b int) PARTITION BY RANGE (b);"
                  "CREATE TABLE t PARTITION OF whole DEFAULT", "table evolve.whole"),
    "typed table": ("CREATE TYPE one AS (a int); CREATE TABLE t OF one", "type evolve.one"),
    "row type": ("CREATE TABLE t (a int); CREATE TABLE other (x t[])",
                 "column x of table evolve.other"),
    "publication": ("CREATE TABLE t (a int PRIMARY KEY); CREATE PUBLICATION p FOR TABLE t (a)",
                    "publication of table evolve.t in publication p"),
}


@pytest.mark.parametrize("use", USES)
def test_a_column_that_something_uses_is_refused_by_name(schema, load, use):
    made, named = USES[use]
    schema("DROP PUBLICATION IF EXISTS p;" + FUNCTIONS + made)
    with pytest.raises(Exception):  # the server does refuse it
        schema("ALTER TABLE t ALTER COLUMN a TYPE bigint")
    refused = load(pyarrow.table({"a": [3_000_000_000]}))
    assert refused.code != 0
    assert f'column "a" of evolve.t would become bigint, but {named} uses it' in refused.err
    schema("DROP PUBLICATION IF EXISTS p")


@pytest.mark.parametrize("made", [
    "CREATE TABLE t (a int); CREATE INDEX ON t (odd(a))",
    "CREATE TABLE t (a int CHECK (odd(a)))"], ids=["index", "check"])
def test_an_expression_that_does_not_go_with_the_new_type_is_refused(schema, load, made):
    schema(FUNCTIONS + made)
    refused = load(pyarrow.table({"a": [3_000_000_000]}))
    assert refused.code != 0
    assert "an index, a check or a default of it does not go with the new type" in refused.err
    assert "odd(bigint) does not exist" in refused.err
    assert schema("SELECT relname FROM pg_class WHERE relname LIKE '\\_bulkhaul%'") == []


@pytest.mark.parametrize("made, named", [
    ("CREATE TABLE t (a int GENERATED BY DEFAULT AS IDENTITY)", "its identity"),
    ("CREATE TABLE parent (a int PRIMARY KEY); CREATE TABLE t (a int REFERENCES parent)",
     "foreign key t_a_fkey")], ids=["identity", "foreign key"])
def test_identity_and_foreign_keys_stay_integers(schema, load, made, named):
    schema(made)
    exact = pyarrow.table({"a": pyarrow.array([decimal.Decimal(1)], pyarrow.decimal128(20, 0))})
    refused = load(exact)
    assert refused.code != 0 and f"numeric(20,0), but {named} uses it" in refused.err, refused.err
    planned = load(pyarrow.table({"a": [1]}), verb="plan")
    assert planned.code == 0 and "becomes bigint" in planned.out, planned.err


def test_what_does_not_hinder_the_server_hinders_no_load(schema, load):
    """Plain triggers, indexes, checks and statistics stay as they are."""
    schema(FUNCTIONS +
           "CREATE TABLE t (a int PRIMARY KEY CHECK (a > 0), b int); CREATE INDEX ON t ((a + 1))"
           " WHERE a > 2; CREATE STATISTICS s ON a, b FROM t; CREATE TABLE child (a int REFERENCES"
           " t); CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION fires();"
           "CREATE VIEW w AS SELECT b FROM t; INSERT INTO t VALUES (1, 1)")
    assert load(pyarrow.table({"a": [3_000_000_000]})).code == 0
    assert types_of(schema) == {"a": "bigint", "b": "integer"}
    assert schema("SELECT count(*) FROM w") == [(2,)]


def test_text_of_any_length_leaves_a_column_that_a_view_shows(schema, load):
    """Nobody knows how long the rows' texts are: those that fit load, as they did before."""
    schema("CREATE TABLE t (v varchar(3)); CREATE VIEW w AS SELECT v FROM t")
    planned = load(pyarrow.table({"v": ["abc"]}), verb="plan")
    assert planned.code == 0
    assert 'column "v" of evolve.t stays character varying(3)' in planned.out
    assert "view evolve.w uses it" in planned.out
    assert load(pyarrow.table({"v": ["abc"]})).code == 0
    refused = load(pyarrow.table({"v": ["abcd"]}))
    assert refused.code != 0 and "too long for type character varying(3)" in refused.err
