"""What `benchmarks.safer` changes: the models after each change, and how a change is judged."""

from dataclasses import dataclass

from benchmarks.shop import BEFORE, BOX, COUNT, HEAD, PRICE, WITHOUT_CONSTRAINT


@dataclass(frozen=True)
class Form:
    """The models after the change, and what `makemigrations` is answered when it asks.

    One that `breaks` is over at once in its plain form, and then the release before it fails.
    """

    after: str
    answers: str = ""
    breaks: bool = False


def _with(line: str) -> str:
    return f"{BEFORE}    {line}\n"


def _meta(line: str) -> str:
    return f"{BEFORE}\n    class Meta:\n        {line}\n"


FORMS = {
    "index": Form(_meta("indexes = [models.Index(fields=['price'], name='item_price')]")),
    "unique": Form(_meta("constraints = [models.UniqueConstraint(fields=['name'], name='item_name')]")),
    "unique_together": Form(_meta("unique_together = [('name', 'price')]")),
    "check": Form(
        _meta("constraints = [models.CheckConstraint(condition=models.Q(price__gte=0), name='item_price_check')]")
    ),
    "foreign_key": Form(BEFORE.replace(WITHOUT_CONSTRAINT, "")),
    "new_foreign_key": Form(_with("lid = models.ForeignKey(Box, models.CASCADE, null=True, related_name='+')")),
    # 2: the rows that are there hold no NULL.
    "not_null": Form(BEFORE.replace(PRICE, PRICE.replace("null=True", "")), answers="2\n"),
    "bigint": Form(BEFORE.replace(COUNT, COUNT.replace("IntegerField", "BigIntegerField"))),
    "new_constant": Form(_with("stock = models.IntegerField(default=3)"), breaks=True),
    "new_callable": Form(_with("tags = models.JSONField(default=dict)"), breaks=True),
    "removed_field": Form(BEFORE.replace(COUNT, ""), breaks=True),
    "removed_model": Form(HEAD + BOX, breaks=True),
    "renamed_model": Form(BEFORE.replace("class Item", "class Thing"), answers="y\n", breaks=True),
}
