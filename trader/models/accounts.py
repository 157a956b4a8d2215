"""Accounts: whose trades these are, and by which rules they are counted."""

from datetime import date, datetime
from typing import ClassVar
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import models

from trader.models.reference import Currency, validate_time_zone


class AccountManager(models.Manager["Account"]):
    natural_key_fields = ("code",)

    def get_by_natural_key(self, code: str) -> "Account":
        return self.get(code=code)


class Account(models.Model):
    """One account at one broker."""

    class CostBasisMethod(models.TextChoices):
        """Which of the open lots a closing trade consumes."""

        FIFO = "FIFO", "First in, first out"
        LIFO = "LIFO", "Last in, first out"
        HIFO = "HIFO", "Highest cost first"
        AVERAGE = "AVERAGE", "Average cost"
        SPECIFIC = "SPECIFIC", "Chosen lots"

    class FeePolicy(models.TextChoices):
        """Where a trade's fees go: into the lots' cost and proceeds, or beside them."""

        EXPENSED = "EXPENSED", "Expensed"
        IN_COST = "IN_COST", "In cost and proceeds"
        BUY_IN_COST = "BUY_IN_COST", "Bought: in cost; sold: expensed"

    code = models.CharField(max_length=32)
    name = models.CharField(max_length=200)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True)
    base_currency = models.ForeignKey(Currency, on_delete=models.PROTECT)
    time_zone = models.CharField(max_length=64, default="UTC")
    cost_basis_method = models.CharField(max_length=8, choices=CostBasisMethod, default=CostBasisMethod.FIFO)
    fee_policy = models.CharField(max_length=11, choices=FeePolicy, default=FeePolicy.EXPENSED)
    allow_short = models.BooleanField("short sales allowed", default=False)
    broker = models.CharField(max_length=200, blank=True)

    objects: ClassVar[AccountManager] = AccountManager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["code"], name="trader_account_code_unique"),
            models.CheckConstraint(
                condition=models.Q(cost_basis_method__in=["FIFO", "LIFO", "HIFO", "AVERAGE", "SPECIFIC"]),
                name="trader_account_cost_basis_method_check",
            ),
            models.CheckConstraint(
                condition=models.Q(fee_policy__in=["EXPENSED", "IN_COST", "BUY_IN_COST"]),
                name="trader_account_fee_policy_check",
            ),
        ]

    def __str__(self) -> str:
        return self.code

    def clean(self) -> None:
        validate_time_zone(self.time_zone)

    def natural_key(self) -> tuple[str]:
        return (self.code,)

    def date_of(self, instant: datetime) -> date:
        """Its day in the account's time zone."""
        return instant.astimezone(ZoneInfo(self.time_zone)).date()
