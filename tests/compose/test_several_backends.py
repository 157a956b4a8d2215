"""Three backends that start at once on an empty database."""

import contextlib
import socket

import pytest

from tests.compose.stack import Compose


def free_range(length: int) -> str:
    """Neighbouring free ports, as Compose's port range wants them."""
    for first in range(20000, 30000, length):
        with contextlib.ExitStack() as stack, contextlib.suppress(OSError):
            for port in range(first, first + length):
                stack.enter_context(socket.socket()).bind(("127.0.0.1", port))
            return f"{first}-{first + length - 1}"
    raise AssertionError("no free ports")


@pytest.mark.parametrize("attempt", range(10))
def test_three_backends_race_on_an_empty_database_and_all_serve(compose: Compose, attempt: int) -> None:
    """For the demonstration once."""
    demonstrated = attempt == 0
    compose.project.env |= {"BACKEND_PORT": free_range(3), "DEMONSTRATION": str(demonstrated).lower()}

    compose.run("up", "--wait", "--scale", "backend=3")

    containers = [compose.inspect(index) for index in (1, 2, 3)]
    assert [container["State"]["Status"] for container in containers] == ["running"] * 3
    assert [container["RestartCount"] for container in containers] == [0] * 3
    assert [compose.get("/readyz", index=index).status for index in (1, 2, 3)] == [200] * 3
    assert compose.logs().count("Applying trader.0001_user... OK") == 1
    assert compose.logs().count("Demonstration book: ") == demonstrated
    assert compose.sql("SELECT count(*) FROM trader_user") == "1"
