"""connectorx to Arrow, pyarrow to Parquet: connectorx_export.py URI TABLE KEY PARTITIONS FILE."""

import json
import resource
import sys
import time

import connectorx
import pyarrow.parquet


def main() -> None:
    uri, table, key, partitions, output = sys.argv[1:]
    before = resource.getrusage(resource.RUSAGE_SELF)
    begin = time.perf_counter()
    rows = connectorx.read_sql(
        uri, f"SELECT * FROM {table}", return_type="arrow", partition_on=key,
        partition_num=int(partitions), protocol="binary")
    pyarrow.parquet.write_table(rows, output, compression="zstd")
    seconds = time.perf_counter() - begin
    after = resource.getrusage(resource.RUSAGE_SELF)
    print(json.dumps({
        "seconds": seconds,
        "cpu_seconds": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
    }))


main()
