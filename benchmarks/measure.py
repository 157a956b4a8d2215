"""What every benchmark shares: interleaved runs, medians and ratios, and the machine that they are of."""

import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path

Seconds = Mapping[str, list[float]]


def interleaved(
    candidates: Mapping[str, Callable[[], object]],
    *,
    rounds: int,
    before_each: Callable[[], object] = lambda: None,
) -> Seconds:
    """The seconds of each candidate in each round; a round runs each once, every other one in reverse order."""
    seconds: dict[str, list[float]] = {name: [] for name in candidates}
    order = list(candidates)
    for _ in range(rounds):
        for name in order:
            before_each()
            seconds[name].append(seconds_of(candidates[name]))
        order.reverse()
    return seconds


def seconds_of(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def compared(seconds: Seconds, ours: str, peer: str) -> str:
    """The median of each candidate, and that of the ratios within a round: a machine's slow minute slows both."""
    medians = ", ".join(f"{name} {statistics.median(values) * 1000:.0f} ms" for name, values in seconds.items())
    ratios = [mine / theirs for mine, theirs in zip(seconds[ours], seconds[peer], strict=True)]
    return f"{medians}; {ours} to {peer} {statistics.median(ratios):.3f} (medians of {len(ratios)}, interleaved)"


def machine() -> str:
    """Processor, cores, memory, kernel and Python, on one line."""
    described = Path("/proc/cpuinfo").read_text().split("model name\t: ")
    processor = described[1].partition("\n")[0] if described[1:] else platform.machine()
    gigabytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{processor}, {os.cpu_count()} cores, {gigabytes:.0f} GiB, "
        f"{platform.system()} {platform.release()}, Python {platform.python_version()}"
    )
