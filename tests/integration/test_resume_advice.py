"""What a failed load advises: a resume only where it can help."""

from __future__ import annotations

import sqlite3

import pytest


@pytest.mark.parametrize("on_error, code", [("stop", 1), ("continue", 3)])
def test_a_table_that_is_there_needs_other_options(bulkhaul, postgres, database, tmp_path, on_error,
                                                   code):
    """A resume keeps if_exists: it would be refused again."""
    target = postgres.uri_of(database)
    shop = tmp_path / "shop.db"
    with sqlite3.connect(shop) as connection:
        connection.executescript("create table a(id integer primary key); insert into a values (1);"
                                 "create table b(id integer primary key); insert into b values (1);")
    bulkhaul("copy", shop, target, "--table", "a")
    outcome = bulkhaul("copy", shop, target, "--all", "--on-error", on_error, "--progress", "none",
                       code=code)
    assert "a exists; set if_exists" in outcome.out + outcome.err
    assert "bulkhaul resume" not in outcome.out + outcome.err
    assert "start a new job" in outcome.err
