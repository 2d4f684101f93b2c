"""Nothing waits for ever: every wait has a limit or can be cancelled."""

from support import exports, faults
from support.proxy import FaultProxy, SilentServer


def test_server_that_never_answers(bulkhaul, tmp_path):
    with SilentServer() as server:
        outcome = bulkhaul("copy", f"postgres://u@127.0.0.1:{server.port}/db", tmp_path / "out",
                           "--all", "--connect-timeout", "500ms", "--retries", "0", code=1)
    assert "no answer within 500 ms" in outcome.err


def test_port_that_nobody_listens_on(bulkhaul, tmp_path):
    outcome = bulkhaul("copy", "postgres://u@127.0.0.1:1/db", tmp_path / "out", "--all",
                       "--retries", "1", "--retry-delay", "1ms", code=1)
    assert "refused" in outcome.err


def test_silence_in_the_middle_of_the_data(bulkhaul, postgres, database, tmp_path):
    postgres.sql("CREATE TABLE t AS SELECT i, md5(i::text) FROM generate_series(1, 20000) AS i",
                 database)
    with FaultProxy(postgres.port) as between:
        between.inject("stall", 200_000, times=1_000)
        outcome = bulkhaul("copy", between.uri(database) + "?sslmode=disable", tmp_path / "out",
                           "--table", "t", "--unit-timeout", "1s", "--retries", "1",
                           "--retry-delay", "1ms", code=1)
    assert "t" in outcome.err and "time" in outcome.err
    assert exports.visible(tmp_path / "out") == []


def test_job_timeout(bulkhaul, postgres, database, tmp_path):
    postgres.sql("CREATE VIEW slow AS SELECT i, pg_sleep(0.1)::text AS s "
                 "FROM generate_series(1, 10000) AS i", database)
    outcome = bulkhaul("copy", postgres.uri_of(database), tmp_path / "out", "--table", "slow",
                       "--job-timeout", "1s", code=None)
    assert outcome.code in (1, 130)
    assert "job_timeout" in outcome.err + outcome.out
    faults.wait_until(lambda: not postgres.sql(
        "SELECT 1 FROM pg_stat_activity WHERE datname = %s AND state = 'active' "
        "AND application_name LIKE 'bulkhaul%%'", parameters=(database,)),
        what="the server to forget the query")
