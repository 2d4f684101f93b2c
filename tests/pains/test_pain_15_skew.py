"""Skewed keys and fat rows still make even units."""

import json

from support import exports


def largest_share(folder) -> float:
    rows = [part["rows"] for part in exports.metadata(folder)["parts"]]
    return max(rows) / sum(rows)


def test_skewed_key(bulkhaul, postgres, database, tmp_path):
    """90 of 100 rows lie in a thousandth of the key's range."""
    postgres.sql("""CREATE TABLE t AS SELECT CASE WHEN i % 10 > 0 THEN i ELSE i * 1000000::bigint END
        AS key, i AS id FROM generate_series(1, 40000) AS i; CREATE INDEX ON t (key); ANALYZE t""",
                 database)
    bulkhaul("copy", postgres.uri_of(database), tmp_path / "out", "--table", "t", "--split", "key",
             "--split-by", "key", "--unit-rows", "4000")
    folder = tmp_path / "out" / "public_t"
    assert exports.checksum(folder).rows == 40000
    assert len(exports.parts(folder)) >= 7
    assert largest_share(folder) < 0.3


def test_one_value_that_is_half_the_table(bulkhaul, postgres, database, tmp_path):
    postgres.sql("""CREATE TABLE t AS SELECT CASE WHEN i % 2 = 0 THEN 7 ELSE i END AS key, i AS id
        FROM generate_series(1, 20000) AS i; ANALYZE t""", database)
    bulkhaul("copy", postgres.uri_of(database), tmp_path / "out", "--table", "t", "--split", "key",
             "--split-by", "key", "--unit-rows", "1000")
    ids = exports.read(tmp_path / "out" / "public_t")["id"].to_pylist()
    assert sorted(ids) == list(range(1, 20001))


def test_rows_that_live_out_of_line_make_more_units(bulkhaul, postgres, database, tmp_path):
    """8 KB of heap may stand for megabytes of TOAST: units are cut by both."""
    postgres.sql("""CREATE TABLE t (id int, big text); ALTER TABLE t ALTER big SET STORAGE EXTERNAL;
        INSERT INTO t SELECT i, repeat(md5(i::text), 3000) FROM generate_series(1, 300) AS i""",
                 database)
    pages, = postgres.sql("SELECT pg_relation_size('t') / 8192", database)[0]
    assert pages <= 3
    plan = bulkhaul("plan", postgres.uri_of(database), tmp_path / "out", "--table", "t",
                    "--unit-bytes", "4MiB", "--output", "json").json
    assert plan["units"] >= 2, json.dumps(plan)
    assert plan["estimated_bytes"] > 20_000_000
    bulkhaul("copy", postgres.uri_of(database), tmp_path / "out", "--table", "t", "--unit-bytes",
             "4MiB")
    assert exports.checksum(tmp_path / "out" / "public_t").rows == 300


def test_ten_thousand_units_plan_at_most(bulkhaul, postgres, database, tmp_path):
    postgres.sql("CREATE TABLE t AS SELECT i, repeat('x', 500) FROM generate_series(1, 150000) AS i",
                 database)
    plan = bulkhaul("plan", postgres.uri_of(database), tmp_path / "out", "--table", "t",
                    "--unit-bytes", "1", "--output", "json").json
    assert 5000 <= plan["units"] <= 10_001
