"""An error says what failed, where, in the server's own words, and what to do."""

import json

import pytest


def test_error_of_the_server_names_table_and_reason(bulkhaul, postgres, database, tmp_path):
    postgres.sql("CREATE TABLE t AS SELECT i FROM generate_series(1, 100) AS i;"
                 "CREATE VIEW bad AS SELECT 10 / (i - 50) AS x FROM t", database)
    report = tmp_path / "report.json"
    outcome = bulkhaul("copy", postgres.uri_of(database), tmp_path / "out", "--table", "bad",
                       "--report", report, code=1)
    assert "public.bad" in outcome.err and "division by zero" in outcome.err
    found = json.loads(report.read_text())
    assert found["state"] == "failed"
    assert "division by zero" in json.dumps(found["tables"])
    assert "22012" in outcome.err + json.dumps(found)


@pytest.mark.parametrize("where", ["1 = 1) --", "no_such_column = 1", "x = '"])
def test_condition_that_is_no_condition(bulkhaul, postgres, database, tmp_path, where):
    postgres.sql("CREATE TABLE t AS SELECT 1 AS x", database)
    outcome = bulkhaul("copy", postgres.uri_of(database), tmp_path / "out", "--table", "t",
                       "--where", where, code=None)
    assert outcome.code in (1, 2)
    assert "public.t" in outcome.err
    assert "syntax error" in outcome.err or "no_such_column" in outcome.err or (
        "unterminated" in outcome.err)


def test_timeout_and_cancel_are_told_apart(bulkhaul, postgres, database, tmp_path):
    """The server says 57014 to both."""
    postgres.sql("CREATE VIEW slow AS SELECT i, pg_sleep(0.05)::text AS s "
                 "FROM generate_series(1, 1000) AS i", database)
    outcome = bulkhaul("copy", postgres.uri_of(database), tmp_path / "out", "--table", "slow",
                       "--statement-timeout", "200ms", "--retries", "0", code=1)
    assert "statement timeout" in outcome.err or "statement_timeout" in outcome.err
    assert "cancelled" not in outcome.err


def test_everything_is_said_in_the_log_of_a_job(bulkhaul, postgres, database, tmp_path):
    postgres.sql("CREATE TABLE t AS SELECT 1 AS x", database)
    log = tmp_path / "log.txt"
    bulkhaul("copy", postgres.uri_of(database, "postgres:hunter2secret"), tmp_path / "out",
             "--table", "t", "--log-level", "full", "--log-file", log)
    text = log.read_text()
    assert "COPY" in text and "hunter2secret" not in text
