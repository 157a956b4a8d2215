"""docs/migrations.md is followed to the letter in a copy of the project: what it says is typed, what it shows comes."""

import re

import pytest

from tests.markdown import Page
from tests.project import CHECKOUT, Project
from tests.reading import Reader

GUIDE = Page(CHECKOUT / "docs" / "migrations.md")
COLUMNS = """
    SELECT table_name, column_name, data_type, is_nullable, column_default
    FROM information_schema.columns
    WHERE table_schema = current_schema()
"""
Columns = set[tuple[str, ...]]


def columns(project: Project) -> Columns:
    with project.connect() as connection:
        return set(connection.execute(COLUMNS).fetchall())


def migrations() -> list[str]:
    """The names in the tree, in their order."""
    return sorted(path.stem for path in (CHECKOUT / "trader" / "migrations").glob("[0-9]*.py"))


def numbers_in(text: str) -> set[str]:
    return set(re.findall(r"(?:\btrader |migrations/|\btrader\.|, \")(\d{4})", text))


def test_the_worked_example_adds_to_the_schema_and_takes_it_away_again(project: Project) -> None:
    reader = Reader(project, GUIDE.content.section("A worked example").code_blocks)
    reader.follow(until=lambda: reader.is_to_edit)
    before = columns(project)

    reader.follow(until=lambda: columns(project) != before)
    applied = columns(project)
    models_and_files = project.manage("makemigrations", "--check")
    reader.follow()

    assert before < applied
    assert models_and_files.stdout.strip() == "No changes detected"
    assert columns(project) == before


def test_the_migrations_that_the_guide_writes_by_hand_go_forward_and_back(project: Project) -> None:
    blocks = [block for block in GUIDE.content.section("Edit it").code_blocks if block.language == "python"]
    last = migrations()[-1]
    file = project.path / "trader" / "migrations" / f"{int(last[:4]) + 1:04}_by_hand.py"

    for block in blocks:
        file.write_text(block.text)
        file.with_name("max_migration.txt").write_text(f"{file.stem}\n")
        for arguments in (["migrate"], ["migrate", "trader", last]):
            ended = project.manage(*arguments)
            assert ended.returncode == 0, f"{block.text}\n{ended.stdout}"

    assert blocks


@pytest.mark.parametrize(("title", "ahead"), [("Edit it", 0), ("Roll back", -1), ("A worked example", 1)])
def test_the_guide_counts_its_migrations_from_the_tree(title: str, ahead: int) -> None:
    """Each section names migrations beside the last one; a number that is too low would undo more than it says."""
    section = GUIDE.content.section(title)
    text = "\n".join([*section.shell_lines, *(block.text for block in section.code_blocks)])

    highest, last = int(max(numbers_in(text))), int(migrations()[-1][:4])
    assert highest == last + ahead, f"{title}: the last migration is {last:04} now, renumber the section's own."


def test_every_migration_that_a_command_of_the_guide_names_exists() -> None:
    named = numbers_in("\n".join(GUIDE.content.shell_lines))

    example = {f"{int(migrations()[-1][:4]) + 1:04}"}
    assert named <= {name[:4] for name in migrations()} | example
