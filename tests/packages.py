"""Packages of others, to try this project's on."""

import subprocess
from pathlib import Path


def download(requirement: str, folder: Path, *options: str) -> list[Path]:
    """Fetch one package, without what it depends on, through pip as it is set up on this machine."""
    command = ["uvx", "pip", "download", "--quiet", "--no-deps", f"--dest={folder}", *options, requirement]
    subprocess.run(command, check=True, capture_output=True, timeout=300)
    return list(folder.iterdir())
