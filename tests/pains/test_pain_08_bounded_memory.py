"""Huge values and big tables stay inside the memory limit."""

import json
import os
import subprocess
import sys

from support import exports, faults

LIMIT_MIB = 256


# A process starts with its parent's peak as its own (getrusage(2) keeps it over exec), and the test
# run may have grown large: a small process in between is the parent.
MEASURE = """
import os, sys
pid = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ)
_, status, usage = os.wait4(pid, 0)
print(usage.ru_maxrss)
sys.exit(os.waitstatus_to_exitcode(status))
"""


def peak_rss_mib(bulkhaul, *words) -> float:
    outcome = subprocess.run(
        [sys.executable, "-S", "-c", MEASURE, str(bulkhaul.binary), *map(str, words)],
        env=bulkhaul.environment, capture_output=True, text=True)
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    return int(outcome.stdout.split()[-1]) / 1024


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
