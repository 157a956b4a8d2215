"""What the documents show is real: commands and their flags, services, variables, links, checks, packages."""

import ast
import re
import shlex
import tomllib
from collections.abc import Iterator
from dataclasses import fields

import pytest
from django.core.management import BaseCommand, CommandError, get_commands, load_command_class

from migration_guard.conf import GuardSettings
from tests.markdown import Page
from tests.project import CHECKOUT

README, CONTRIBUTING = (Page(CHECKOUT / name) for name in ("README.md", "CONTRIBUTING.md"))
DOCS = {path.stem: Page(path) for path in sorted((CHECKOUT / "docs").glob("*.md"))}
PAGES = [README, CONTRIBUTING, *DOCS.values()]
COMPOSE_FILES = sorted(CHECKOUT.glob("docker-compose*.yml"))
every_page = pytest.mark.parametrize("page", PAGES, ids=str)

LANGUAGES = {"sh", "text", "sql", "python", "diff", "nginx", "yaml", "toml", "json"}
READERS = {"str", "int", "bool", "list", "url", "secret"}
VARIABLE = re.compile(r"`([A-Z][A-Z0-9_]+)`")
INTERPOLATION = re.compile(r"\$\{([A-Z0-9_]+)(?::-([^}]*))?")
GUARD_CHECK_ID = re.compile(r"\bguard\.[EW]\d{3}\b")
CHECK_ID = re.compile(r"\bconfig\.E\d{3}\b")
PATH_IN_THE_TREE = re.compile(r"(?:config|migration_guard|trader|tests|docs|benchmarks|requirements)/[\w./-]*")
PACKAGE = re.compile(r"[\w-]+(?:\[[\w,-]+\])?")

ACT_ON_SERVICES = {"up", "start", "stop", "restart", "ps", "logs", "pull", "build", "rm"}
ACT_ON_ONE_SERVICE = {"exec", "run", "port"}
ACT_ON_THE_PROJECT = {"down", "config", "version", "ls"}
OF_THE_PROJECT = {"-f", "--file", "-p", "--project-name", "--profile", "--env-file"}
OF_THE_COMMAND = {"--scale", "--index", "--since", "--tail", "--timeout", "--user", "--env"}


def words(line: str) -> Iterator[str]:
    """The words of one shell command: up to an operator, a comment, or a quote that is never closed."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    try:
        for word in lexer:
            if set(word) <= set("();<>|&"):
                return
            yield word
    except ValueError:
        return


def calls(line: str, program: str) -> Iterator[list[str]]:
    """The arguments of each call of the program in a line, in its comment too."""
    for found in re.finditer(rf"{program}[ \t]+(?=\S)", line):
        yield [*words(line[found.end() :])]


def problem_of_manage_py(arguments: list[str]) -> str | None:
    """Why manage.py would refuse the arguments. A command alone is a mention of it and may lack what it needs."""
    name, *rest = arguments
    application = get_commands().get(name)
    if application is None:
        return f"there is no command {name}"
    command = application if isinstance(application, BaseCommand) else load_command_class(application, name)
    if rest:
        try:
            command.create_parser("manage.py", name).parse_args(rest)
        except CommandError as error:
            return f"{shlex.join(arguments)}: {error}"
    return None


def services_of_compose() -> set[str]:
    """The names two blanks below `services:`."""
    text = (CHECKOUT / "docker-compose.yml").read_text(encoding="utf-8")
    block = re.search(r"^services:\n((?:[ #].*\n|\n)*)", text, re.MULTILINE)
    assert block
    return set(re.findall(r"^  ([\w-]+):", block[1], re.MULTILINE))


def take_options(arguments: list[str], with_value: set[str]) -> list[tuple[str, str]]:
    """Remove the options that the arguments begin with, and return them with their values."""
    taken = []
    while arguments and arguments[0].startswith("-"):
        name, _, value = arguments.pop(0).partition("=")
        taken.append((name, value or (arguments.pop(0) if name in with_value and arguments else "")))
    return taken


def services_named(subcommand: str, arguments: list[str]) -> set[str]:
    """The services that the arguments of a Compose command act on."""
    remaining, services, options = [*arguments], [], []
    while remaining:
        options += take_options(remaining, OF_THE_COMMAND)
        services += remaining[:1]
        del remaining[:1]
        if subcommand in ACT_ON_ONE_SERVICE and services:
            remaining.clear()
    scaled = [value.partition("=")[0] for name, value in options if name == "--scale"]
    return {*scaled, *([] if subcommand in ACT_ON_THE_PROJECT else services)}


def problem_of_compose(arguments: list[str]) -> str | None:
    """Why Compose would refuse the arguments: a file, a command or a service that is not there."""
    remaining = [*arguments]
    files = [value for name, value in take_options(remaining, OF_THE_PROJECT) if name in {"-f", "--file"}]
    if absent := [name for name in files if not (CHECKOUT / name).is_file()]:
        return f"there is no {', '.join(absent)}"
    if not remaining:
        return None
    subcommand, *rest = remaining
    if subcommand not in ACT_ON_SERVICES | ACT_ON_ONE_SERVICE | ACT_ON_THE_PROJECT:
        return f"this test knows no docker compose {subcommand}"
    unknown = services_named(subcommand, rest) - services_of_compose()
    return f"docker-compose.yml has no service {', '.join(sorted(unknown))}" if unknown else None


def variables_of_settings() -> dict[str, str]:
    """What config/settings.py reads, and the default where it is written out; a secret under both of its names."""
    tree = ast.parse((CHECKOUT / "config" / "settings.py").read_text(encoding="utf-8"))
    found = {}
    for node in ast.walk(tree):
        match node:
            case ast.Call(
                func=ast.Attribute(value=ast.Name(id="env"), attr=reader),
                args=[ast.Constant(value=str(name)), *defaults],
            ) if reader in READERS:
                found[name] = _written_out(defaults)
                if reader == "secret":
                    found[f"{name}_FILE"] = ""
    return found


def _written_out(defaults: list[ast.expr]) -> str:
    match defaults:
        case [ast.Constant(value=str() | int() as value)] if not isinstance(value, bool):
            return str(value)
    return ""


def variables_of_compose() -> dict[str, str]:
    """What the Compose files interpolate, and the default where they give one."""
    texts = [path.read_text(encoding="utf-8") for path in COMPOSE_FILES]
    found = [match for text in texts for match in INTERPOLATION.findall(text)]
    return dict(sorted(found, key=lambda match: match[1]))


def documented_variables() -> dict[str, str]:
    """The table of docs/running.md: each variable's name and what stands under "default"."""
    rows = DOCS["running"].content.section("Environment variables").table_rows
    return {name: row[1] for row in rows for name in VARIABLE.findall(row[0])}


def packages_of_the_project() -> set[str]:
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))
    requirements = [*project["project"]["dependencies"], *project["dependency-groups"]["dev"]]
    return {found[0] for requirement in requirements if (found := PACKAGE.match(requirement))}


def target_exists(page: Page, link: str) -> bool:
    """Whether a relative link leads to a file of the tree and, with a fragment into a page, to a heading of it."""
    name, _, fragment = link.partition("#")
    target = (page.path.parent / name).resolve() if name else page.path
    if not target.exists():
        return False
    return not fragment or fragment in {heading.anchor for heading in Page(target).content.headings}


@every_page
def test_every_management_command_exists_and_knows_its_flags(page: Page) -> None:
    shown = [call for line in page.content.shell_lines for call in calls(line, r"manage\.py")]

    assert [problem for call in shown if (problem := problem_of_manage_py(call))] == []


@every_page
def test_every_compose_command_names_services_and_files_that_exist(page: Page) -> None:
    shown = [call for line in page.content.shell_lines for call in calls(line, "docker compose")]

    assert [problem for call in shown if (problem := problem_of_compose(call))] == []


@every_page
def test_every_link_and_image_leads_somewhere(page: Page) -> None:
    relative = [link for link in page.content.links if not re.match(r"\w+:", link)]

    assert [link for link in relative if not target_exists(page, link)] == []


@every_page
def test_every_path_that_is_named_exists(page: Page) -> None:
    named = [span for span in page.content.code_spans if PATH_IN_THE_TREE.fullmatch(span)]

    assert [path for path in named if not (CHECKOUT / path).exists()] == []


@every_page
def test_every_code_block_says_what_it_is_written_in(page: Page) -> None:
    """One that does not is one whose commands nobody tries."""
    assert {block.language for block in page.content.code_blocks} <= LANGUAGES


def test_every_variable_that_is_read_is_documented() -> None:
    read = variables_of_settings().keys() | variables_of_compose().keys()

    assert {name for name in read if not name.endswith("_FILE")} - documented_variables().keys() == set()


def test_every_documented_variable_is_read() -> None:
    read = variables_of_settings().keys() | variables_of_compose().keys()

    assert documented_variables().keys() - read == set()


def test_the_migration_guide_and_dotenv_name_documented_variables() -> None:
    rows = DOCS["migrations"].content.section("Environment variables").table_rows
    named = {name for row in rows for name in VARIABLE.findall(row[0])}
    named |= set(re.findall(r"^([A-Z0-9_]+)=", (CHECKOUT / ".env").read_text(encoding="utf-8"), re.MULTILINE))

    assert named - documented_variables().keys() == set()


def test_documented_defaults_are_those_of_the_code() -> None:
    in_code = variables_of_settings().items() | variables_of_compose().items()
    written_out = {name: default for name, default in in_code if default}

    documented = documented_variables()
    assert {name: documented[name] for name in written_out} == {name: f"`{v}`" for name, v in written_out.items()}


def test_every_check_is_documented_and_no_other() -> None:
    rows = DOCS["running"].content.section("Checks").table_rows
    defined = set(CHECK_ID.findall((CHECKOUT / "config" / "checks.py").read_text(encoding="utf-8")))

    assert {check for row in rows for check in CHECK_ID.findall(row[0])} == defined


def test_the_guards_settings_and_checks_are_documented_and_no_others() -> None:
    guard = DOCS["migration-guard"].content
    code = "".join((CHECKOUT / "migration_guard" / name).read_text() for name in ("conf.py", "checks.py"))

    _, *settings = (row[0].strip("`") for row in guard.section("Settings").table_rows)
    _, *checks = (row[0].strip("`") for row in guard.section("Checks").table_rows)
    assert settings == [field.name for field in fields(GuardSettings)]
    assert set(checks) == set(GUARD_CHECK_ID.findall(code))


def test_every_dependency_is_justified_and_no_other() -> None:
    rows = DOCS["dependencies"].content.table_rows
    justified = {row[0].strip("`") for row in rows if row[0].startswith("`")}

    assert justified == packages_of_the_project()


@pytest.mark.parametrize(
    "line",
    [
        "uv run python manage.py stamp head",
        "uv run python manage.py migrate --to 0005",
        "uv run python manage.py migrate trader 0005 now",
        "uv run python manage.py db begin",
        "docker compose up  # or: uv run python manage.py db up",
    ],
)
def test_a_command_that_manage_py_refuses_is_noticed(line: str) -> None:
    assert [problem for call in calls(line, r"manage\.py") if (problem := problem_of_manage_py(call))]


@pytest.mark.parametrize(
    "line",
    [
        "uv run python manage.py db psql -c '\\d trader_user' | head",
        "docker compose exec backend python manage.py dbshell -- -c '\\dt'",
        "uv run python manage.py migrate trader 0005   # it's a comment",
    ],
)
def test_a_command_that_manage_py_takes_is_no_problem(line: str) -> None:
    assert [problem_of_manage_py(call) for call in calls(line, r"manage\.py")] == [None]


@pytest.mark.parametrize(
    "line",
    [
        "docker compose restart web",
        "docker compose exec -T database psql -U postgres",
        "docker compose up --wait --scale worker=3",
        "docker compose -f compose.override.yml -f docker-compose.yml up",
        "docker compose begin",
    ],
)
def test_a_command_that_compose_refuses_is_noticed(line: str) -> None:
    assert [problem for call in calls(line, "docker compose") if (problem := problem_of_compose(call))]


@pytest.mark.parametrize(
    "line",
    [
        "BACKEND_PORT=8000-8002 docker compose up --build --wait --scale backend=3",
        "docker compose port --index 2 backend 8000",
        "docker compose -f docker-compose.yml -f docker-compose.production.yml exec backend sh",
        "docker compose exec -T db pg_dump -U postgres -Fc app > app.dump",
        "docker compose logs --since 10m backend",
    ],
)
def test_a_command_that_compose_takes_is_no_problem(line: str) -> None:
    assert [problem_of_compose(call) for call in calls(line, "docker compose")] == [None]


@pytest.mark.parametrize("link", ["absent.md", "running.md#absent", "#absent", "images/absent.svg"])
def test_a_link_that_leads_nowhere_is_noticed(link: str) -> None:
    assert not target_exists(DOCS["migrations"], link)
