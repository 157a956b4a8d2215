"""Restore points in containers: written by the user that the backend runs as, and kept when it is made anew."""

import json

from tests.compose.stack import Compose


def manage(compose: Compose, *arguments: str) -> str:
    return compose.run("exec", "-T", "backend", "python", "manage.py", *arguments).stdout


def test_a_restore_point_outlives_the_container_that_took_it(compose: Compose) -> None:
    compose.run("up", "--wait")
    first = compose.inspect()["Id"]
    email = "UPDATE trader_user SET email = 'somebody@example.com'"
    compose.sql(email)

    manage(compose, "rollback", "trader", "zero", "--yes")
    compose.run("up", "--wait", "--force-recreate", "backend")

    assert compose.inspect()["Id"] != first
    listed = json.loads(manage(compose, "restore_points", "--json"))
    assert all(point["whole"] for point in listed)
    (point,) = [point for point in listed if "trader_user" in [part["table"] for part in point["holds"]]]
    assert compose.sql("SELECT email FROM trader_user") == "admin@example.com"
    manage(compose, "restore", point["name"], "--yes")
    assert "somebody@example.com" in compose.sql("SELECT email FROM trader_user")
