"""Differences as a script for psql, whose comments say what each is."""

from collections.abc import Iterable, Iterator

from migration_guard.catalog.comparing import Difference

LONGEST = 100


def as_script(differences: Iterable[Difference]) -> Iterator[str]:
    """For each difference a line that tells it, and the statements that mend it."""
    for difference in differences:
        yield f"-- {difference.kind} {difference.type} {_name(difference)}{_told(difference)}"
        if difference.ddl:
            yield difference.ddl


def _name(difference: Difference) -> str:
    is_on_table = difference.table and difference.type != "table"
    return f"{difference.table}.{difference.name}" if is_on_table else difference.name


def _told(difference: Difference) -> str:
    texts = [_short(difference.found), _short(difference.expected)]
    if difference.kind == "different":
        texts[1] = f"expected {texts[1]}"
    told = "; ".join(filter(None, texts))
    return f": {told}" if told else ""


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= LONGEST else f"{line[:LONGEST]}..."
