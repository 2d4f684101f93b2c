"""Any column can split a table, with NULLs, duplicates and odd values."""

import pytest

from support import exports

ROWS = 6000
KEYS = {
    "int4": "i", "int8": "i * 1000000007::int8 - 3000000000000", "int2": "(i % 300)::int2",
    "date": "date '1999-12-31' + i", "timestamptz": "timestamptz '2000-01-01' + i * interval '7 min'",
    "timestamp": "timestamp '1969-12-31' + i * interval '1 hour'",
    "numeric": "i / 7.0", "uuid": "md5(i::text)::uuid", "text": "md5(i::text)",
    "varchar(40)": "'Käse \"' || (i % 977) || '''; --'", "float8": "(i - 3000) / 3.0",
    "bytea": "decode(md5(i::text), 'hex')", "boolean": "i % 2 = 0", "char(9)": "'x' || (i % 50)",
}


@pytest.mark.parametrize("type_name", KEYS)
def test_key(bulkhaul, postgres, database, tmp_path, type_name):
    postgres.sql(f"""CREATE TABLE t (id int, key {type_name});
        INSERT INTO t SELECT i, CASE WHEN i % 13 > 0 THEN {KEYS[type_name]} END
        FROM generate_series(1, {ROWS}) AS i; ANALYZE t""", database)
    bulkhaul("copy", postgres.uri_of(database), tmp_path / "out", "--table", "t", "--split", "key",
             "--split-by", "key", "--unit-rows", "500")
    table = exports.read(tmp_path / "out" / "public_t")
    assert sorted(table["id"].to_pylist()) == list(range(1, ROWS + 1))
    assert table["key"].null_count == ROWS // 13
    if type_name != "boolean":
        assert len(exports.parts(tmp_path / "out" / "public_t")) > 3


def test_infinities_and_nan_in_the_key(bulkhaul, postgres, database, tmp_path):
    postgres.sql("""CREATE TABLE t (id int, at timestamptz, f float8, n numeric);
        INSERT INTO t SELECT i, timestamptz '2020-01-01' + i * interval '1 day', i, i
        FROM generate_series(1, 997) AS i;
        INSERT INTO t VALUES (998, 'infinity', 'NaN', 'NaN'), (999, '-infinity', 'Infinity',
        'Infinity'), (1000, NULL, '-Infinity', '-Infinity'); ANALYZE t""", database)
    for key in ("at", "f", "n"):
        bulkhaul("copy", postgres.uri_of(database), tmp_path / key, "--table", "t", "--split",
                 "key", "--split-by", key, "--unit-rows", "100", "--infinity", "clamp")
        ids = exports.read(tmp_path / key / "public_t")["id"].to_pylist()
        assert sorted(ids) == list(range(1, 1001)), key


def test_hash_where_there_is_no_order(bulkhaul, postgres, database, tmp_path):
    postgres.sql("CREATE TABLE t AS SELECT i AS id, jsonb_build_object('k', i % 100) AS j "
                 f"FROM generate_series(1, {ROWS}) AS i; ANALYZE t", database)
    bulkhaul("copy", postgres.uri_of(database), tmp_path / "out", "--table", "t", "--split", "hash",
             "--split-by", "id", "--unit-rows", "1000")
    assert sorted(exports.read(tmp_path / "out" / "public_t")["id"].to_pylist()) == list(
        range(1, ROWS + 1))


def test_query_is_split(bulkhaul, postgres, database, tmp_path):
    """Also one that ends in a comment or a semicolon."""
    postgres.sql(f"CREATE TABLE t AS SELECT i AS id FROM generate_series(1, {ROWS}) AS i; ANALYZE t",
                 database)
    for turn, tail in enumerate(("", " ;\n", " -- all of them", "\n-- end\n", "; -- end\n")):
        bulkhaul("copy", postgres.uri_of(database), tmp_path / f"out{turn}", "--query",
                 "SELECT id, id * 2 AS double FROM t WHERE id % 2 = 0" + tail, "--split-by", "id",
                 "--unit-rows", "500")
        folder, = exports.table_folders(tmp_path / f"out{turn}")
        assert sorted(exports.read(folder)["id"].to_pylist()) == list(range(2, ROWS + 1, 2))


@pytest.mark.parametrize("query, word", [
    ("SELECT random() AS id", "random"),
    ("SELECT 1 AS id, 2 AS id", "id"),
])
def test_query_that_cannot_be_split_is_refused(bulkhaul, postgres, database, tmp_path, query, word):
    outcome = bulkhaul("copy", postgres.uri_of(database), tmp_path / "out", "--query", query,
                       "--split-by", "id", "--unit-rows", "10", code=None)
    assert outcome.code in (1, 2)
    assert word in outcome.err
    assert exports.visible(tmp_path / "out") == []
