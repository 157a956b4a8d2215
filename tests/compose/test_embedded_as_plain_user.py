"""The README's first command as an ordinary user types it: a fresh clone, uv, nothing else, no root."""

import subprocess
from pathlib import Path

from tests.project import copy_tree

BECOME_A_USER = "useradd --create-home user && exec su user -c 'sh /clone/as-user.sh'"
AS_A_USER = """
set -eu
python3 -m venv ~/tools && ~/tools/bin/pip install --quiet uv
cp -r /clone ~/my-trader && cd ~/my-trader
~/tools/bin/uv run --quiet python manage.py up >up.log 2>&1 &
up=$!
until grep -q 'The admin answers' up.log; do
  kill -0 $up || { cat up.log; exit 1; }
  sleep 0.2
done
python3 -c 'import urllib.request as u; print(u.urlopen("http://127.0.0.1:8000/admin/login/").status)'
kill -TERM $up
wait $up && echo "up ended with 0"
stat -c '%F of %U' .postgres/data
test -e .postgres/data/postmaster.pid || echo "the server is stopped"
"""


def test_up_works_as_a_plain_user(image: str, tmp_path: Path) -> None:
    clone = copy_tree(tmp_path / "clone")
    (clone / "as-user.sh").write_text(AS_A_USER)
    subprocess.run(["chmod", "-R", "a+rX", tmp_path], check=True)

    container = ["docker", "run", "--rm", "--init", "--volume", f"{clone}:/clone:ro", "python:3.13-slim"]
    ended = subprocess.run(
        [*container, "sh", "-c", BECOME_A_USER],
        capture_output=True,
        text=True,
        check=False,
    )

    assert ended.stdout.splitlines() == [
        "200",
        "up ended with 0",
        "directory of user",
        "the server is stopped",
    ], ended.stdout + ended.stderr
