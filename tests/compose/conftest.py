import os
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.compose.stack import Compose
from tests.project import Project, copy_tree
from tests.server import free_port

IMAGE = "my-trader-tests"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here):
            item.add_marker(pytest.mark.compose)


@pytest.fixture(scope="session")
def engine() -> None:
    """A Docker engine with Compose; in CI its absence is a failure."""
    works = shutil.which("docker") and all(
        subprocess.run(command, capture_output=True, check=False).returncode == 0
        for command in (["docker", "info"], ["docker", "compose", "version"])
    )
    if not works:
        reason = "no Docker engine with Compose runs here"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)


@pytest.fixture(scope="session")
def image(engine: None, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The image of this tree, built once for all of the tests."""
    tree = copy_tree(tmp_path_factory.mktemp("image") / "my-trader")
    subprocess.run(["docker", "build", "--quiet", "--tag", IMAGE, "."], cwd=tree, capture_output=True, check=True)
    return IMAGE


@pytest.fixture
def compose(image: str, tmp_path: Path) -> Iterator[Compose]:
    """A copy of the tree as a Compose project; nothing of it is started, all of it is removed. Its book is empty: the
    demonstration is for `running`."""
    with compose_project(image, tmp_path) as compose:
        compose.project.env["DEMONSTRATION"] = "false"
        yield compose


@pytest.fixture(scope="module")
def running(image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Compose]:
    """One that was started with `up --wait`, for tests that leave it running."""
    with compose_project(image, tmp_path_factory.mktemp("running")) as compose:
        compose.run("up", "--wait")
        yield compose


@contextmanager
def compose_project(image: str, folder: Path) -> Iterator[Compose]:
    name = f"my-trader-{uuid.uuid4().hex[:8]}"
    # The name that Compose gives to what it builds: it finds it, and builds nothing.
    subprocess.run(["docker", "tag", image, f"{name}-backend"], check=True)
    ports = {"POSTGRES_PORT": str(free_port()), "BACKEND_PORT": str(free_port())}
    compose = Compose(Project(copy_tree(folder / "my-trader"), ports), name)
    try:
        yield compose
    finally:
        compose.down()
