from pathlib import Path

import pytest

from tests.markdown import CodeBlock, Heading, Page

TEXT = """\
# One `code` heading, with punctuation

A [link](other.md#part), an ![image](images/a.png), `a span
over two lines`, and `[none](in-code.md)`.

| name | value |
| --- | --- |
| `A` | 1 |

```sh
# no heading
first --long \\
  option
second
```

### Three

```text
[none](in-a-block.md)
```

## Two
"""


@pytest.fixture
def page(tmp_path: Path) -> Page:
    path = tmp_path / "page.md"
    path.write_text(TEXT)
    return Page(path)


def test_a_comment_in_a_code_block_is_no_heading(page: Page) -> None:
    assert page.content.headings == [
        Heading(1, "One `code` heading, with punctuation"),
        Heading(3, "Three"),
        Heading(2, "Two"),
    ]


def test_an_anchor_is_the_heading_without_punctuation(page: Page) -> None:
    assert page.content.headings[0].anchor == "one-code-heading-with-punctuation"


def test_a_section_ends_at_the_next_heading_of_its_level(page: Page) -> None:
    assert page.content.section("One").headings == [Heading(3, "Three"), Heading(2, "Two")]
    assert page.content.section("Three").code_blocks == [CodeBlock("text", "[none](in-a-block.md)\n")]


def test_links_and_images_are_found_outside_code_alone(page: Page) -> None:
    assert page.content.links == ["other.md#part", "images/a.png"]


def test_shell_lines_are_those_of_shell_blocks_and_code_spans(page: Page) -> None:
    assert page.content.shell_lines == [
        *("# no heading", "first --long    option", "second"),
        *("code", "a span over two lines", "[none](in-code.md)", "A"),
    ]


def test_table_rows_are_without_the_rule_below_the_head(page: Page) -> None:
    assert page.content.table_rows == [["name", "value"], ["`A`", "1"]]
