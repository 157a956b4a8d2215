import sys
import threading
import time
import uuid
from collections.abc import Iterator
from itertools import pairwise

import pytest

from trader.models.keys import counters, from_counter, uuid7


def test_a_key_is_a_uuid_of_version_7_of_its_millisecond() -> None:
    before = time.time_ns() // 1_000_000

    key = uuid7()

    assert (key.version, key.variant) == (7, uuid.RFC_4122)
    assert before <= key.int >> 80 <= time.time_ns() // 1_000_000


def test_each_key_is_greater_than_the_one_before() -> None:
    keys = [uuid7() for _ in range(20_000)]

    assert all(first < second for first, second in pairwise(keys))
    assert all(str(first) < str(second) for first, second in pairwise(keys))


def test_keys_grow_while_the_clock_goes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    first = uuid7()
    monkeypatch.setattr(time, "time_ns", lambda: 0)

    assert first < uuid7() < uuid7()


@pytest.fixture
def hasty_threads() -> Iterator[None]:
    """Threads take turns all the time."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


def test_threads_never_mint_the_same_key_and_each_sees_them_grow(
    hasty_threads: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    # All in one millisecond that has been, in which each key is the one before it and one more.
    monkeypatch.setattr(time, "time_ns", lambda: 0)
    minted: list[list[uuid.UUID]] = [[] for _ in range(8)]

    def mint(keys: list[uuid.UUID]) -> None:
        keys.extend(uuid7() for _ in range(2_000))

    threads = [threading.Thread(target=mint, args=[keys]) for keys in minted]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len({key for keys in minted for key in keys}) == 16_000
    assert all(first < second for keys in minted for first, second in pairwise(keys))


def test_a_range_is_minted_at_once_and_taken_from_either_end() -> None:
    before = uuid7()

    reserved = counters(1_000)

    keys = [from_counter(counter) for counter in reversed(reserved)]
    assert len(reserved) == len(set(keys)) == 1_000
    assert keys == sorted(keys, reverse=True)
    assert before < keys[-1]
    assert keys[0] < uuid7()


@pytest.mark.parametrize("counter", [0, 1, (1 << 62) - 1, 1 << 62, (1 << 74) - 1, 1 << 74, (1 << 122) - 1])
def test_every_bit_of_a_counter_is_in_its_key(counter: int) -> None:
    key = from_counter(counter)

    bits = key.int
    assert (bits >> 80) << 74 | (bits >> 64 & 0xFFF) << 62 | bits & (1 << 62) - 1 == counter
    assert (key.version, key.variant) == (7, uuid.RFC_4122)
