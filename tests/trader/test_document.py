"""docs/trading-book.md is followed to the letter in a copy of the project."""

from tests.markdown import Page
from tests.project import CHECKOUT, Project
from tests.reading import Reader


def test_the_first_account_comes_out_as_shown(project: Project) -> None:
    project.manage("prepare")
    reader = Reader(project, Page(CHECKOUT / "docs" / "trading-book.md").content.code_blocks)

    reader.follow()

    assert not reader.remaining
