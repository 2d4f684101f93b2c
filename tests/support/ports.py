"""Ports for servers that take no port 0."""

from __future__ import annotations

import random
from collections.abc import Iterator

TRIES = 20


def candidates() -> Iterator[int]:
    """Below those that the kernel gives to connections. Only binding shows that one is free: who
    starts a server goes on with the next when another process had it."""
    for _ in range(TRIES):
        yield random.randrange(20_000, 32_000)
    raise AssertionError(f"{TRIES} ports are taken")
