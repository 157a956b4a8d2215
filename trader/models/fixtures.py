"""What the project has delivered to this database already."""

from django.contrib.postgres.fields import ArrayField
from django.db import models


class LoadedFixture(models.Model):
    """One fixture row that was delivered; it is not delivered again, whatever became of it since."""

    model = models.CharField(max_length=100, help_text="The model's label: trader.currency.")
    natural_key = ArrayField(models.TextField())
    loaded_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["model", "natural_key"], name="trader_loadedfixture_model_natural_key_unique"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.model} {', '.join(self.natural_key)}"
