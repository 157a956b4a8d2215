"""DEGIRO's columns, one by one; what comes of whole files is in test_broker_files.py."""

import io
from datetime import UTC, date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from tests.trader.importing.exports import (
    DEGIRO,
    DEGIRO_HEADER,
    DEGIRO_SINCE_AUTOFX,
    DISNEY,
    ORDER,
    TEMPLETON,
    degiro,
    degiro_file,
)
from trader.importing.activities import Destination, Details, Fee, InstrumentName, Row, Settlement, Trade
from trader.importing.degiro import read
from trader.importing.problems import Problem, Problems
from trader.importing.values import Moment, Selections

HERE = Destination("EUR", ZoneInfo("Europe/Zurich"))
BOUGHT = Trade(
    at=Moment(datetime(2021, 4, 7, 18, 25, tzinfo=UTC), is_date=False),
    instrument=InstrumentName(
        "",
        "XNYS",
        DISNEY,
        "USD",
        Details(name="WALT DISNEY COMPANY (T", price_quotation_factor=Decimal(1)),
    ),
    side="BUY",
    quantity=Decimal(16),
    price=Decimal("188.12"),
    amount=Decimal("3009.92"),
    fees=(Fee(Decimal("0.55"), "EUR"),),
    fx_rate=Decimal("0.841680177546"),
    settlement=Settlement("EUR", Decimal("2533.39")),
    selections=Selections(),
    last_mkt="XNAS",
)
SINCE = (
    *("28-05-2026", "15:31", "VERTEX INC CLASS A", "US92538J1060", "NDQ", "XNAS", "101", "12,6000", "USD", "-1272,60"),
    *("USD", "-1093,96", "1,1633", "-2,73", "", "-1096,70", "", ORDER),
)


def rows(data: bytes, here: Destination = HERE) -> tuple[list[Row | None], list[Problem]]:
    problems = Problems()
    return list(read(io.BytesIO(data), problems, here)), problems.kept


def only(*cells: str, header: tuple[str, ...] = DEGIRO_HEADER, here: Destination = HERE) -> Row:
    (found,), problems = rows(degiro_file(cells, header=header), here)
    assert problems == []
    assert found is not None
    return found


def trade(*cells: str, header: tuple[str, ...] = DEGIRO_HEADER, here: Destination = HERE) -> Trade:
    activity = only(*cells, header=header, here=here).activity
    assert isinstance(activity, Trade)
    return activity


def refusals(*cells: str, header: tuple[str, ...] = DEGIRO_HEADER, here: Destination = HERE) -> dict[str, str]:
    """What is expected instead, by the columns as the file calls them."""
    found, problems = rows(degiro_file(cells, header=header), here)
    assert found == [None]
    assert {problem.line for problem in problems} == {2}
    return {problem.column: problem.expected for problem in problems}


def test_a_purchase_in_another_currency() -> None:
    row = only(*degiro())

    assert row.activity == BOUGHT
    assert (row.line, row.external_id, row.rows) == (2, "", 1)


def test_a_sale_has_its_value_before_costs_and_its_time_in_winter() -> None:
    sold = trade(*degiro("-9", "211.5900", "1904.31", "1629.24", "-0.53", "1628.71", date="28-12-2020", time="19:59"))

    assert (sold.side, sold.quantity, sold.settlement) == ("SELL", Decimal(9), Settlement("EUR", Decimal("1629.24")))
    assert sold.at.at == datetime(2020, 12, 28, 18, 59, tzinfo=UTC)


def test_what_is_traded_in_the_base_currency_is_not_exchanged() -> None:
    bought = trade(
        *degiro("1022", "5.9930", "-6124.85", "-6124.85", "-1.84", "-6126.69", currency="EUR", rate="", reference="XET")
    )

    assert (bought.amount, bought.settlement, bought.fx_rate) == (Decimal("6124.85"), None, None)
    assert bought.instrument.mic == "XETR"


@pytest.mark.parametrize(
    ("quoted_in", "currency"), [("GBX", "GBP"), ("ILA", "ILS"), ("ZAC", "ZAR")], ids=["pence", "agorot", "cents"]
)
def test_hundredths_are_of_their_currency(quoted_in: str, currency: str) -> None:
    bought = trade(
        *degiro("387", "1070.0000", "-414090.00", "-4766.21", "-2.39", "-4768.60", currency=quoted_in, isin=TEMPLETON)
    )

    assert (bought.instrument.currency, bought.instrument.details.price_quotation_factor) == (currency, Decimal("0.01"))
    assert (bought.price, bought.amount) == (Decimal(1070), Decimal("4140.90"))
    assert bought.fx_rate == Decimal("1.151008234925")


def test_an_account_in_pounds_pays_for_pence_to_the_penny() -> None:
    row = degiro("1", "1070.5000", "-1070.50", "-10.70", "", "-10.70", currency="GBX", base="GBP", rate="")

    bought = trade(*row, here=Destination("GBP", ZoneInfo("Europe/London")))

    assert (bought.amount, bought.settlement) == (Decimal("10.70"), None)


def test_a_corporate_action_without_a_time_is_of_its_date() -> None:
    spun_off = degiro("10", "0.0000", "0.00", "0.00", "", "0.00", date="17-11-2020", time="00:00", venue="", order="")

    given = trade(*spun_off)

    assert given.at == Moment(datetime(2020, 11, 17), is_date=True)  # noqa: DTZ001
    assert (given.price, given.amount, given.fees) == (Decimal(0), Decimal(0), ())
    assert given.fx_rate == Decimal("0.842530963013")


@pytest.mark.parametrize(
    ("more", "at"),
    [
        ({"venue": "", "order": "", "time": "08:14"}, datetime(2021, 4, 7, 6, 14, tzinfo=UTC)),
        ({"venue": "", "time": "00:00"}, datetime(2021, 4, 6, 22, tzinfo=UTC)),
        ({"order": "", "time": "00:00"}, datetime(2021, 4, 6, 22, tzinfo=UTC)),
    ],
)
def test_what_has_a_time_a_venue_or_an_order_is_of_its_time(more: dict[str, str], at: datetime) -> None:
    assert trade(*degiro(**more)).at == Moment(at, is_date=False)


@pytest.mark.parametrize("venue", ["", "BATS, JNST", "xnas"])
def test_a_venue_that_is_no_mic_is_left_out(venue: str) -> None:
    assert trade(*degiro(venue=venue)).last_mkt == ""


def test_since_autofx_has_a_column_titles_name_the_currency() -> None:
    bought = trade(*SINCE, header=DEGIRO_SINCE_AUTOFX)

    assert (bought.quantity, bought.price, bought.amount) == (Decimal(101), Decimal("12.6"), Decimal("1272.6"))
    assert bought.fees == (Fee(Decimal("2.73"), "EUR", "OTHER"),)
    # The total is rounded once, so that it may be a cent off the sum of what was rounded before.
    assert bought.settlement == Settlement("EUR", Decimal("1093.97"))


def test_the_order_stands_in_its_own_column_or_in_the_last() -> None:
    shifted = only(*SINCE, header=DEGIRO_SINCE_AUTOFX)
    own = only(*SINCE[:-2], ORDER, header=DEGIRO_SINCE_AUTOFX[:-1])

    assert shifted.digest == own.digest


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (degiro(), degiro(product="WALT DISNEY CO")),
        (degiro(), degiro(rate="1.1870")),
        (degiro(), degiro("16.0", "188.12", "-3009.920")),
        (degiro(), degiro(value="-2533,39", price="188,1200", total="-2.533,94", local="-3.009,92")),
        (
            degiro(costs="", total="-2533.39"),
            degiro(costs="0.00", total="-2533.39"),
        ),
    ],
    ids=["another product name", "another rate", "other zeros", "decimal commas", "no costs"],
)
def test_what_says_the_same_is_equal(first: list[str], second: list[str]) -> None:
    assert only(*first).digest == only(*second).digest


@pytest.mark.parametrize(
    "other",
    [
        degiro(date="08-04-2021"),
        degiro(time="20:26"),
        degiro(isin=TEMPLETON),
        degiro(reference="NDQ"),
        degiro(venue="BATS"),
        degiro(order="520be97a-265e-4b69-b7a7-acfad1ba8940"),
        degiro("-16", local="3009.92", value="2533.39", total="2532.84"),
        degiro(costs="-0.56", total="-2533.95"),
    ],
)
def test_what_says_something_else_is_not(other: list[str]) -> None:
    assert only(*other).digest != only(*degiro()).digest


@pytest.mark.parametrize(
    ("row", "column", "expected"),
    [
        (degiro(date="2021-04-07"), "Date", "a date such as 07-04-2021, the day first"),
        (degiro(date="31-02-2021"), "Date", "a date that exists, the day first"),
        (degiro(date="yesterday", time="00:10"), "Date", "a date such as 07-04-2021, the day first"),
        (degiro(time="8:25"), "Time", "a time such as 20:25"),
        (degiro(date="28-03-2021", time="02:30"), "Time", "a time that the clocks of Europe/Amsterdam show"),
        (degiro(isin=""), "ISIN", "a value: a transaction needs one"),
        (degiro(isin="US25468710"), "ISIN", "an ISIN such as CH0038863350"),
        (degiro(reference="XYZ"), "Reference", "a market whose MIC is known"),
        (degiro(quantity="0"), "Quantity", "an amount other than 0"),
        (degiro(quantity="=8+8"), "Quantity", "a number such as -1234.56, without thousands separators"),
        (degiro(quantity="1,234"), "Quantity", "1234, or 1.2340: which of the two is meant cannot be told"),
        (degiro(price="-188.12"), "Price", "a number without a sign: the side gives it its own"),
        (degiro(price=""), "Price", "a value: a transaction needs one"),
        (degiro(currency="usd"), "Price currency", "a code of capital letters and digits, such as CHF or BTC"),
        (degiro(local="-3010.00"), "Local value", "-3009.92, quantity x price"),
        (degiro(local="-300992.00"), "Local value", "-3009.92, quantity x price: what has a multiplier"),
        (degiro(value="2533.39", total="2532.84"), "Value", "an amount of the same sign as the local value"),
        (degiro(base="CHF"), "Value", "an amount in EUR, the account's base currency, not in CHF"),
        (degiro(total="-2533.93"), "Total", "-2533.94, the value with its costs"),
        (degiro(costs="0.55"), "Total", "-2532.84, the value with its costs"),
        (degiro(order="420be97a-265e"), "Order ID", "an order ID such as"),
        (degiro(currency="EUR"), "Value", "3009.92, the local value"),
    ],
)
def test_a_cell_that_says_something_else_is_refused(row: list[str], column: str, expected: str) -> None:
    assert refusals(*row)[column].startswith(expected)


def test_a_local_value_in_another_currency_than_the_price_is_refused() -> None:
    row = list(degiro())
    row[10] = "EUR"

    assert refusals(*row)["Local value currency"] == "USD, the currency of the price"


def test_a_total_more_than_a_cent_off_is_refused_under_its_title() -> None:
    row = [*SINCE[:15], "-1096,71", *SINCE[16:]]

    assert refusals(*row, header=DEGIRO_SINCE_AUTOFX) == {"Total EUR": "-1096.69, the value with its costs"}


@pytest.mark.parametrize(
    ("titles", "problem"),
    [
        ({"Quantity": "Number"}, (1, "Quantity", "", "a column Quantity")),
        ({"Quantity": "Quantities"}, (1, "Quantities", "Quantities", "Quantity, or no such column")),
        ({"Date": "Datum"}, (1, "Date", "", "a column Date")),
        ({"Price": "Price USD"}, (1, "Price USD", "Price USD", "Price, or no such column")),
    ],
)
def test_a_renamed_column_is_refused(titles: dict[str, str], problem: tuple[int, str, str, str]) -> None:
    header = tuple(titles.get(title, title) for title in DEGIRO_HEADER)

    found, problems = rows(degiro_file(degiro(), header=header))

    assert found == []
    assert Problem(*problem) in problems


def test_a_missing_currency_column_is_refused() -> None:
    header = (*DEGIRO_HEADER[:8], *DEGIRO_HEADER[9:])

    _, problems = rows(degiro_file([*degiro()[:8], *degiro()[9:]], header=header))

    assert problems == [Problem(1, "Price currency", "", "a column Price currency")]


def test_all_of_a_real_export_is_read() -> None:
    found, problems = rows(DEGIRO)

    activities = [row.activity for row in found if row]
    assert problems == []
    assert len(activities) == 159
    assert {date(2018, 11, 12), date(2021, 4, 7)} <= {
        activity.at.at.date() for activity in activities if isinstance(activity, Trade)
    }
