"""What every benchmark shares: interleaved runs, medians and ratios, and the machine that they are of."""

import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path


def interleaved(
    candidates: Mapping[str, Callable[[], object]],
    *,
    rounds: int,
    before_each: Callable[[], object] = lambda: None,
) -> dict[str, float]:
    """The median seconds of each candidate over so many rounds; in a round each runs once, so that noise is shared."""
    seconds: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(rounds):
        for name, run in candidates.items():
            before_each()
            started = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - started)
    return {name: statistics.median(values) for name, values in seconds.items()}


def machine() -> str:
    """Processor, cores, memory, kernel and Python, on one line."""
    described = Path("/proc/cpuinfo").read_text().split("model name\t: ")
    processor = described[1].partition("\n")[0] if described[1:] else platform.machine()
    gigabytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{processor}, {os.cpu_count()} cores, {gigabytes:.0f} GiB, "
        f"{platform.system()} {platform.release()}, Python {platform.python_version()}"
    )
