"""Times of a node's documents and how jobs are cut along them."""

from __future__ import annotations

import json

from support import exports

DAYS = 20
PER_DAY = 10
# Elasticsearch fails to count by hours what is bounded from above alone, where the time is a
# date_nanos or the alias of a date.
UPPER = {"lt": "2024-03-11T02:00:03.000000500Z"}
ONE_SIDED = {
    "nanos by days": (["--time", "ns", "--slice", "day"], {"ns": UPPER}),
    "nanos by hours": (["--time", "ns", "--slice", "hour"], {"ns": {"lte": "2024-03-11"}}),
    "nanos by size": (["--time", "ns", "--unit-rows", "30"], {"ns": UPPER}),
    "the earliest": (["--time", "ns", "--slice", "day", "--time-several", "earliest"],
                     {"ns": {"lt": "2024-03-11"}}),
    "an alias": (["--time", "al", "--slice", "hour"], {"al": {"lte": "2024-03-11"}}),
    "all before": (["--time", "ns", "--slice", "day"], {"ns": {"lt": "2025"}}),
    "none before": (["--time", "al", "--slice", "day"], {"al": {"lt": "2023"}}),
}


def check_one_sided_ranges(bulkhaul, node, folder) -> None:
    node.create("one-sided", {"ns": {"type": "date_nanos"}, "ms": {"type": "date"},
                              "al": {"type": "alias", "path": "ms"}})
    node.bulk("one-sided", [
        {"ns": f"2024-03-{day:02}T02:00:0{number}.000000{day:03}Z",
         "ms": f"2024-03-{day:02}T02:00:0{number}.123Z"}
        for day in range(1, DAYS + 1) for number in range(PER_DAY)])
    uri = node.uri("one-sided")
    for name, (words, bounds) in ONE_SIDED.items():
        (field, bound), = bounds.items()
        asked = {"range": {field: bound}}
        count = node.call("POST", "/one-sided/_count", {"query": asked})["count"]
        given = [word for key, value in bound.items() for word in ("--" + key, value)]
        # The user's own query bounds it too.
        for how, more in (("bounds", given), ("query", ["--query", json.dumps(asked)])):
            out, report = folder / f"{name} {how}", folder / f"{name} {how}.json"
            bulkhaul("copy", uri, out, *words, *more, "--report", report)
            assert exports.read(exports.table_folders(out)[0]).num_rows == count, (name, how)
            units = json.loads(report.read_text())["totals"]["units"]
            assert (units > 2) == (count > 0), (name, how)
    node.drop("one-sided")
