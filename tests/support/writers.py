"""Threads that change a table while it is being read, and keep an invariant."""

from __future__ import annotations

import random
import threading

import psycopg

from support.tables import ACCOUNTS

TRANSFER = """
UPDATE accounts SET balance = balance + CASE id WHEN %(giver)s THEN -7 ELSE 7 END
WHERE id IN (%(giver)s, %(taker)s)
"""

# The rows come back on other pages.
MOVE = """
WITH moved AS (DELETE FROM accounts WHERE id = ANY(%(ids)s) RETURNING *)
INSERT INTO accounts SELECT * FROM moved
"""


class Writers:
    """Transfers between accounts, and rows deleted and inserted again, until the block ends."""

    def __init__(self, cluster, database: str, threads: int = 2, seed: int = 1):
        self._cluster = cluster
        self._database = database
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._work, args=(random.Random(seed + i),), daemon=True)
            for i in range(threads)
        ]
        self.transactions = 0
        self._mutex = threading.Lock()

    def _work(self, chance: random.Random) -> None:
        connection = None
        while not self._stop.is_set():
            try:
                if connection is None or connection.closed:
                    connection = self._cluster.connect(self._database)
                giver, taker = chance.sample(range(1, ACCOUNTS + 1), 2)
                with connection.transaction():
                    done = connection.execute(TRANSFER, {"giver": giver, "taker": taker})
                    if done.rowcount != 2:
                        # The other writer had just moved one of them: READ COMMITTED skips it.
                        raise psycopg.Rollback
                    ids = [chance.randint(1, ACCOUNTS) for _ in range(10)]
                    connection.execute(MOVE, {"ids": ids})
                with self._mutex:
                    self.transactions += 1
                # Not faster than the vacuum between two rounds can clear up.
                self._stop.wait(0.01)
            except psycopg.Error:
                # A deadlock between writers, or a server that a test has just killed.
                self._stop.wait(0.01)
        if connection is not None:
            connection.close()

    def __enter__(self) -> Writers:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(timeout=60)
            assert not thread.is_alive(), "a writer hangs"
