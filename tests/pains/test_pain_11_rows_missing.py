""""Finished" means that every row is there: a stream that ends early is never taken for an end."""

import pytest

from support import exports
from support.proxy import FaultProxy

ROWS = 3000


@pytest.mark.parametrize("sink", ["parquet", "csv", "arrow"])
def test_stream_cut_at_many_places(bulkhaul, postgres, database, tmp_path, sink):
    """With a FIN, as a proxy or a dying server sends it, also exactly between two rows."""
    postgres.sql(f"CREATE TABLE t AS SELECT i AS x FROM generate_series(1, {ROWS}) AS i", database)
    for after in (4_000, 9_001, 20_002, 33_333):
        destination = tmp_path / f"out{after}"
        with FaultProxy(postgres.port) as between:
            between.inject("close", after, times=1_000_000)
            outcome = bulkhaul(
                "copy", between.uri(database) + "?sslmode=disable", destination, "--table", "t",
                "--format", sink, "--retries", "1", "--retry-delay", "1ms", "--workers", "1",
                code=None)
            assert between.faults_done > 0
        assert outcome.code == 1, (after, outcome.out)
        assert exports.visible(destination) == []


def test_published_count_is_the_servers(bulkhaul, postgres, database, tmp_path):
    """Dead rows, holes and empty pages of a well-used table."""
    for statement in (
            "CREATE TABLE t AS SELECT i AS id, repeat('x', 300) AS pad "
            "FROM generate_series(1, 20000) AS i",
            "DELETE FROM t WHERE id % 7 = 0 OR id BETWEEN 5000 AND 9000",
            "UPDATE t SET pad = 'y' WHERE id % 5 = 0", "VACUUM t",
            "INSERT INTO t SELECT i, 'z' FROM generate_series(30000, 30500) AS i",
            "DELETE FROM t WHERE id > 19000 AND id < 30000", "VACUUM t"):
        postgres.sql(statement, database)
    wanted = postgres.sql("SELECT count(*), sum(id), count(DISTINCT id) FROM t", database)[0]
    bulkhaul("copy", postgres.uri_of(database), tmp_path / "out", "--table", "t", "--unit-bytes",
             "16KiB")
    found = exports.query(tmp_path / "out" / "public_t",
                          "SELECT count(*), sum(id)::BIGINT, count(DISTINCT id) FROM {rows}")[0]
    assert found == tuple(int(value) for value in wanted)
