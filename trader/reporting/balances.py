"""The trial balance: what each ledger account of an account holds."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from trader.models import Account
from trader.operations.rates import Rates
from trader.reporting.money import balances
from trader.reporting.valuation import Given, Valuation


@dataclass(frozen=True)
class BalanceFigures:
    """Debit is positive; None in base currency where a rate is missing."""

    kind: str
    currency: str
    amount: Decimal
    amount_base: Decimal | None


@dataclass(frozen=True)
class BalancesReport:
    account: str
    as_of: date
    base_currency: str
    balances: list[BalanceFigures]
    missing_rates: list[str]


def report_balances(account: Account, as_of: date, given: Given) -> BalancesReport:
    """By kind, then by currency; converted at the rates of the day."""
    rates = Rates()
    valuation = Valuation(account.base_currency.code, as_of, rates, given)
    figures = [
        BalanceFigures(*balance, valuation.in_base(balance.amount, balance.currency))
        for balance in balances(account, as_of)
    ]
    return BalancesReport(
        account=account.code,
        as_of=as_of,
        base_currency=account.base_currency.code,
        balances=figures,
        missing_rates=sorted(rates.missing),
    )
