"""After a failure it goes on: what is published stays, only what is missing is read."""

import json

from support import exports, faults
from support.proxy import FaultProxy


def test_published_tables_are_left_alone(bulkhaul, postgres, database, tmp_path):
    for name in ("a", "b", "c"):
        postgres.sql(f"CREATE TABLE {name} AS SELECT i, md5(i::text) AS t "
                     "FROM generate_series(1, 5000) AS i", database)
    destination = tmp_path / "out"
    words = ["copy", postgres.uri_of(database), destination, "--all", "--job-id", "job",
             "--parallel-tables", "1", "--workers", "1"]
    bulkhaul(*words, env={"BULKHAUL_CRASH_AT": "ledger.published#2"}, code=faults.SIGKILLED)
    before = {folder.name: folder.stat().st_ino for folder in exports.table_folders(destination)}
    assert len(before) == 2
    assert faults.job_states(bulkhaul) == {"job": "interrupted"}
    report = tmp_path / "report.json"
    bulkhaul("resume", "job", "--report", report)
    after = {folder.name: folder.stat().st_ino for folder in exports.table_folders(destination)}
    assert len(after) == 3 and before.items() <= after.items()
    tables = json.loads(report.read_text())["tables"]
    assert sorted(table["earlier_run"] for table in tables) == [False, True, True]
    for folder in exports.table_folders(destination):
        assert exports.checksum(folder).rows == 5000
    bulkhaul("verify", destination)


def test_resume_by_path_of_the_destination(bulkhaul, postgres, database, tmp_path):
    postgres.sql("CREATE TABLE a AS SELECT 1 AS x", database)
    bulkhaul("copy", postgres.uri_of(database), tmp_path / "out", "--all",
             env={"BULKHAUL_CRASH_AT": "ledger.units_saved"}, code=faults.SIGKILLED)
    bulkhaul("resume", tmp_path / "out")
    assert exports.checksum(tmp_path / "out" / "public_a").rows == 1


def test_password_is_asked_for_again_and_stored_nowhere(bulkhaul, postgres, database, tmp_path):
    """The ledger has the source without its password; resume takes it from PGPASSWORD."""
    postgres.sql("CREATE TABLE a AS SELECT i AS x FROM generate_series(1, 20000) AS i", database)
    with FaultProxy(postgres.port) as between:
        uri = between.uri(database, "postgres:hunter2secret") + "?sslmode=disable"
        bulkhaul("copy", uri, tmp_path / "out", "--all", "--job-id", "job", "--unit-bytes", "64KiB",
                 env={"BULKHAUL_CRASH_AT": "ledger.unit_done#3"}, code=faults.SIGKILLED)
        for folder in (bulkhaul.state, tmp_path / "out"):
            for path in folder.rglob("*"):
                assert not path.is_file() or b"hunter2secret" not in path.read_bytes(), path
        bulkhaul("resume", "job", env={"PGPASSWORD": "hunter2secret"})
    assert exports.checksum(tmp_path / "out" / "public_a").rows == 20000
    for path in (tmp_path / "out").rglob("*"):
        assert not path.is_file() or b"hunter2secret" not in path.read_bytes(), path
