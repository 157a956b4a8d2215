"""What the CHECKs of a table say of the values of its columns, as far as their text is simple."""

import re
from collections import defaultdict
from collections.abc import Iterator

from django.db.backends.base.base import BaseDatabaseWrapper

from migration_guard.connections import rows

# Those of domains, which hold for every column of such a type, say VALUE for the column.
CHECKS = """
    SELECT pg_get_constraintdef(pg_constraint.oid), NULL
    FROM pg_constraint WHERE contype = 'c' AND conrelid = to_regclass(%s)
    UNION ALL
    SELECT pg_get_constraintdef(pg_constraint.oid), quote_ident(attname)
    FROM pg_constraint JOIN pg_attribute ON atttypid = contypid
    WHERE contype = 'c' AND contypid <> 0 AND attrelid = to_regclass(%s) AND NOT attisdropped
"""
COLUMN = r'\(*(?P<column>"[^"]+"|\w+)\)*(?:::[\w ]+(?:\[\])?)?\)*'
QUOTED = r"'(?P<text>(?:[^']|'')*)'"
MATCHES = re.compile(rf"{COLUMN} ~\*? {QUOTED}")
IS_ONE_OF = re.compile(rf"{COLUMN} = ANY \(\(?ARRAY\[(?P<list>.*?)\]")
IS = re.compile(rf"{COLUMN} = {QUOTED}")
COMPARES = re.compile(rf"{COLUMN} (?P<operator>>=|>|<=|<|=) \(?'?(?P<number>-?\d+(?:\.\d+)?)'?")
LISTED = re.compile(r"'((?:[^']|'')*)'|(-?\d+(?:\.\d+)?)")
# A character or a set of them, and how often: groups, alternatives and what looks ahead are not known.
PIECE = re.compile(r"(\[\^?\]?[^\]]*\]|\\.|[^\\\[\](){}|*+?^$])(\{(\d+)(?:,\d*)?\}|[*+?])?")
CLASSES = {"d": "0-9", "w": "a-z0-9", "s": " ", "A": "", "Z": "", "y": "", "m": "", "M": ""}
EVERYTHING = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_. "

Hint = str | int | float


def hints(connection: BaseDatabaseWrapper, table: str) -> dict[str, list[Hint]]:
    """Values that the CHECKs of a table speak of, by column."""
    name = connection.ops.quote_name(table)
    found: dict[str, list[Hint]] = defaultdict(list)
    for definition, column in rows(connection, CHECKS, [name, name]):
        text = definition if column is None else definition.replace("VALUE", column)
        for column_name, hint in read(text):
            if hint not in found[column_name]:
                found[column_name].append(hint)
    return dict(found)


def read(definition: str) -> Iterator[tuple[str, Hint]]:
    """Columns with a value that a part of this CHECK holds for."""
    for found in MATCHES.finditer(definition):
        for number in range(5):
            if (text := example(found["text"].replace("''", "'"), number)) is not None:
                yield _column(found), text
    for found in IS_ONE_OF.finditer(definition):
        for text, digits in LISTED.findall(found["list"]):
            yield _column(found), text.replace("''", "'") if text or not digits else _number(digits)
    for found in IS.finditer(definition):
        yield _column(found), found["text"].replace("''", "'")
    for found in COMPARES.finditer(definition):
        number_found = _number(found["number"])
        steps = {">": (1, 2, 3), "<": (-1, -2), ">=": (0, 1, 2), "<=": (0, -1), "=": (0,)}[found["operator"]]
        yield from ((_column(found), number_found + step) for step in steps)


def example(pattern: str, number: int) -> str | None:
    """A text that a simple pattern matches, another one for another number; None where it is not simple."""
    body = pattern.removeprefix("^").removesuffix("$")
    made, position = "", 0
    while position < len(body):
        piece = PIECE.match(body, position)
        if piece is None:
            return None
        letters = _letters(piece[1])
        if not letters:
            return None
        times = int(piece[3]) if piece[3] else 0 if piece[2] in ("*", "?") else 1
        # From the right, so that what begins alike ends unlike.
        made += "".join(letters[(number + place) % len(letters)] for place in range(times))
        position = piece.end()
    return made


def _letters(piece: str) -> str:
    if piece == ".":
        return EVERYTHING
    if piece.startswith("\\"):
        return _expanded(CLASSES[piece[1]]) if piece[1] in CLASSES else piece[1]
    if not piece.startswith("["):
        return piece
    inner = piece[1:-1]
    for letter in "dws":
        inner = inner.replace(f"\\{letter}", CLASSES[letter])
    for name, letters in (("[:alpha:]", "a-z"), ("[:digit:]", "0-9"), ("[:upper:]", "A-Z"), ("[:alnum:]", "a-z0-9")):
        inner = inner.replace(name, letters)
    if inner.startswith("^"):
        return "".join(letter for letter in EVERYTHING if letter not in _expanded(inner[1:]))
    return _expanded(inner)


def _expanded(letters: str) -> str:
    """With each range written out."""
    return re.sub(r"(.)-(.)", lambda found: "".join(map(chr, range(ord(found[1]), ord(found[2]) + 1))), letters)


def _column(found: "re.Match[str]") -> str:
    return found["column"].strip('"')


def _number(text: str) -> int | float:
    return float(text) if "." in text else int(text)
