"""What may succeed later is tried again; what cannot is said at once."""

import json

from support import exports
from support.proxy import FaultProxy


def test_fatal_errors_are_not_retried(bulkhaul, postgres, database, tmp_path):
    postgres.sql(f"""CREATE TABLE t AS SELECT 1 AS x; CREATE ROLE "stranger_{database}" LOGIN;
        CREATE VIEW broken AS SELECT 1 / (x - 1) AS y FROM t""", database)
    try:
        with FaultProxy(postgres.port) as between:
            for user, table, word in ((f"stranger_{database}", "t", "permission denied"),
                                      ("postgres", "broken", "division by zero")):
                report = tmp_path / f"{table}.json"
                outcome = bulkhaul(
                    "copy", between.uri(database, user) + "?sslmode=disable", tmp_path / "out",
                    "--table", table, "--retry-delay", "1h", "--retry-delay-max", "1h",
                    "--report", report, code=1)
                assert word in outcome.err
                assert json.loads(report.read_text())["totals"]["retries"] == 0
        assert exports.visible(tmp_path / "out") == []
    finally:
        postgres.sql(f'DROP ROLE "stranger_{database}"')


def test_wrong_password_is_tried_once(bulkhaul, postgres_factory, tmp_path):
    cluster = postgres_factory()
    (cluster.folder / "data" / "pg_hba.conf").write_text(
        "local all all trust\nhost all keyless 127.0.0.1/32 scram-sha-256\n"
        "host all all 127.0.0.1/32 trust\n")
    cluster.sql("CREATE ROLE keyless LOGIN PASSWORD 'right'")
    cluster.restart()
    with FaultProxy(cluster.port) as between:
        outcome = bulkhaul("copy", between.uri("postgres", "keyless:wrong") + "?sslmode=disable",
                           tmp_path / "out", "--all", "--retry-delay", "1h", "--retry-delay-max", "1h",
                           code=None)
        assert outcome.code in (1, 2)
        assert between.connections == 1
    assert "password authentication failed" in outcome.err and "wrong" not in outcome.err
    bulkhaul("copy", cluster.uri_of("postgres", "keyless:right"), tmp_path / "out", "--query",
             "SELECT 1 AS x")
    cluster.stop()


def test_transient_errors_are(bulkhaul, postgres, database, tmp_path):
    postgres.sql("CREATE TABLE t AS SELECT i AS x, md5(i::text) AS m "
                 "FROM generate_series(1, 20000) AS i", database)
    report = tmp_path / "report.json"
    with FaultProxy(postgres.port) as between:
        between.inject("reset", 100_000, times=3)
        bulkhaul("copy", between.uri(database) + "?sslmode=disable", tmp_path / "out", "--table",
                 "t", "--retry-delay", "1ms", "--retries", "10", "--report", report, "--unit-bytes", "256KiB")
    assert exports.checksum(tmp_path / "out" / "public_t").rows == 20000
    assert json.loads(report.read_text())["totals"]["retries"] >= 3
