"""Huge values and big tables stay inside the memory limit."""

import json
import os

from support import exports, faults

LIMIT_MIB = 256


def peak_rss_mib(bulkhaul, *words) -> float:
    process = bulkhaul.start(*words)
    out, err = process.stdout, process.stderr
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, out.read() + err.read()
    return usage.ru_maxrss / 1024


def test_large_texts(bulkhaul, postgres, database, tmp_path):
    """1,000 texts of 1 MB, 4 times the limit; $BULKHAUL_LARGE_ROWS=20000 for the full size."""
    rows = int(os.environ.get("BULKHAUL_LARGE_ROWS", 1000))
    postgres.sql("CREATE TABLE t AS SELECT i AS id, repeat(md5(i::text), 32768) AS big "
                 f"FROM generate_series(1, {rows}) AS i", database)
    peak = peak_rss_mib(
        bulkhaul, "copy", postgres.uri_of(database), tmp_path / "out", "--table", "t",
        "--memory-limit", f"{LIMIT_MIB}MiB", "--workers", "2", "--progress", "none")
    found = exports.query(tmp_path / "out" / "public_t",
                          "SELECT count(*), min(length(big)), max(length(big)) FROM {rows}")
    assert found == [(rows, 1 << 20, 1 << 20)]
    if faults.slowness() == 1:
        assert peak < LIMIT_MIB, f"{peak} MiB"


def test_one_value_of_64_mib(bulkhaul, postgres, database, tmp_path):
    postgres.sql("CREATE TABLE t AS SELECT 1 AS id, repeat('abcdefgh', 8388608) AS big", database)
    bulkhaul("copy", postgres.uri_of(database), tmp_path / "out", "--table", "t",
             "--memory-limit", "512MiB")
    found = exports.query(tmp_path / "out" / "public_t", "SELECT length(big) FROM {rows}")
    assert found == [(64 << 20,)]


def test_limit_that_cannot_work_is_refused_with_what_is_needed(bulkhaul, postgres, database,
                                                               tmp_path):
    postgres.sql("CREATE TABLE t AS SELECT 1 AS id", database)
    outcome = bulkhaul("copy", postgres.uri_of(database), tmp_path / "out", "--table", "t",
                       "--memory-limit", "1MiB", code=None)
    assert outcome.code in (1, 2)
    assert "set memory_limit to at least" in outcome.err


def test_tight_limit_lowers_batches_or_workers_and_says_so(bulkhaul, postgres, database, tmp_path):
    postgres.sql("CREATE TABLE t AS SELECT i, md5(i::text) AS s FROM generate_series(1, 50000) AS i",
                 database)
    report = tmp_path / "report.json"
    outcome = bulkhaul("copy", postgres.uri_of(database), tmp_path / "out", "--table", "t",
                       "--memory-limit", "96MiB", "--workers", "16", "--unit-bytes", "64KiB",
                       "--report", report)
    found = json.loads(report.read_text())
    assert found["totals"]["rows"] == 50000
    assert found["memory"]["peak_reserved_bytes"] <= 96 << 20
    said = outcome.err + outcome.out + json.dumps(found)
    assert "lower" in said or found["workers"] < 16, "nothing was said"
