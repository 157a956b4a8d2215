"""Migration files with what Django's writer leaves out: `atomic`, and what the guard says about a migration."""

from collections.abc import Iterator

from django.db.migrations.writer import MigrationWriter

CLASS = "class Migration(migrations.Migration):\n"


class GuardedWriter(MigrationWriter):
    """Django's writer; the lines it does not know follow the head of the class."""

    def as_string(self) -> str:
        return super().as_string().replace(CLASS, CLASS + "".join(self._lines()), 1)

    def _lines(self) -> Iterator[str]:
        for line in getattr(self.migration, "comment", "").splitlines():
            yield f"    # {line}\n"
        if (serves := getattr(self.migration, "serves_previous_release", None)) is not None:
            yield f"    serves_previous_release = {serves}\n"
        if not self.migration.atomic:
            yield "    atomic = False\n"
