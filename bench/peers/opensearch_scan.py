"""opensearch-py's helpers.scan to one CSV file: opensearch_scan.py HOST:PORT INDICES FILE."""

import csv
import json
import resource
import sys
import time

from opensearchpy import OpenSearch
from opensearchpy.helpers import scan

PAGE_DOCUMENTS = 5000


def flatten(document: dict, prefix: str = "") -> dict:
    row = {}
    for name, value in document.items():
        if isinstance(value, dict):
            row.update(flatten(value, f"{prefix}{name}."))
        else:
            row[prefix + name] = value
    return row


def main() -> None:
    address, indices, output = sys.argv[1:]
    before = resource.getrusage(resource.RUSAGE_SELF)
    begin = time.perf_counter()
    client = OpenSearch(f"http://{address}", timeout=300)
    writer = None
    with open(output, "w", newline="") as file:
        for hit in scan(client, index=indices, size=PAGE_DOCUMENTS):
            row = flatten(hit["_source"])
            if writer is None:
                writer = csv.DictWriter(file, sorted(row))
                writer.writeheader()
            writer.writerow(row)
    seconds = time.perf_counter() - begin
    after = resource.getrusage(resource.RUSAGE_SELF)
    print(json.dumps({
        "seconds": seconds,
        "cpu_seconds": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
    }))


main()
