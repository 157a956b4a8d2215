"""A page of the documents, followed to the letter: what it says is typed, what it shows comes."""

import subprocess
from collections.abc import Callable

from tests.markdown import CodeBlock
from tests.project import Project


class Reader:
    """Goes through code blocks: edits what a diff edits, types what a shell block says, expects what the rest shows."""

    def __init__(self, project: Project, blocks: list[CodeBlock]) -> None:
        self.project = project
        self.remaining = list(blocks)
        self.output = ""
        self.shell("git init --quiet && git add --all")

    def follow(self, *, until: Callable[[], bool] = lambda: False) -> None:
        """Go on to the end, or to where the condition holds, which is asked before each block."""
        while self.remaining and not until():
            self._take(self.remaining.pop(0))

    @property
    def is_to_edit(self) -> bool:
        return bool(self.remaining) and self.remaining[0].language == "diff"

    def shell(self, script: str, stdin: str | None = None) -> None:
        ended = subprocess.run(
            ["sh", "-euc", script],
            cwd=self.project.path,
            env=self.project.environment,
            input=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
            check=False,
        )
        self.output = ended.stdout
        assert ended.returncode == 0, f"The guide says to type\n{script}{stdin or ''}\nwhich gives\n{self.output}"

    def _take(self, block: CodeBlock) -> None:
        if block.language == "diff":
            self.shell("git apply", stdin=block.text)
        elif block.language == "sh":
            # The test run's own Python stands for the one that uv would install.
            self.shell(block.text.replace("uv run python", "python"))
        else:
            self._expect(block.text)

    def _expect(self, shown: str) -> None:
        """Every line is in the last command's output, in this order, whatever stands between them."""
        printed = iter([_without_spacing(line) for line in self.output.splitlines()])
        for line in filter(None, map(_without_spacing, shown.splitlines())):
            assert line in printed, f"The guide shows\n{shown}\nwhere this comes:\n{self.output}"


def _without_spacing(line: str) -> str:
    return " ".join(line.split())
