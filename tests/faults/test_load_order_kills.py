"""Tables that refer to one another, in a load that is killed: resume goes on in the same order."""

from __future__ import annotations

import shutil

import pytest

from support import faults, load_order
from support.loading import leftovers

MODES = {
    "append": "if_exists: append",
    "unit": "if_exists: append\ncommit: unit",
    "upsert": "if_exists: upsert",
}


@pytest.fixture(scope="module")
def server(postgres):
    postgres.sql("CREATE DATABASE order_faults")
    yield postgres
    postgres.sql("DROP DATABASE order_faults WITH (FORCE)")


@pytest.fixture
def sql(server):
    def run(text):
        return server.sql(text, "order_faults")
    return run


@pytest.fixture
def job(server, tmp_path):
    def write(mode):
        return load_order.write_job(
            tmp_path / "job.yaml", tmp_path / "in", server.uri_of("order_faults"),
            f"{MODES[mode]}\nworkers: 2\nretry_delay: 50ms\njob_id: job")
    return write


@pytest.mark.parametrize("mode", MODES)
def test_killed_at_random_instants(bulkhaul, sql, job, tmp_path, mode):
    wanted = load_order.write_files(tmp_path / "in", load_order.PARENTS_LARGE)
    words = ["run", job(mode)]
    sql(load_order.TABLES_SQL)
    kills = faults.RandomKills(bulkhaul, words, mode)
    kills.run_whole()
    assert load_order.content(sql) == wanted
    for turn in kills.turns(max(3, faults.rounds() // 6)):
        shutil.rmtree(bulkhaul.state, ignore_errors=True)
        sql(load_order.TABLES_SQL)
        kills.strike()
        faults.finish_job(bulkhaul, words, "job")
        assert load_order.content(sql) == wanted, f"turn {turn}"
    assert leftovers(sql) == []


# The first table's commit, one in the middle, the last one's; and what is written of them here.
@pytest.mark.parametrize("point", [
    "postgres.committed", "postgres.before_commit#2", "postgres.key_entered#4", "ledger.published",
    "ledger.journal_saved#2", "ledger.dataset_staged#2"])
@pytest.mark.parametrize("mode", ["append", "unit"])
def test_killed_between_a_table_and_the_next(bulkhaul, sql, job, tmp_path, mode, point):
    wanted = load_order.write_files(tmp_path / "in", load_order.CHILDREN_LARGE)
    sql(load_order.TABLES_SQL)
    killed = bulkhaul("run", job(mode), env={"BULKHAUL_CRASH_AT": point}, code=None)
    assert killed.code == faults.SIGKILLED, killed.err
    bulkhaul("resume", "job")
    assert load_order.content(sql) == wanted
    assert leftovers(sql) == []
