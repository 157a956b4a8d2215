"""What a log collector reads: gunicorn's output in a pipe."""

import json
import signal
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from typing import Any

import pytest

from tests.programs import running
from tests.project import Project
from tests.server import free_port

Line = dict[str, Any]


def ask(port: int, path: str) -> None:
    connection = HTTPConnection("127.0.0.1", port, timeout=60)
    # A session's cookie, so that answering takes the database.
    connection.request("GET", path, headers={"Cookie": f"sessionid={'a' * 32}"} if path == "/admin/" else {})
    connection.getresponse().read()
    connection.close()


@pytest.fixture(scope="module")
def output(checkout: Project) -> list[str]:
    """The lines of a backend that answered three requests, one of them with an error for want of a database."""
    port = free_port()
    variables = {
        "BACKEND_BIND": f"127.0.0.1:{port}",
        "BACKEND_WORKERS": "1",
        "DEBUG": "false",
        "POSTGRES_SERVER": "127.0.0.1",
        "POSTGRES_PORT": str(free_port()),
    }
    project = replace(checkout, env=checkout.env | variables)
    with running(project, "gunicorn", "--config", "config/gunicorn.conf.py") as backend:
        backend.wait_for("Booting worker")
        for path in ("/", "/no-such-page", "/admin/"):
            ask(port, path)
        backend.process.send_signal(signal.SIGTERM)
        backend.wait()
    return backend.output.splitlines()


@pytest.fixture
def lines(output: list[str]) -> list[Line]:
    return [json.loads(line) for line in output]


def test_every_line_is_json_with_level_time_and_logger(lines: list[Line]) -> None:
    assert len(lines) > 8
    for line in lines:
        assert line["level"] in {"debug", "info", "warning", "error"}
        assert datetime.now(UTC) - datetime.fromisoformat(line["timestamp"]) < timedelta(minutes=5)
        assert line["event"]
        assert line["logger"]


def test_the_lines_of_a_request_carry_its_id(lines: list[Line]) -> None:
    [redirect, missing, failed] = [line["request_id"] for line in lines if line["event"] == "request_started"]

    assert len({redirect, missing, failed}) == 3
    assert {(line["request_id"], line["code"]) for line in lines if line["event"] == "request_finished"} == {
        (redirect, 302),
        (missing, 404),
    }
    assert [line["request_id"] for line in lines if "exception" in line] == [failed]


def test_an_error_is_one_line_with_its_traceback(lines: list[Line]) -> None:
    [error] = [line for line in lines if "exception" in line]

    assert error["level"] == "error"
    assert error["event"] == "Internal Server Error: /admin/"
    assert "Traceback" in error["exception"]
    assert "OperationalError" in error["exception"]
