"""What many teams run: a pool of threads downloads an hour each into a pickle, pandas puts the
pickles together: pickled_slices.py HOST:PORT INDICES FIRST LAST THREADS FOLDER.

FIRST and LAST are dates; LAST is not included. Writes FOLDER/all.parquet.
"""

import datetime
import json
import pathlib
import resource
import shutil
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pandas
from opensearchpy import OpenSearch
from opensearchpy.helpers import scan

PAGE_DOCUMENTS = 5000


def download_hour(client: OpenSearch, indices: str, begin: datetime.datetime,
                  folder: pathlib.Path) -> pathlib.Path:
    end = begin + datetime.timedelta(hours=1)
    query = {"query": {"range": {"@timestamp": {"gte": begin.isoformat(), "lt": end.isoformat()}}}}
    rows = [hit["_source"] for hit in scan(client, query=query, index=indices, size=PAGE_DOCUMENTS)]
    path = folder / f"{begin:%Y%m%dT%H}.pickle"
    pandas.json_normalize(rows).to_pickle(path)
    return path


def main() -> None:
    address, indices, first, last, threads, output = sys.argv[1:]
    before = resource.getrusage(resource.RUSAGE_SELF)
    begin = time.perf_counter()
    folder = pathlib.Path(output)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    client = OpenSearch(f"http://{address}", timeout=300, maxsize=int(threads))
    hour = datetime.datetime.fromisoformat(first)
    hours = []
    while hour < datetime.datetime.fromisoformat(last):
        hours.append(hour)
        hour += datetime.timedelta(hours=1)
    with ThreadPoolExecutor(int(threads)) as pool:
        paths = list(pool.map(lambda hour: download_hour(client, indices, hour, folder), hours))
    table = pandas.concat([pandas.read_pickle(path) for path in paths], ignore_index=True)
    table.to_parquet(folder / "all.parquet")
    for path in paths:
        path.unlink()
    seconds = time.perf_counter() - begin
    after = resource.getrusage(resource.RUSAGE_SELF)
    print(json.dumps({
        "seconds": seconds,
        "cpu_seconds": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
        "rows": len(table),
    }))


main()
