"""DuckDB with its postgres or sqlite extension: duckdb_export.py postgres|sqlite SOURCE TABLE FILE."""

import importlib
import json
import pathlib
import resource
import sys
import time

import duckdb


def main() -> None:
    kind, source, table, output = sys.argv[1:]
    scanner = importlib.import_module(f"duckdb_extension_{kind}_scanner")
    folder = pathlib.Path(scanner.__file__).parent
    (extension,) = folder.rglob(f"{kind}_scanner.duckdb_extension")
    before = resource.getrusage(resource.RUSAGE_SELF)
    begin = time.perf_counter()
    connection = duckdb.connect(config={"allow_unsigned_extensions": "true"})
    connection.execute(f"LOAD '{extension}'")
    connection.execute(f"ATTACH '{source}' AS db (TYPE {kind}, READ_ONLY)")
    connection.execute(f"COPY (SELECT * FROM db.{table}) TO '{output}' "
                       "(FORMAT parquet, COMPRESSION zstd)")
    seconds = time.perf_counter() - begin
    after = resource.getrusage(resource.RUSAGE_SELF)
    print(json.dumps({
        "seconds": seconds,
        "cpu_seconds": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
    }))


main()
