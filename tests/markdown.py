"""What a Markdown page of the project says, as far as tests want to know it."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import takewhile
from pathlib import Path

FENCE = "```"
HEADING = re.compile(r"(#{1,6}) +(.+)")
SPAN = re.compile(r"`([^`]+)`")
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


@dataclass(frozen=True)
class Heading:
    level: int
    text: str

    @property
    def anchor(self) -> str:
        """The fragment by which a link finds it: lower case, no punctuation, a hyphen for a blank."""
        return re.sub(r"[^\w\- ]", "", self.text.lower()).replace(" ", "-")


@dataclass(frozen=True)
class CodeBlock:
    language: str
    text: str


@dataclass(frozen=True)
class Prose:
    """One line outside code blocks, which may be empty."""

    text: str


Part = Heading | CodeBlock | Prose


@dataclass(frozen=True)
class Section:
    """Some parts of a page, in their order."""

    parts: Sequence[Part]

    @property
    def headings(self) -> list[Heading]:
        return [part for part in self.parts if isinstance(part, Heading)]

    @property
    def code_blocks(self) -> list[CodeBlock]:
        return [part for part in self.parts if isinstance(part, CodeBlock)]

    @property
    def code_spans(self) -> list[str]:
        """What stands between backticks in the prose; one that runs over a line's end is one line here."""
        return [span.replace("\n", " ") for span in SPAN.findall(self._prose)]

    @property
    def links(self) -> list[str]:
        """Where links and images lead."""
        return LINK.findall(SPAN.sub("", self._prose))

    @property
    def table_rows(self) -> list[list[str]]:
        """The cells of each line of its tables, the heads among them."""
        lines = [part.text for part in self.parts if isinstance(part, Prose) and part.text.startswith("|")]
        return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if set(line) - set("|-: ")]

    @property
    def shell_lines(self) -> list[str]:
        """Every line of its shell blocks, and every code span: what a reader may type."""
        blocks = [block.text.replace("\\\n", " ") for block in self.code_blocks if block.language == "sh"]
        return [line for block in blocks for line in block.splitlines()] + self.code_spans

    def section(self, title: str) -> "Section":
        """What stands under the heading that begins with the title, its subsections included."""
        start, level = next(
            (index, part.level)
            for index, part in enumerate(self.parts)
            if isinstance(part, Heading) and part.text.startswith(title)
        )
        below = takewhile(
            lambda part: not isinstance(part, Heading) or part.level > level,
            self.parts[start + 1 :],
        )
        return Section([*below])

    @property
    def _prose(self) -> str:
        return "\n".join(part.text for part in self.parts if isinstance(part, Heading | Prose))


@dataclass(frozen=True)
class Page:
    path: Path

    def __str__(self) -> str:
        return self.path.name

    @cached_property
    def content(self) -> Section:
        return Section([*_parts(self.path.read_text(encoding="utf-8").splitlines())])


def _parts(lines: Sequence[str]) -> Iterator[Part]:
    remaining = iter(lines)
    for line in remaining:
        if line.startswith(FENCE):
            code = takewhile(lambda inner: not inner.startswith(FENCE), remaining)
            yield CodeBlock(line.removeprefix(FENCE).strip(), "".join(f"{inner}\n" for inner in code))
        elif found := HEADING.fullmatch(line):
            yield Heading(len(found[1]), found[2])
        else:
            yield Prose(line)
