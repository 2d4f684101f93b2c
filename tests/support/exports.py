"""What lies at a destination, and order-free checksums over it."""

from __future__ import annotations

import glob
import json
import pathlib
from dataclasses import dataclass

import duckdb
import pyarrow
import pyarrow.ipc
import pyarrow.parquet

METADATA = "_export_metadata.json"


@dataclass(frozen=True)
class Checksum:
    """The same for the same rows in any order and any number of files."""

    rows: int
    sum_of_hashes: int


def visible(destination: pathlib.Path) -> list[str]:
    """Names that a reader of the destination sees."""
    if not destination.exists():
        return []
    return sorted(entry.name for entry in destination.iterdir() if not entry.name.startswith("."))


def table_folders(destination: pathlib.Path) -> list[pathlib.Path]:
    return [destination / name for name in visible(destination) if (destination / name).is_dir()]


def metadata(folder: pathlib.Path) -> dict:
    return json.loads((folder / METADATA).read_text())


def parts(folder: pathlib.Path, extension: str = "parquet") -> list[pathlib.Path]:
    return sorted(path for path in folder.iterdir() if path.name.endswith(extension))


def query(folder: pathlib.Path, sql: str) -> list[tuple]:
    """Runs SQL in which {rows} stands for the folder's Parquet files."""
    pattern = (glob.escape(str(folder)) + "/*.parquet").replace("'", "''")
    with duckdb.connect(config={"threads": 1}) as connection:
        return connection.execute(sql.format(rows=f"read_parquet('{pattern}')")).fetchall()


def checksum(folder: pathlib.Path) -> Checksum:
    found = query(folder, "SELECT count(*), coalesce(sum(hash(t)::HUGEINT), 0) FROM {rows} AS t")
    return Checksum(int(found[0][0]), int(found[0][1]))


def read(folder: pathlib.Path) -> pyarrow.Table:
    """All rows of a Parquet or Arrow export in the order of its parts."""
    tables = [pyarrow.parquet.read_table(path, partitioning=None) for path in parts(folder)]
    for path in parts(folder, ".arrow"):
        with pyarrow.OSFile(str(path)) as file:
            tables.append(pyarrow.ipc.open_file(file).read_all())
    assert tables, f"no parts in {folder}: {[path.name for path in folder.iterdir()]}"
    return pyarrow.concat_tables(tables)


def assert_whole(folder: pathlib.Path) -> None:
    """The folder is a complete export: its metadata is there and agrees with its files."""
    found = metadata(folder)
    assert found["totals"]["rows"] == checksum(folder).rows


def leftovers(destination: pathlib.Path, while_publishing: bool = False) -> list[str]:
    """What a `**` glob of another program would take for data outside of published tables. A folder
    that is about to be renamed into its place has its final names already; `while_publishing`
    allows it."""
    published = {str(folder) for folder in table_folders(destination)}
    return [
        str(path) for path in destination.rglob("*")
        if path.suffix in (".parquet", ".csv", ".arrow") and str(path.parent) not in published
        and not (while_publishing and path.parent.parent.name == "publish")
    ]
