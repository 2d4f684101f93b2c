"""Each file provokes one pain that users of other tools have reported, and shows that it is gone."""

from __future__ import annotations

import pytest

from support import exports


@pytest.fixture
def export(bulkhaul, postgres, database, tmp_path):
    """export("SQL that makes table t", flags…) → the published table t as Arrow."""
    def run(statements: str, *flags, code: int = 0):
        postgres.sql("DROP TABLE IF EXISTS t; " + statements, database)
        number = sum(1 for entry in tmp_path.iterdir() if entry.name.startswith("out"))
        destination = tmp_path / f"out{number}"
        outcome = bulkhaul("copy", postgres.uri_of(database), destination, "--table", "public.t",
                           *flags, code=code)
        if code != 0:
            assert exports.visible(destination) == [], "something was published"
            return outcome
        return exports.read(destination / "public_t")

    return run
