"""`account`, `instrument` and what all commands take."""

import io
from decimal import Decimal

import pytest
from django.core.management import CommandError, call_command

from trader.models import Account, Currency, Instrument, Venue

pytestmark = pytest.mark.django_db


def run(*arguments: str) -> str:
    output = io.StringIO()
    call_command(*arguments, stdout=output)
    return output.getvalue()


def test_an_account_is_made_with_its_rules() -> None:
    options = ["--method", "AVERAGE", "--fees", "IN_COST", "--allow-short", "--time-zone", "Europe/Zurich"]

    printed = run("account", "create", "MINE", "--currency", "CHF", *options)

    account = Account.objects.get()
    assert (account.code, account.name, account.base_currency.code) == ("MINE", "MINE", "CHF")
    assert (account.cost_basis_method, account.fee_policy, account.allow_short) == ("AVERAGE", "IN_COST", True)
    assert account.time_zone == "Europe/Zurich"
    assert printed == "Account MINE: AVERAGE, fees IN_COST, in CHF.\n"


def test_an_account_has_the_usual_rules_where_none_are_named() -> None:
    run("account", "create", "MINE", "--currency", "CHF", "--name", "My own")

    account = Account.objects.get()
    assert (account.cost_basis_method, account.fee_policy, account.allow_short) == ("FIFO", "EXPENSED", False)
    assert (account.time_zone, account.name) == ("UTC", "My own")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["A", "--currency", "XAU"], "a currency with a minor unit"),
        (["A", "--currency", "GBX"], "GBX is a hundredth"),
        (["A", "--currency", "chf"], "3 to 10 capital letters"),
        (["A", "--currency", "CHF", "--time-zone", "Mars"], "time_zone: Mars is no IANA time zone"),
        (["A" * 33, "--currency", "CHF"], "code: "),
        (["TAKEN", "--currency", "CHF"], "already exists"),
    ],
)
def test_an_account_that_cannot_be_is_refused(arguments: list[str], said: str) -> None:
    run("account", "create", "TAKEN", "--currency", "CHF")

    with pytest.raises(CommandError, match=said) as refusal:
        run("account", "create", *arguments)

    assert refusal.value.returncode == 2
    assert list(Account.objects.values_list("code", flat=True)) == ["TAKEN"]
    assert list(Currency.objects.values_list("code", flat=True)) == ["CHF"]


def test_an_instrument_is_made_with_its_venue_and_coin() -> None:
    options = ["--multiplier", "50", "--price-quotation-factor", "0.01", "--qty-increment", "1"]

    printed = run("instrument", "create", "BRK.B.XNYS", "--currency", "COIN", *options)

    instrument = Instrument.objects.get()
    assert (instrument.symbol, instrument.venue.mic, instrument.venue.time_zone) == ("BRK.B", "XNYS", "UTC")
    assert [instrument.multiplier, instrument.price_quotation_factor] == [50, Decimal("0.01")]
    assert instrument.qty_increment == 1
    assert instrument.currency.minor_unit == 8
    assert printed == "Instrument BRK.B.XNYS:COIN.\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["NESN", "--currency", "CHF"], "not of the form SYMBOL.MIC"),
        (["NESN.swx", "--currency", "CHF"], "MIC"),
        (["NESN.XSWX", "--currency", "XAU"], "minor unit"),
    ],
)
def test_an_instrument_that_cannot_be_is_refused(arguments: list[str], said: str) -> None:
    with pytest.raises(CommandError, match=said) as refusal:
        run("instrument", "create", *arguments)

    assert refusal.value.returncode == 2
    assert [model.objects.count() for model in (Instrument, Venue, Currency)] == [0, 0, 0]


def test_an_instrument_that_is_there_already_is_refused() -> None:
    run("instrument", "create", "NESN.XSWX", "--currency", "CHF")

    with pytest.raises(CommandError, match="already exists"):
        run("instrument", "create", "NESN.XSWX", "--currency", "CHF")

    run("instrument", "create", "NESN.XSWX", "--currency", "USD")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["positions", "--account", "NONE"], "There is no account NONE. Accounts: MINE. `account create` makes one."),
        (["balances", "--account", "NONE"], "There is no account NONE"),
        (["performance", "--account", "NONE"], "There is no account NONE"),
        (["rebuild_positions", "--account", "NONE"], "There is no account NONE"),
        (["positions", "--account", "MINE", "--as-of", "31.1.2026"], "'31.1.2026' is no date such as 2026-01-31"),
        (["performance", "--account", "MINE", "--from", "5.1.2026"], "'5.1.2026' is no date such as 2026-01-31"),
        (["positions", "--account", "MINE", "--fx", "USDCHF=1"], "'USDCHF=1' is not of the form BASE/QUOTE=RATE"),
        (["positions", "--account", "MINE", "--fx", "usd/CHF=1"], "in 'usd/CHF=1', 'usd' is not a code"),
        (["positions", "--account", "MINE", "--mark", "AAA.XXXX"], "'AAA.XXXX' is not of the form SYMBOL.MIC=PRICE"),
        (["positions", "--account", "MINE", "--fx", "USD/CHF=0"], "in 'USD/CHF=0', '0' is not a number over 0"),
        (["positions", "--account", "MINE", "--mark", "AAA.XXXX=NaN"], "'NaN' is not a number such as"),
        (["positions", "--account", "MINE", "--mark", "AAA=1"], "'AAA' is not of the form SYMBOL.MIC"),
        (["positions", "--account", "MINE", "--mark", "AAA.XXXX=1"], "There is no instrument AAA.XXXX."),
        (["positions", "--account", "MINE", "--mark", "BBB.XXXX=1"], "BBB.XXXX is one of"),
        (["positions", "--account", "MINE", "--method", "OLDEST"], "invalid choice: 'OLDEST'"),
    ],
)
def test_what_is_not_understood_says_so(arguments: list[str], said: str) -> None:
    run("account", "create", "MINE", "--currency", "CHF")
    for currency in ("CHF", "USD"):
        run("instrument", "create", "BBB.XXXX", "--currency", currency)

    with pytest.raises(CommandError) as refusal:
        run(*arguments)

    assert said in str(refusal.value)
