from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trader.booking.numbers import ONE, exact, quantized
from trader.booking.returns import LARGEST, Flow, drawdown, growth, xirr

FIRST = date(2025, 1, 1)

Days = Sequence[tuple[Decimal | None, Decimal | None]]

amounts = st.integers(1, 10**9).map(lambda cents: Decimal(cents) / 100)
factors = st.integers(800, 1250).map(lambda thousandths: Decimal(thousandths) / 1000)


def days(*pairs: tuple[str | None, str | None]) -> Days:
    """Transfers and value of days that follow each other."""
    return [tuple(None if text is None else Decimal(text) for text in pair) for pair in pairs]  # type: ignore[misc]


def flows(*pairs: tuple[str, str]) -> list[Flow]:
    return [(date.fromisoformat(day), Decimal(amount)) for day, amount in pairs]


def grown(
    initial: str | Decimal | None, coming: Sequence[tuple[Decimal | None, Decimal | None]]
) -> list[Decimal | None]:
    return [*growth(None if initial is None else Decimal(initial), coming)]


def at_18_places(numbers: Iterable[Decimal | None]) -> list[Decimal | None]:
    return [None if number is None else quantized(number) for number in numbers]


class TestGrowth:
    def test_transfers_are_there_from_the_start_of_their_day(self) -> None:
        """1,000 become 1,100: 1.1. Then 900 come in and 2,000 become 1,800: 0.9. Then 600 go out and 1,200 become
        1,260: 1.05. Together 1.1 x 0.9 x 1.05 = 1.0395."""
        coming = days(("0", "1100"), ("900", "1800"), ("-600", "1260"))

        assert at_18_places(grown("1000", coming)) == [Decimal("1.1"), Decimal("0.99"), Decimal("1.0395")]

    def test_the_first_deposit_is_what_an_empty_account_begins_with(self) -> None:
        assert grown("0", days(("0", "0"), ("500", "510"))) == [1, Decimal("1.02")]

    def test_while_nothing_is_there_nothing_changes(self) -> None:
        coming = days(("0", "110"), ("-110", "0"), ("0", "0"), ("200", "210"))

        assert at_18_places(grown("100", coming)) == [*map(Decimal, ("1.1", "1.1", "1.1", "1.155"))]

    def test_who_lost_all_has_lost_all_whatever_comes_in_later(self) -> None:
        assert grown("100", days(("0", "0"), ("50", "60"))) == [0, 0]

    @pytest.mark.parametrize(
        ("initial", "coming"),
        [
            ("100", days(("0", "-1"))),
            ("-100", days(("0", "-90"))),
            ("100", days(("-110", "0"))),
            ("0", days(("0", "10"))),
            ("100", days(("-100", "10"))),
            ("100", days(("0", None))),
            ("100", days((None, "110"))),
            (None, days(("0", "110"))),
            ("1", days(("0", f"{LARGEST + 1}"))),
        ],
    )
    def test_from_a_day_on_that_has_no_return_there_is_none(self, initial: str | None, coming: Days) -> None:
        """Value under nothing, at the end or the start; more taken out than was there; earned on nothing; not known;
        beyond all bounds."""
        after = days(("1000", "1000"), ("0", "1100"))

        assert grown(initial, [*coming, *after]) == [None] * 3

    @given(st.lists(st.tuples(amounts, factors), min_size=1, max_size=20), amounts)
    def test_a_return_does_not_depend_on_how_much_is_there(
        self, moves: list[tuple[Decimal, Decimal]], scale: Decimal
    ) -> None:
        with exact():
            coming = history(moves)
            scaled = [(into * scale, value * scale) for into, value in coming]

            assert at_18_places(grown("0", scaled)) == at_18_places(grown("0", coming))

    @given(st.lists(st.tuples(amounts, factors), min_size=1, max_size=20))
    def test_a_return_is_the_product_of_what_each_day_made_of_its_money(
        self, moves: list[tuple[Decimal, Decimal]]
    ) -> None:
        product = ONE
        with exact():
            for _, factor in moves:
                product *= factor

            assert at_18_places(grown("0", history(moves)))[-1] == quantized(product)

    @given(amounts, st.lists(amounts, min_size=1, max_size=20))
    def test_without_transfers_only_the_first_and_the_last_value_count(
        self, initial: Decimal, values: list[Decimal]
    ) -> None:
        coming = [(Decimal(0), value) for value in values]

        assert at_18_places(grown(initial, coming)[-1:]) == at_18_places(grown(initial, coming[-1:]))


def history(moves: Iterable[tuple[Decimal, Decimal]]) -> list[tuple[Decimal, Decimal]]:
    """Each day so much comes in, and all becomes so many times as much."""
    value, coming = Decimal(0), []
    for into, factor in moves:
        value = (value + into) * factor
        coming.append((into, value))
    return coming


class TestDrawdown:
    def test_it_is_the_deepest_fall_from_a_height_not_from_the_start(self) -> None:
        """From 1.2 to 0.9 is a quarter; from 1.5 to 1.2 a fifth."""
        assert drawdown(map(Decimal, ("1.1", "1.2", "0.9", "1.5", "1.2", "1.6"))) == Decimal("-0.25")

    def test_the_start_is_a_height(self) -> None:
        assert drawdown([Decimal("0.8"), Decimal("0.9")]) == Decimal("-0.2")

    def test_what_never_falls_has_none(self) -> None:
        assert drawdown([Decimal(1), Decimal("1.1")]) == 0

    def test_what_is_lost_is_lost_wholly(self) -> None:
        assert drawdown([Decimal("1.5"), Decimal(0)]) == -1

    def test_a_return_that_is_not_known_leaves_it_open(self) -> None:
        assert drawdown([Decimal("0.5"), None]) is None


def test_daily_returns_come_to_what_empyrical_publishes() -> None:
    """quantopian/empyrical, test_stats.py, mixed_returns; what is cumulated is compared there at four places."""
    returns = [*map(Decimal, ("0", "0.01", "0.10", "-0.04", "0.02", "0.03", "0.02", "0.01", "-0.10"))]
    published = ["0.0", "0.01", "0.111", "0.066559", "0.08789", "0.12052", "0.14293", "0.15436", "0.03893"]
    values = [Decimal(100)]
    for each in returns:
        values.append(values[-1] * (1 + each))
    coming = [(Decimal(0), value) for value in values[1:]]

    found = at_18_places(grown("100", coming))

    for cumulated, right in zip(found, published, strict=True):
        assert cumulated is not None
        assert round(cumulated - 1, 4) == round(Decimal(right), 4)
    assert drawdown(found) == Decimal("-0.1")


MICROSOFT = flows(
    ("2008-01-01", "-10000"),
    ("2008-03-01", "2750"),
    ("2008-10-30", "4250"),
    ("2009-02-15", "3250"),
    ("2009-04-01", "2750"),
)
PUBLISHED = {
    # It stops at a precision of 0.00000001.
    "Microsoft's page on XIRR": (MICROSOFT, "0.373362535", 8),
    "rockychen1221/java-irr, IRRTest.java": (MICROSOFT, "0.3733625335197", 10),
    "pg_financial, one month": (flows(("2013-01-01", "-100"), ("2013-02-01", "110")), "2.0716058535", 10),
    "pg_financial, a loss": (flows(("2013-01-01", "-100"), ("2014-01-01", "20")), "-0.8", 10),
    "pg_financial, paid in once": (
        flows(("2013-01-01", "-100"), ("2013-02-01", "10"), ("2013-03-01", "110")),
        "2.2427441504",
        10,
    ),
    "pg_financial, five years": (
        flows(
            ("2009-01-01", "-10000"),
            ("2010-01-01", "-10000"),
            ("2011-01-01", "10000"),
            ("2012-01-01", "10000"),
            ("2013-01-01", "1000"),
        ),
        "0.023844261812",
        12,
    ),
}


class TestXirr:
    @pytest.mark.parametrize(("paid", "published", "places"), PUBLISHED.values(), ids=PUBLISHED)
    def test_it_is_what_others_publish(self, paid: list[Flow], published: str, places: int) -> None:
        found = xirr(paid)

        assert found is not None
        assert abs(found - Decimal(published)) < Decimal(1).scaleb(-places)

    def test_a_year_of_365_days_gives_its_rate_to_the_last_digit(self) -> None:
        found = xirr(flows(("2025-01-01", "-1000"), ("2026-01-01", "1100")))

        assert found is not None
        assert quantized(found) == Decimal("0.1")

    @given(
        st.integers(-900, 3000).map(lambda thousandths: Decimal(thousandths) / 1000),
        st.lists(st.tuples(st.integers(0, 1500), amounts), min_size=1, max_size=12),
        st.integers(1, 700),
    )
    def test_what_earned_a_rate_has_it(self, rate: Decimal, paid: list[tuple[int, Decimal]], more: int) -> None:
        """Whatever was paid in when, and all taken out some days after the last."""
        end = max(day for day, _ in paid) + more
        with exact():
            worth = sum((amount * (1 + rate) ** (Decimal(end - day) / 365) for day, amount in paid), Decimal(0))
            found = xirr([*((on(day), -amount) for day, amount in paid), (on(end), worth)])

        assert found is not None
        assert quantized(found) == rate

    @given(st.lists(st.tuples(st.integers(0, 800), amounts), min_size=1, max_size=8), st.integers(1, 400), amounts)
    def test_at_the_rate_all_flows_come_to_nothing(
        self, paid: list[tuple[int, Decimal]], more: int, worth: Decimal
    ) -> None:
        end = max(day for day, _ in paid) + more
        found = xirr([*((on(day), -amount) for day, amount in paid), (on(end), worth)])

        if found is not None:
            with exact():
                grown = sum((amount * (1 + found) ** (Decimal(end - day) / 365) for day, amount in paid), Decimal(0))
                assert abs(grown / worth - 1) < Decimal("1e-40")

    def test_the_order_of_the_flows_does_not_count_and_those_of_a_day_are_one(self) -> None:
        parts = flows(("2009-04-01", "2000"), ("2009-04-01", "750"))

        assert xirr([*parts, *reversed(MICROSOFT[:-1])]) == xirr(MICROSOFT)

    @pytest.mark.parametrize(
        "paid",
        [
            flows(("2025-01-01", "-100"), ("2025-06-01", "-50")),
            flows(("2025-01-01", "100")),
            flows(("2025-01-01", "-100"), ("2025-01-01", "110")),
            flows(("2025-01-01", "-100"), ("2026-01-01", "0")),
            flows(("2025-01-01", "-1"), ("2025-01-02", "2")),
        ],
    )
    def test_there_is_no_rate(self, paid: list[Flow]) -> None:
        """Paid in or out alone, on one day alone, wholly lost, doubled over night: 2 to the 365th a year."""
        assert xirr(paid) is None

    def test_of_two_rates_none_is_the_rate(self) -> None:
        """100 - 230 / 1.1 + 132 / 1.1^2 = 0, and so at 1.2."""
        assert xirr(flows(("2025-01-01", "100"), ("2026-01-01", "-230"), ("2027-01-01", "132"))) is None

    def test_of_three_rates_none_is_the_rate(self) -> None:
        """(x - 1.1)(x - 2)(x - 4) = x^3 - 7.1 x^2 + 14.6 x - 8.8."""
        paid = (("2025-01-01", "1"), ("2026-01-01", "-7.1"), ("2027-01-01", "14.6"), ("2028-01-01", "-8.8"))

        assert xirr(flows(*paid)) is None

    def test_one_rate_is_found_though_money_goes_in_and_out(self) -> None:
        """100 become 110; 60 go out and 40 come in, on two days; all of it at a tenth a year."""
        paid = [(0, "-100"), (365, "60"), (730, "-40"), (1095, "104.5")]
        with exact():
            rest = ((Decimal(110) - 60) * Decimal("1.1") + 40) * Decimal("1.1")

        found = xirr([(on(day), Decimal(amount)) for day, amount in paid])

        assert rest == Decimal("104.5")
        assert found is not None
        assert quantized(found) == Decimal("0.1")

    def test_where_nothing_flows_nothing_is_earned(self) -> None:
        assert xirr([]) == xirr(flows(("2025-01-01", "0"), ("2025-01-02", "-5"), ("2025-01-02", "5"))) == 0


def on(day: int) -> date:
    return FIRST + timedelta(days=day)
