from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from trader.models import Currency, FxRate
from trader.operations.rate_entry import record_rates

AddRate = Callable[[str, str, str, date], None]


@pytest.fixture
def add_rate(db: None) -> AddRate:
    """One unit of the first currency is worth so many of the second from that day on."""

    def add_rate(base: str, quote: str, rate: str, day: date) -> None:
        currencies = {
            code: Currency.objects.get_or_create(code=code, defaults={"minor_unit": 2})[0] for code in (base, quote)
        }
        at = datetime(day.year, day.month, day.day, tzinfo=UTC)
        record_rates(
            [FxRate(base=currencies[base], quote=currencies[quote], source="manual", at=at, rate=Decimal(rate))]
        )

    return add_rate
