from decimal import Decimal
from typing import Any

import pytest

from tests.factories import AccountFactory, FxRateFactory, InstrumentFactory
from tests.trader.models.plain_sql import orm_refused
from tests.trader.operations.books import Book, assert_as_if_entered_so, currency, fee, figures, on_day, state_of
from trader.models import FxRate, LotMatch, TaxLot
from trader.operations.rate_entry import record_rates, refigure

pytestmark = pytest.mark.django_db

FIGURES = ["rated_cost_base", "unrated_lots", "realized_pnl_base", "fees_base"]


def dollar_book() -> Book:
    """In francs, trading what is quoted in dollars."""
    return Book(AccountFactory.create(), InstrumentFactory.create(currency=currency("USD")))


def rate(value: str, day: float = 0, base: str = "USD", quote: str = "CHF", **more: Any) -> FxRate:
    return FxRateFactory.build(base=currency(base), quote=currency(quote), at=on_day(day), rate=Decimal(value), **more)


def test_a_late_rate_fills_in_what_had_no_figure_in_base_currency() -> None:
    book = dollar_book()
    book.buy("10", "100", day=1, fees=[fee("5", "USD")])
    book.sell("4", "110", day=3, fees=[fee("2", "USD")])
    before = figures(book.position, *FIGURES)

    recorded = record_rates([rate("0.9", day=1), rate("0.8", day=2)])

    match = LotMatch.objects.get()
    assert before == (0, 1, None, None)
    assert recorded == 2
    assert figures(match, "proceeds_base", "cost_base", "realized_pnl_base") == (352, 360, -8)
    assert figures(book.position, *FIGURES) == (540, 0, -8, Decimal("6.1"))
    assert_as_if_entered_so(book.account)


def test_a_rate_counts_from_its_day_until_the_next_one() -> None:
    book = dollar_book()
    for day in range(1, 6):
        book.buy("1", "100", day=day)

    record_rates([rate("0.9", day=2.2), rate("0.8", day=4), rate("0.7", day=4.1)])

    assert list(TaxLot.objects.order_by("acquired_at").values_list("cost_base", flat=True)) == [None, 90, 90, 70, 70]


def test_a_rate_counts_for_the_trades_before_it_on_its_day() -> None:
    book = dollar_book()
    book.buy("1", "100", day=1)

    record_rates([rate("0.9", day=1.3)])

    assert book.position.rated_cost_base == 90


def test_an_inverse_rate_does_where_there_is_no_direct_one() -> None:
    book = dollar_book()
    book.buy("10", "100", day=1)

    record_rates([rate("1.25", base="CHF", quote="USD")])
    by_inverse = book.position.rated_cost_base
    record_rates([rate("0.9", day=0.5)])

    assert by_inverse == 800
    assert book.position.rated_cost_base == 900


def test_a_trades_own_rate_stays() -> None:
    book = dollar_book()
    book.buy("10", "100", day=1, fx_rate=Decimal("0.95"))

    record_rates([rate("0.9")])

    assert book.position.rated_cost_base == 950


@pytest.mark.parametrize(
    ("base", "quote", "value", "expected"),
    [
        ("EUR", "CHF", "0.9", (None, Decimal("4.5"))),
        ("EUR", "USD", "1.1", (Decimal("5.5"), None)),
        ("USD", "EUR", "0.8", (Decimal("6.25"), None)),
    ],
)
def test_a_late_rate_values_fees_in_a_third_currency(
    base: str, quote: str, value: str, expected: tuple[Decimal | None, Decimal | None]
) -> None:
    book = dollar_book()
    book.buy("10", "100", day=1, fees=[fee("5", "EUR")])

    record_rates([rate(value, base=base, quote=quote)])

    assert figures(book.position, "fees", "fees_base") == expected


def test_the_base_currency_lies_between_two_others() -> None:
    book = dollar_book()
    book.buy("10", "100", day=1, fees=[fee("5", "EUR")])

    record_rates([rate("0.9", base="EUR"), rate("0.75")])

    assert figures(book.position, "fees", "fees_base") == (6, Decimal("4.5"))


def test_a_rate_that_is_there_already_stays_as_it_is() -> None:
    book = dollar_book()
    book.buy("10", "100", day=1)
    record_rates([rate("0.9")])

    recorded = record_rates([rate("0.8"), rate("0.7", day=0.5), rate("0.6", day=0.5)])

    assert recorded == 1
    assert list(FxRate.objects.order_by("at").values_list("rate", flat=True)) == [Decimal("0.9"), Decimal("0.7")]
    assert book.position.rated_cost_base == 700


def test_a_rate_that_went_or_changed_refigures_what_it_bore_on() -> None:
    book = dollar_book()
    book.buy("10", "100", day=1)
    record_rates([rate("0.9")])
    changed = FxRate.objects.get()

    changed.rate = Decimal("0.8")
    changed.save()
    refigure([changed])
    after_change = book.position.rated_cost_base
    FxRate.objects.all().delete()
    refigure([changed])

    assert after_change == 800
    assert figures(book.position, "rated_cost_base", "unrated_lots") == (0, 1)


def test_a_refused_rate_refuses_all() -> None:
    book = dollar_book()
    book.buy("10", "100", day=1)
    before = state_of(book.account)

    with orm_refused("trader_fxrate_rate_check"):
        record_rates([rate("0.9"), rate("-1", day=1)])

    assert not FxRate.objects.exists()
    assert state_of(book.account) == before


def test_a_rate_bears_on_every_account_in_its_currencies_and_on_no_other() -> None:
    books = [dollar_book(), dollar_book(), Book(), Book(AccountFactory.create(base_currency=currency("EUR")))]
    for book in books:
        book.buy("10", "100", day=1)
        TaxLot.objects.filter(position=book.position).update(unit_cost=1)

    record_rates([rate("0.9")])

    assert [TaxLot.objects.get(position=book.position).unit_cost for book in books] == [100, 100, 1, 1]
