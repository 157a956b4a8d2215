"""Positions whose right answers other systems publish in their test suites, by import and by `positions`.

Each under the method and fee policy that it was made for. What those systems round is compared at their rounding, all
else at a relative 1e-12. docs/trading-book.md says where the cases disagree with each other.
"""

from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.trader.book import only_position, open_account, positions, take_in

pytestmark = pytest.mark.django_db

CLOSE_ENOUGH = Decimal("1e-12")


@dataclass(frozen=True)
class Case:
    """`days` are what `positions` says as of a date, a mark is a price of that day, `places` are those of published
    money."""

    source: str
    rows: str
    method: str
    days: dict[str, dict[str, str]]
    policy: str = "EXPENSED"
    currency: str = "USD"
    marks: dict[str, str] = field(default_factory=dict)
    places: int | None = None


CASES = {
    "bought": Case(
        "ghostfolio, portfolio-calculator-baln-buy.spec.ts",
        "2021-11-30,TRADE,BALN,BUY,2,136.6,,CHF,1.55,CHF,",
        "AVERAGE",
        {
            "2021-12-18": {
                "quantity": "2",
                "avg_px": "136.6",
                "cost": "273.2",
                "gross": "24.6",
                "net_pnl": "23.05",
                "fees": "1.55",
                "market_value": "297.8",
            }
        },
        currency="CHF",
        marks={"2021-12-18": "148.9"},
    ),
    "bought twice": Case(
        "ghostfolio, portfolio-calculator-baln-buy-and-buy.spec.ts",
        """2021-11-22,TRADE,BALN,BUY,2,142.9,,CHF,1.55,CHF,
           2021-11-30,TRADE,BALN,BUY,2,136.6,,CHF,1.65,CHF,""",
        "AVERAGE",
        {
            "2021-12-18": {
                "quantity": "4",
                "avg_px": "139.75",
                "cost": "559",
                "gross": "36.6",
                "net_pnl": "33.4",
                "fees": "3.2",
                "market_value": "595.6",
            }
        },
        currency="CHF",
        marks={"2021-12-18": "148.9"},
    ),
    "bought and sold": Case(
        "ghostfolio, portfolio-calculator-baln-buy-and-sell.spec.ts",
        """2021-11-22,TRADE,BALN,BUY,2,142.9,,CHF,1.55,CHF,
           2021-11-30,TRADE,BALN,SELL,2,136.6,,CHF,1.65,CHF,""",
        "AVERAGE",
        {
            "2021-12-18": {
                "quantity": "0",
                "avg_px": "0",
                "cost": "0",
                "gross": "-12.6",
                "net_pnl": "-15.8",
                "fees": "3.2",
                "market_value": "0",
            }
        },
        currency="CHF",
        marks={"2021-12-18": "148.9"},
    ),
    "the sale stands first": Case(
        "ghostfolio, portfolio-calculator-novn-buy-and-sell.spec.ts",
        """2022-04-08,TRADE,NOVN,SELL,2,85.73,,CHF,0,CHF,
           2022-03-07,TRADE,NOVN,BUY,2,75.8,,CHF,0,CHF,""",
        "AVERAGE",
        {"2022-04-11": {"quantity": "0", "avg_px": "0", "gross": "19.86", "net_pnl": "19.86", "market_value": "0"}},
        currency="CHF",
        marks={"2022-04-11": "87.8"},
    ),
    "flat and open again on one day": Case(
        "ghostfolio, portfolio-calculator-jnug-buy-and-sell-and-buy-and-sell.spec.ts",
        """2025-12-11,TRADE,AAA,BUY,9,209.45,,USD,1,USD,
           2025-12-18,TRADE,AAA,SELL,9,210,,USD,1,USD,
           2025-12-18,TRADE,AAA,BUY,10,204.11,,USD,1,USD,
           2025-12-28,TRADE,AAA,SELL,10,208.01,,USD,1,USD,""",
        "AVERAGE",
        {"2025-12-28": {"quantity": "0", "avg_px": "0", "gross": "43.95", "net_pnl": "39.95", "fees": "4"}},
        marks={"2025-12-28": "237.8000030517578"},
    ),
    "averaged down and sold in parts": Case(
        "freqtrade, test_persistence.py, test_recalc_trade_from_orders_dca[0]",
        """2024-01-01,TRADE,AAA,BUY,100,10,,USD,,,
           2024-01-02,TRADE,AAA,BUY,100,15,,USD,,,
           2024-01-03,TRADE,AAA,SELL,50,12,,USD,,,
           2024-01-04,TRADE,AAA,SELL,100,20,,USD,,,
           2024-01-05,TRADE,AAA,SELL,50,5,,USD,,,""",
        "AVERAGE",
        {
            "2024-01-01": {"quantity": "100", "avg_px": "10", "cost": "1000", "realized_pnl": "0"},
            "2024-01-02": {"quantity": "200", "avg_px": "12.5", "cost": "2500", "realized_pnl": "0"},
            "2024-01-03": {"quantity": "150", "avg_px": "12.5", "cost": "1875", "realized_pnl": "-25"},
            "2024-01-04": {"quantity": "50", "avg_px": "12.5", "cost": "625", "realized_pnl": "725"},
            # There the closed trade keeps its last amount and rate; what is closed is 0 here.
            "2024-01-05": {"quantity": "0", "avg_px": "0", "cost": "0", "realized_pnl": "350"},
        },
    ),
    "commissions at once": Case(
        "nautilus_trader, test_position.py, test_pnl_calculation_from_trading_technologies_example",
        """2024-01-01,TRADE,AAA,BUY,12,100,,USD,0.12,USD,
           2024-01-02,TRADE,AAA,BUY,17,99,,USD,0.1683,USD,
           2024-01-03,TRADE,AAA,SELL,9,101,,USD,0.0909,USD,
           2024-01-04,TRADE,AAA,SELL,4,105,,USD,0.042,USD,
           2024-01-05,TRADE,AAA,BUY,3,103,,USD,0.0309,USD,""",
        "AVERAGE",
        {
            "2024-01-01": {"quantity": "12"},
            "2024-01-02": {"quantity": "29", "realized_less_fees": "-0.28830000", "avg_px": "99.41379310344827"},
            "2024-01-03": {"quantity": "20", "realized_less_fees": "13.89666207", "avg_px": "99.41379310344827"},
            "2024-01-04": {"quantity": "16", "realized_less_fees": "36.19948966", "avg_px": "99.41379310344827"},
            "2024-01-05": {"quantity": "19", "realized_less_fees": "36.16858966", "avg_px": "99.98003629764065"},
        },
        places=8,
    ),
    "commissions of a thousandth": Case(
        "nautilus_trader, test_position.py, test_position_realized_pnl_with_interleaved_order_sides",
        """2024-01-01,TRADE,AAA,BUY,12,10000,,USD,120,USD,
           2024-01-02,TRADE,AAA,BUY,17,9999,,USD,169.983,USD,
           2024-01-03,TRADE,AAA,SELL,9,10001,,USD,90.009,USD,
           2024-01-04,TRADE,AAA,BUY,3,10003,,USD,30.009,USD,
           2024-01-05,TRADE,AAA,SELL,4,10005,,USD,40.02,USD,""",
        "AVERAGE",
        {
            "2024-01-02": {"quantity": "29", "realized_less_fees": "-289.98300000", "avg_px": "9999.413793103447"},
            "2024-01-03": {"quantity": "20", "realized_less_fees": "-365.71613793", "avg_px": "9999.413793103447"},
            "2024-01-04": {"quantity": "23", "realized_less_fees": "-395.72513793", "avg_px": "9999.88155922039"},
            "2024-01-05": {"quantity": "19", "realized_less_fees": "-415.27137481", "avg_px": "9999.88155922039"},
        },
        places=8,
    ),
    "cost of what is held, oldest first": Case(
        "portfolio-performance, CostCalculationTest.java, testFifoBuySellTransactions",
        """2010-01-01,TRADE,AAA,BUY,109,,3149.20,EUR,,,
           2010-02-01,TRADE,AAA,SELL,15,,531.50,EUR,,,
           2010-03-01,TRADE,AAA,BUY,52,,1684.92,EUR,,,
           2010-03-01,TRADE,AAA,BUY,32,,959.30,EUR,,,""",
        "FIFO",
        {"2010-03-01": {"cost": "5360.04"}},
        currency="EUR",
        places=2,
    ),
    "cost of what is held, oldest first, sold last": Case(
        "portfolio-performance, CostCalculationTest.java, testFifoBuySellTransactions2",
        """2010-01-01,TRADE,AAA,BUY,109,,3149.20,EUR,,,
           2010-02-01,TRADE,AAA,BUY,52,,1684.92,EUR,,,
           2010-03-01,TRADE,AAA,SELL,15,,531.50,EUR,,,""",
        "FIFO",
        {"2010-03-01": {"cost": "4400.74"}},
        currency="EUR",
        places=2,
    ),
    "adjusted cost base": Case(
        "rotki, test_cost_basis.py, test_accounting_average_cost_basis",
        """2024-01-01,TRADE,AAA,BUY,2,10,,EUR,,,
           2024-01-02,TRADE,AAA,SELL,1,15,,EUR,,,
           2024-01-03,TRADE,AAA,BUY,1,30,,EUR,,,
           2024-01-04,TRADE,AAA,SELL,1.5,10,,EUR,,,
           2024-01-05,TRADE,AAA,BUY,3,20,,EUR,,,
           2024-01-06,TRADE,AAA,SELL,2,30,,EUR,,,
           2024-01-07,TRADE,AAA,SELL,1.5,10,,EUR,,,
           2024-01-08,TRADE,AAA,BUY,1,10,,EUR,,,
           2024-01-09,TRADE,AAA,SELL,0.5,5,,EUR,,,""",
        "AVERAGE",
        {
            "2024-01-01": {"cost": "20", "quantity": "2", "realized_pnl": "0"},
            "2024-01-02": {"cost": "10", "quantity": "1", "realized_pnl": "5"},
            "2024-01-03": {"cost": "40", "quantity": "2", "realized_pnl": "5"},
            "2024-01-04": {"cost": "10", "quantity": "0.5", "realized_pnl": "-10"},
            "2024-01-05": {"cost": "70", "quantity": "3.5", "realized_pnl": "-10"},
            "2024-01-06": {"cost": "30", "quantity": "1.5", "realized_pnl": "10"},
            "2024-01-07": {"cost": "0", "quantity": "0", "realized_pnl": "-5"},
            "2024-01-08": {"cost": "10", "quantity": "1", "realized_pnl": "-5"},
            "2024-01-09": {"cost": "5", "quantity": "0.5", "realized_pnl": "-7.5"},
        },
        currency="EUR",
    ),
    "fees capitalised": Case(
        "rotki, test_cost_basis.py, test_fees with fees in cost, after Canada's tax guidance",
        """2023-02-25,TRADE,AAA,BUY,100,,5000,EUR,10,EUR,
           2023-02-26,TRADE,AAA,SELL,50,,6000,EUR,10,EUR,
           2023-02-27,TRADE,AAA,BUY,50,,6500,EUR,10,EUR,
           2023-02-28,TRADE,AAA,SELL,40,,3600,EUR,10,EUR,""",
        "AVERAGE",
        {"2023-02-26": {"realized_pnl": "3485"}, "2023-02-28": {"realized_pnl": "3469"}},
        policy="IN_COST",
        currency="EUR",
    ),
    "half of a holding sold": Case(
        "wealthfolio, holdings_calculator_tests.rs, test_sell_activity_updates_holdings_and_cash",
        """2023-01-01,TRADE,AAA,BUY,10,150,,CAD,5,CAD,
           2023-01-02,TRADE,AAA,SELL,5,160,,CAD,2,CAD,""",
        "FIFO",
        {
            "2023-01-01": {"quantity": "10", "cost": "1500", "cash": "-1505"},
            "2023-01-02": {"quantity": "5", "avg_px": "150", "cost": "750", "cash": "-707"},
        },
        currency="CAD",
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_published_case_comes_out_as_published(case: Case, tmp_path: Path) -> None:
    open_account("CASE", case.currency, cost_basis_method=case.method, fee_policy=case.policy)

    taken = take_in(tmp_path, "CASE", case.rows)

    assert not taken["errors"]
    for day, expected in case.days.items():
        found = figures(day, case.marks.get(day))
        for name, published in expected.items():
            assert_published(found[name], published, f"{name} on {day}", case.places)


@pytest.mark.parametrize(
    ("name", "published"),
    [
        ("cost of what is held, oldest first", "5360.04"),
        ("cost of what is held, oldest first, sold last", "4383.74"),
    ],
)
def test_the_same_trades_cost_on_average_as_published(name: str, published: str, tmp_path: Path) -> None:
    case = CASES[name]
    open_account("CASE", case.currency, cost_basis_method=case.method)
    take_in(tmp_path, "CASE", case.rows)

    position = only_position("CASE", "--method", "AVERAGE")

    assert_published(Decimal(position["cost"]), published, "cost", case.places)


@pytest.mark.parametrize(
    ("sold", "closed", "remaining"),
    [
        ("2", [("2", "100", "2015-10-01")], [("2", "100", "01"), ("5", "111.11", "02"), ("6", "122.22", "03")]),
        ("4", [("4", "100", "2015-10-01")], [("5", "111.11", "02"), ("6", "122.22", "03")]),
    ],
)
def test_lots_go_by_their_days_not_by_the_order_of_the_file(
    sold: str, closed: list[tuple[str, ...]], remaining: list[tuple[str, ...]], tmp_path: Path
) -> None:
    """beancount, booking_full_test.py, TestBookAmbiguousFIFO, partial and complete first lot."""
    open_account("CASE")
    rows = f"""2015-10-02,TRADE,AAA,BUY,5,111.11,,USD,,,
               2015-10-01,TRADE,AAA,BUY,4,100.00,,USD,,,
               2015-10-03,TRADE,AAA,BUY,6,122.22,,USD,,,
               2015-10-04,TRADE,AAA,SELL,{sold},150,,USD,,,"""

    take_in(tmp_path, "CASE", rows)

    position = only_position("CASE", "--lots")
    assert [lot_of(match) for match in position["matches"]] == closed
    assert [lot_of(lot) for lot in position["lots"]] == [(qty, cost, f"2015-10-{day}") for qty, cost, day in remaining]


@pytest.mark.parametrize(("method", "remaining"), [("LIFO", "2026-01-15"), ("FIFO", "2026-02-01")])
def test_the_lot_that_remains_is_the_method_s(method: str, remaining: str, tmp_path: Path) -> None:
    """hledger, lots-methods.test, 1 and 4."""
    open_account("CASE", cost_basis_method=method)
    rows = """2026-01-15,TRADE,AAA,BUY,10,50,,USD,,,
              2026-02-01,TRADE,AAA,BUY,10,50,,USD,,,
              2026-03-01,TRADE,AAA,SELL,15,55,,USD,,,"""

    take_in(tmp_path, "CASE", rows)

    position = only_position("CASE", "--lots")
    assert [lot_of(lot) for lot in position["lots"]] == [("5", "50", remaining)]
    assert position["realized_pnl"] == "75"


def test_what_is_not_held_is_refused_or_sold_short_never_made_up(tmp_path: Path) -> None:
    """In its last steps rotki counts what is sold beyond the holding as profit, and records it as missing."""
    rows = f"{CASES['adjusted cost base'].rows}\n2024-01-10,TRADE,AAA,SELL,0.6,5,,EUR,,,"
    open_account("LONG", "EUR", cost_basis_method="AVERAGE")
    open_account("SHORT", "EUR", cost_basis_method="AVERAGE", allow_short=True)

    refused, taken = take_in(tmp_path, "LONG", rows), take_in(tmp_path, "SHORT", rows)

    (error,) = refused["errors"]
    assert (error["line"], error["column"]) == (11, "quantity")
    assert positions("LONG", "--closed")["positions"] == []
    assert taken["imported"] == 10
    assert only_position("SHORT")["quantity"] == "-0.1"


def figures(day: str, mark: str | None) -> dict[str, Decimal]:
    """What `positions` says, and what the published answers add up of it."""
    symbol = positions("CASE", "--closed", as_of=day)["positions"][0]["symbol"]
    report = positions("CASE", "--closed", *(["--mark", f"{symbol}.XXXX={mark}"] if mark else []), as_of=day)
    (position,) = report["positions"]
    found = {name: Decimal(value) for name, value in position.items() if is_number(value)}
    found["cash"] = Decimal(report["cash"][0]["amount"])
    found["realized_less_fees"] = found["realized_pnl"] - found["fees"]
    if mark or not found["quantity"]:
        found["gross"] = found["realized_pnl"] + found["unrealized_pnl"]
    return found


def is_number(value: Any) -> bool:
    return isinstance(value, str) and value[-1:].isdigit() and value[0] in "-0123456789"


def lot_of(row: dict[str, str]) -> tuple[str, str, str]:
    return row["quantity"], row["unit_cost"], row["acquired_at"][:10]


def assert_published(found: Decimal, published: str, what: str, places: int | None = None) -> None:
    right = Decimal(published)
    rounding = Decimal(0) if places is None else Decimal(5).scaleb(-places - 1)
    assert abs(found - right) <= max(abs(right) * CLOSE_ENOUGH, rounding), f"{what}: {found}, published {published}"
