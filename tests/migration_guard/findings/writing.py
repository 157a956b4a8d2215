"""Examples, written shortly."""

from tests.migration_guard.findings.trying import Example

FIELD = 'migrations.AddField("Item", "{name}", models.{field})'
FILL = """
def fill(apps, schema_editor):
    Item = apps.get_model("shop", "Item")
    {body}

atomic = {atomic}
operations = [migrations.RunPython(fill, migrations.RunPython.noop)]
"""


def sql(name: str, text: str, *expected: str) -> Example:
    return Example(name, text, frozenset(expected), is_sql=True)


def python(name: str, text: str, *expected: str) -> Example:
    return Example(name, text, frozenset(expected))


def field(name: str, definition: str, *expected: str) -> Example:
    """One AddField, of a field called `extra`."""
    return python(name, f"operations = [{FIELD.format(name='extra', field=definition)}]", *expected)


def code(name: str, body: str, *expected: str, atomic: bool = True) -> Example:
    """A RunPython whose function does this; `Item` is the historical model."""
    return python(name, FILL.format(body=body.replace("\n", "\n    "), atomic=atomic), *expected)
