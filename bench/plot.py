#!/usr/bin/env python3
"""Draws docs/images/*.svg from bench/results: for each picture the newest run that has its scenario.

  bench/plot.py
"""

from __future__ import annotations

import json
import pathlib

import matplotlib

matplotlib.use("svg")
matplotlib.rcParams.update({
    "svg.hashsalt": "bulkhaul", "svg.fonttype": "path", "font.size": 10, "axes.spines.top": False,
    "axes.spines.right": False, "figure.facecolor": "white",
})
import matplotlib.pyplot as plot  # noqa: E402

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
RESULTS = REPOSITORY / "bench" / "results"
IMAGES = REPOSITORY / "docs" / "images"
OURS, THEIRS, LIMIT = "#1f77b4", "#b0b0b0", "#dddddd"
ORDER = ["bulkhaul", "DuckDB", "connectorx", "ADBC", "raw COPY"]


def newest(scenario: str) -> tuple[dict, dict] | None:
    """(scenario, its run), from the newest results file that has it."""
    for path in sorted(RESULTS.glob("*.json"), reverse=True):
        run = json.loads(path.read_text())
        if scenario in run["scenarios"]:
            return run["scenarios"][scenario], run
    return None


def save(figure, name: str) -> None:
    IMAGES.mkdir(parents=True, exist_ok=True)
    figure.savefig(IMAGES / name, bbox_inches="tight", metadata={"Date": None})
    plot.close(figure)
    print(f"bench: drew docs/images/{name}")


def draw_lineitem() -> None:
    found = newest("lineitem")
    if not found:
        return
    scenario, run = found
    programs = [name for name in ORDER if name in scenario["median"]]
    panels = [("seconds", "seconds"), ("cpu_seconds", "CPU seconds of the client"),
              ("peak_rss_mb", "peak memory, MB")]
    figure, axes = plot.subplots(1, 3, figsize=(10, 2.6), sharey=True)
    for axis, (key, label) in zip(axes, panels):
        values = [scenario["median"][name][key] for name in programs]
        colours = [{"bulkhaul": OURS, "raw COPY": LIMIT}.get(name, THEIRS) for name in programs]
        bars = axis.barh(programs, values, color=colours)
        axis.bar_label(bars, fmt="%.1f" if key != "peak_rss_mb" else "%.0f", padding=3)
        axis.set_title(label, fontsize=10)
        axis.set_xlim(0, max(values) * 1.18)
    axes[0].invert_yaxis()
    figure.suptitle(f"TPC-H lineitem, 6 M rows, PostgreSQL {run['server'].split()[0]} to Parquet "
                    f"(zstd), {run['cores']} cores shared with the server; less is better",
                    fontsize=10, y=1.04)
    save(figure, "lineitem.svg")


def draw_curve(scenario_name: str, label: str, title: str) -> None:
    found = newest(scenario_name)
    if not found:
        return
    scenario, run = found
    counts = sorted(int(name) for name in scenario["median"] if name.isdigit())
    rates = [scenario["median"][str(count)]["rows_per_second"] / 1e6 for count in counts]
    figure, axis = plot.subplots(figsize=(5, 3))
    axis.plot(counts, rates, marker="o", color=OURS)
    axis.set_xticks(counts)
    axis.set_ylim(0, max(rates) * 1.15)
    axis.set_xlabel(label)
    axis.set_ylabel("million rows/s")
    axis.set_title(f"{title}\n{run['cores']} cores shared with the server", fontsize=10)
    axis.grid(axis="y", alpha=0.3)
    save(figure, f"{scenario_name}.svg")


def draw_search() -> None:
    found = newest("search")
    if not found:
        return
    scenario, run = found
    names = ["bulkhaul", "raw pages", "elasticdump", "opensearch-py", "threads, pickles"]
    programs = [name for name in names if name in scenario["median"]]
    panels = [("seconds", "seconds"), ("cpu_seconds", "CPU seconds of the client"),
              ("peak_rss_mb", "peak memory, MB")]
    figure, axes = plot.subplots(1, 3, figsize=(10, 2.4), sharey=True)
    for axis, (key, label) in zip(axes, panels):
        values = [scenario["median"][name][key] for name in programs]
        colours = [{"bulkhaul": OURS, "raw pages": LIMIT}.get(name, THEIRS) for name in programs]
        bars = axis.barh(programs, values, color=colours)
        axis.bar_label(bars, fmt="%.1f" if key != "peak_rss_mb" else "%.0f", padding=3)
        axis.set_title(label, fontsize=10)
        axis.set_xlim(0, max(values) * 1.18)
    axes[0].invert_yaxis()
    figure.suptitle(f"a million log documents out of OpenSearch, {run['cores']} cores shared with "
                    "the node; less is better", fontsize=10, y=1.04)
    save(figure, "search.svg")


def main() -> None:
    draw_lineitem()
    draw_search()
    draw_curve("workers", "workers", "lineitem at scale 1, by number of workers")
    draw_curve("search_far", "workers", "log documents of a node 20 ms away, pages of 200")
    draw_curve("tables", "tables at once, one worker each", "12 tables of 0.5 to 5 M rows")


if __name__ == "__main__":
    main()
