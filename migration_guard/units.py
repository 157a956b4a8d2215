"""Times, sizes, numbers and names in words."""

from collections.abc import Iterable


def duration(milliseconds: float) -> str:
    """As "0.4 ms", "340 ms", "1.25 s", "2 min 5 s", "1 h 20 min"."""
    if milliseconds < 9.95:
        return f"{milliseconds:.1f} ms"
    if milliseconds < 999.5:
        return f"{milliseconds:.0f} ms"
    if milliseconds < 59_950:
        return f"{milliseconds / 1000:.3g} s"
    minutes, seconds = divmod(round(milliseconds / 1000), 60)
    return f"{minutes} min {seconds} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def size(number: float | None) -> str:
    """In PostgreSQL's units, of which each is 1,024 of the one below; None is no size at all."""
    if number is None:
        return "nothing"
    units = ["bytes", "kB", "MB", "GB", "TB"]
    while abs(number) >= 1000 and len(units) > 1:
        number /= 1024
        units.pop(0)
    return f"{number:.0f} {units[0]}" if units[0] == "bytes" or number >= 9.95 else f"{number:.1f} {units[0]}"


def count(number: int, noun: str) -> str:
    """As "1 row", "1,234 rows"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def listed(names: Iterable[str], most: int = 5) -> str:
    """As "a, b and 12 more"."""
    every = list(names)
    more = f" and {len(every) - most:,} more" if len(every) > most else ""
    return ", ".join(every[:most]) + more
