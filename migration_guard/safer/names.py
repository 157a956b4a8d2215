"""Names of migrations."""

import re
from collections.abc import Iterable, Sequence

from django.db.migrations.operations.base import Operation

SAYS_NOTHING = re.compile(r"auto(_.*)?|.*_and_more", re.IGNORECASE)
LONGEST_PROPOSAL = 40
LONGEST_NAME = 60
NUMBER = re.compile(r"(\d+)_(.*)")


def says_nothing(name: str) -> bool:
    """Whether the name, its number left out, does not tell what the migration is about."""
    return bool(SAYS_NOTHING.fullmatch(split(name)[1]))


def split(name: str) -> tuple[int | None, str]:
    """The number that the name begins with, if it does, and the rest."""
    match = NUMBER.fullmatch(name)
    return (int(match[1]), match[2]) if match else (None, name)


def proposal(operations: Sequence[Operation]) -> str:
    """The models and fields that the operations are about, in their order: `order_stop_price`."""
    words: list[str] = []
    for operation in operations:
        for word in _subjects(operation):
            if word not in words and len("_".join([*words, word])) <= LONGEST_PROPOSAL:
                words.append(word)
    return "_".join(words) or "what_it_does"


def _subjects(operation: Operation) -> Iterable[str]:
    named = [getattr(operation, attribute, "") for attribute in ("model_name", "old_name", "new_name", "name")]
    rule = getattr(operation, "constraint", None) or getattr(operation, "index", None)
    if rule is not None:
        named = [named[0], rule.name]
    for word in filter(None, named):
        yield re.sub(r"\W+", "_", str(word)).strip("_").lower()


def piece_name(number: int, name: str, what: str, taken: Iterable[str]) -> str:
    """`0008_<name>_<what>`, at most 60 characters and none that is taken."""
    taken = set(taken)
    for count in range(1, len(taken) + 2):
        ending = f"_{what}" + (f"_{count}" if count > 1 else "")
        head = f"{number:04d}_{name}"
        found = head[: LONGEST_NAME - len(ending)].rstrip("_") + ending
        if split(found)[1] not in {split(other)[1] for other in taken}:
            break
    return found
