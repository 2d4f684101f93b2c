"""Few free connections, and poolers in between."""

import json

import pytest

from support import exports, faults, tables
from support.pooler import Pooler
from support.proxy import FaultProxy


# A connection that was closed takes its place until the server has noticed.
PATIENT = ("--retries", "500", "--retry-delay", "10ms", "--retry-delay-max", "100ms")


@pytest.fixture
def small_server(postgres_factory):
    cluster = postgres_factory("max_connections = 9", "superuser_reserved_connections = 3",
                               "autovacuum = off")
    cluster.sql(tables.EVENTS_SQL)
    cluster.sql("CREATE ROLE plain LOGIN; GRANT SELECT ON events TO plain")
    yield cluster
    cluster.stop()


def test_workers_fit_into_the_free_slots(bulkhaul, small_server, tmp_path):
    report = tmp_path / "report.json"
    bulkhaul("copy", small_server.uri_of("postgres", "plain"), tmp_path / "out", "--table",
             "events", "--unit-bytes", "32KiB", "--workers", "40", "--workers-per-table", "40",
             "--report", report)
    assert exports.checksum(tmp_path / "out" / "public_events").rows == tables.ROWS
    assert json.loads(report.read_text())["workers"] <= 6


def test_role_limit(bulkhaul, small_server, tmp_path):
    small_server.sql("ALTER ROLE plain CONNECTION LIMIT 3")
    bulkhaul("copy", small_server.uri_of("postgres", "plain"), tmp_path / "out", "--table",
             "events", "--unit-bytes", "32KiB", "--workers", "8", *PATIENT)
    assert exports.checksum(tmp_path / "out" / "public_events").rows == tables.ROWS


def test_slots_that_others_take_meanwhile_lower_the_workers(bulkhaul, small_server, tmp_path):
    """The plan saw them free; at the start they are gone."""
    with FaultProxy(small_server.port) as between:
        between.hold_at_connection(2)  # the first one planned
        process = bulkhaul.start(
            "copy", between.uri("postgres", "plain") + "?sslmode=disable", tmp_path / "out",
            "--table", "events", "--unit-bytes", "32KiB", "--workers", "5", *PATIENT)
        assert between.held.wait(60 * faults.slowness())
        others = [small_server.connect() for _ in range(3)]
        between.release()
        bulkhaul.finish(process).check(0)
        for other in others:
            other.close()
    assert exports.checksum(tmp_path / "out" / "public_events").rows == tables.ROWS


@pytest.mark.parametrize("mode", ["transaction", "session"])
def test_pgbouncer(bulkhaul, postgres, database, tmp_path, mode):
    postgres.sql(tables.EVENTS_SQL, database)
    with Pooler(postgres.port, mode) as pooler:
        bulkhaul("copy", pooler.uri(database), tmp_path / "out", "--table", "events",
                 "--unit-bytes", "32KiB", "--workers", "3")
    folder = tmp_path / "out" / "public_events"
    assert exports.checksum(folder).rows == tables.ROWS
    assert exports.metadata(folder)["snapshot"]["consistent"] is True


def test_pooler_with_fewer_servers_than_workers_ends(bulkhaul, postgres, database, tmp_path):
    """Workers keep their transactions: those that get no server connection must not hang the job."""
    postgres.sql(tables.EVENTS_SQL, database)
    with Pooler(postgres.port, "transaction", pool_size=2) as pooler:
        outcome = bulkhaul("copy", pooler.uri(database), tmp_path / "out", "--table", "events",
                           "--unit-bytes", "32KiB", "--workers", "4", "--connect-timeout", "2s",
                           "--retry-delay", "10ms", "--retries", "2", code=None)
    assert outcome.code in (0, 1), outcome.err
    if outcome.code == 0:
        assert exports.checksum(tmp_path / "out" / "public_events").rows == tables.ROWS
    else:
        assert exports.visible(tmp_path / "out") == []
