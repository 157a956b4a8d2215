"""docs/findings.md, as far as it can be tried: what it says of each id, and its examples."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby, pairwise

from tests.markdown import CodeBlock, Heading, Page, Part, Prose
from tests.migration_guard.findings.trying import Example
from tests.project import CHECKOUT

PAGE = Page(CHECKOUT / "docs" / "findings.md")
LEVEL_OF_IDS = 3
FACTS = re.compile(r"\*\*(?P<severity>\w+)\*\*(?P<by_size>, less on a small table)?(?:; (?P<lock>[A-Z ]+): .*)?\.")
CODE_SPAN = re.compile(r"`([a-z-]+)`")
FOUND, NOT_FOUND = "Found", "Not found"


@dataclass(frozen=True)
class Entry:
    """The section of an id."""

    id: str
    severity: str
    by_size: bool
    lock: str
    examples: list[Example]

    @property
    def is_found(self) -> bool:
        return any(self.id in example.expected for example in self.examples)

    @property
    def is_not_found(self) -> bool:
        return any(self.id not in example.expected for example in self.examples)


def entries() -> list[Entry]:
    return [_entry(part.text, rest) for part, rest in _sections() if part.level == LEVEL_OF_IDS]


def _sections() -> Iterator[tuple[Heading, list[Part]]]:
    """Each heading with the parts up to the next one."""
    grouped = [
        (is_head, [*parts]) for is_head, parts in groupby(PAGE.content.parts, lambda part: type(part) is Heading)
    ]
    for (is_head, heads), (_, rest) in pairwise(grouped):
        if is_head and isinstance(heads[-1], Heading):
            yield heads[-1], rest


def _entry(name: str, parts: list[Part]) -> Entry:
    facts = next(match for part in parts if isinstance(part, Prose) and (match := FACTS.match(part.text)))
    return Entry(name, facts["severity"], bool(facts["by_size"]), facts["lock"] or "", [*_examples(name, parts)])


def _examples(name: str, parts: list[Part]) -> Iterator[Example]:
    """Each code block under a line that says whether the id is found in it, and what else is."""
    for said, block in pairwise(part for part in parts if not isinstance(part, Prose) or part.text):
        if isinstance(said, Prose) and isinstance(block, CodeBlock) and said.text.startswith((FOUND, NOT_FOUND)):
            others = set(CODE_SPAN.findall(said.text))
            expected = others if said.text.startswith(NOT_FOUND) else others | {name}
            yield Example(f"{name}: {said.text}", block.text, frozenset(expected), is_sql=block.language == "sql")
