"""NULL is not the empty text, not zero, not 1970, not false, not the empty array."""

import csv
import io

MAKE = """CREATE TABLE t (id int, a text, b bytea, c int, d timestamptz, e boolean, f int[], g jsonb);
    INSERT INTO t VALUES (1, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
    (2, '', '', 0, 'epoch', false, '{}', '{}'), (3, 'NULL', '\\x00', -1, '1970-01-02', true,
    '{NULL}', 'null')"""


def test_parquet(export):
    null, empty, odd = sorted(export(MAKE).to_pylist(), key=lambda row: row["id"])
    assert [null[name] for name in "abcdefg"] == [None] * 7
    assert (empty["a"], empty["b"], empty["c"], empty["e"], empty["f"]) == ("", b"", 0, False, [])
    assert empty["d"].timestamp() == 0 and empty["g"] == "{}"
    assert odd["a"] == "NULL" and odd["f"] == [None] and odd["g"] == "null"


def test_csv(bulkhaul, postgres, database, tmp_path):
    postgres.sql(MAKE, database)
    bulkhaul("copy", postgres.uri_of(database), tmp_path / "out", "--table", "t", "--format", "csv",
             "--columns", "id,a,c")
    part, = [path for path in (tmp_path / "out" / "public_t").iterdir() if ".csv" in path.name]
    lines = sorted(part.read_text().splitlines()[1:])
    assert lines == ["1,,", '2,"",0', "3,NULL,-1"]
    assert len(list(csv.reader(io.StringIO(part.read_text())))) == 4


def test_csv_null_text_stays_apart_from_the_same_text(bulkhaul, postgres, database, tmp_path):
    postgres.sql(MAKE, database)
    bulkhaul("copy", postgres.uri_of(database), tmp_path / "out", "--table", "t", "--format", "csv",
             "--columns", "id,a", "--csv-null", "NULL")
    part, = [path for path in (tmp_path / "out" / "public_t").iterdir() if ".csv" in path.name]
    lines = sorted(part.read_text().splitlines()[1:])
    assert lines[0] == "1,NULL" and lines[2] == '3,"NULL"'
