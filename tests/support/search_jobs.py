"""Exports of a search index that has a number `seq` in each document."""

from __future__ import annotations

from support import exports

NEXT_PAGE = "POST /_search/scroll"


def words(uri, out, *more) -> list:
    """A job with several pages, which does not wait long before it tries again."""
    return ["copy", uri, out, "--job-id", "job", "--retry-delay", "10ms", "--page-documents", "500",
            "--progress", "none", *more]


def sequence(out) -> list[int]:
    found = exports.query(exports.table_folders(out)[0], "SELECT seq FROM {rows} ORDER BY seq")
    return [row[0] for row in found]
