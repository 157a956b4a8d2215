"""Keys that are minted before the write, and sort in the order of their minting."""

import secrets
import threading
import time
import uuid

_lock = threading.Lock()
_next = 0


def uuid7() -> uuid.UUID:
    """A UUIDv7, greater than every one that this process minted before."""
    return from_counter(counters(1)[0])


def counters(count: int) -> range:
    """Reserve so many keys in a row, for `from_counter`: a range, which can be taken from its end too.

    A counter holds the key's 122 bits without version and variant: the milliseconds since 1970, then 74 bits that are
    seeded at random in each millisecond and counted up within it (RFC 9562, section 6.2, method 2).
    """
    global _next  # noqa: PLW0603 -- the keys of a process are minted in one order
    with _lock:
        start = max(time.time_ns() // 1_000_000 << 74 | secrets.randbits(73), _next)
        _next = start + count
    return range(start, start + count)


def from_counter(counter: int) -> uuid.UUID:
    time_ms, high, low = counter >> 74, counter >> 62 & 0xFFF, counter & (1 << 62) - 1
    return uuid.UUID(int=time_ms << 80 | 7 << 76 | high << 64 | 2 << 62 | low)
