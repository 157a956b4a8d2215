"""What came in by file, row by row: a row that is in the book is not taken in again."""

from django.db import models
from django.db.models import Q

from trader.models.accounts import Account


class ImportBatch(models.Model):
    """One file that was taken in whole."""

    account = models.ForeignKey(Account, on_delete=models.PROTECT)
    source = models.CharField(max_length=32, help_text="The format that the file was read as.")
    file_name = models.CharField(max_length=255)
    sha256 = models.CharField("SHA-256", max_length=64)
    actor = models.CharField(max_length=254)
    imported_at = models.DateTimeField()

    class Meta:
        verbose_name_plural = "import batches"
        constraints = [
            models.CheckConstraint(
                condition=Q(sha256__regex=r"^[0-9a-f]{64}$"), name="trader_importbatch_sha256_check"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.file_name} ({self.imported_at:%Y-%m-%d %H:%M})"


class ImportRow(models.Model):
    """One row of such a file. Rows without an external ID are told apart by their content and, where two are equal, by
    their ordinal among the equal ones."""

    class State(models.TextChoices):
        IMPORTED = "IMPORTED", "Imported"
        KNOWN = "KNOWN", "Known already"

    batch = models.ForeignKey(ImportBatch, on_delete=models.PROTECT, related_name="rows")
    account = models.ForeignKey(Account, on_delete=models.PROTECT, db_index=False)
    source = models.CharField(max_length=32)
    row_number = models.IntegerField("line", help_text="Of the file, the header being 1.")
    raw = models.TextField()
    external_id = models.CharField("external ID", max_length=128, blank=True)
    row_hash = models.CharField(max_length=32, help_text="BLAKE2b of what was read, the note left out.")
    ordinal = models.IntegerField(default=0)
    state = models.CharField(
        max_length=8, choices=State, default=State.IMPORTED, help_text="Known: the book held what the row says."
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["account", "source", "external_id"],
                condition=~Q(external_id=""),
                name="trader_importrow_account_source_external_id_unique",
            ),
            models.UniqueConstraint(
                fields=["account", "source", "row_hash", "ordinal"],
                name="trader_importrow_account_source_row_hash_ordinal_unique",
            ),
            models.CheckConstraint(condition=Q(state__in=["IMPORTED", "KNOWN"]), name="trader_importrow_state_check"),
        ]

    def __str__(self) -> str:
        return f"{self.batch_id}, line {self.row_number}"
