"""A broker's file through the browser: shown first, then taken in."""

from base64 import b64encode
from io import BytesIO
from typing import Any
from zlib import compress

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from tests.factories import AccountFactory
from tests.trader.admin.forms import Form, last_message
from tests.trader.admin.rows import staff, url
from tests.trader.operations.books import currency
from trader.admin import uploads
from trader.models import Account, Execution, ImportBatch, ImportRow, Instrument, JournalEntry, User

pytestmark = pytest.mark.django_db

PAGE = url(ImportBatch, "add")
HEADER = "transact_time,type,symbol,side,quantity,price,amount,currency\n"
BOUGHT = "2026-01-05,TRADE,AAA,BUY,10,100,,CHF\n"
DEPOSITED = "2026-01-05,DEPOSIT,,,,,5000,CHF\n"


@pytest.fixture
def account() -> Account:
    return AccountFactory.create(code="MINE", base_currency=currency("CHF"))


def preview(client: Client, account: Account, text: str, **more: Any) -> Any:
    """The page after a file was chosen."""
    file = SimpleUploadedFile("trades.csv", text.encode(), content_type="text/csv")
    return client.post(PAGE, {"account": account.pk, "file_format": "generic", "file": file} | more)


def agree(client: Client, page: Any, **more: Any) -> Any:
    """Send the form that the page offers."""
    return client.post(PAGE, Form(page.content.decode()).fields | more)


def lines(page: Any) -> list[list[str]]:
    return [[cell.text for cell in row] for row in page.context["lines"].rows]


def counts(page: Any) -> dict[str, str]:
    return {figure.label: figure.cell.text for figure in page.context["counts"]}


def test_a_file_is_shown_and_then_taken_in(operator_client: Client, operator: User, account: Account) -> None:
    page = preview(operator_client, account, HEADER + BOUGHT + DEPOSITED)

    assert lines(page) == [
        ["2", "added", "BUY 10 AAA.XXXX at 100 CHF"],
        ["3", "added", "DEPOSIT 5000 CHF"],
    ]
    assert counts(page) == {"Added": "2", "Known": "0", "Refused": "0", "Passed over": "0"}
    assert [model.objects.count() for model in (ImportBatch, Execution, Instrument)] == [0, 0, 0]

    response = agree(operator_client, page)

    batch = ImportBatch.objects.get()
    assert response["Location"] == url(ImportBatch, "change", batch.pk)
    assert (batch.account, batch.source, batch.file_name) == (account, "generic", "trades.csv")
    assert batch.actor == operator.email
    assert list(ImportRow.objects.order_by("row_number").values_list("raw", flat=True)) == [
        BOUGHT.strip(),
        DEPOSITED.strip(),
    ]
    assert sorted(JournalEntry.objects.values_list("kind", flat=True)) == ["DEPOSIT", "TRADE"]
    assert last_message(operator_client.get(response["Location"])) == "Imported 2 of 2 rows; 0 were known."


def test_a_file_with_a_problem_shows_its_line_and_offers_nothing(operator_client: Client, account: Account) -> None:
    page = preview(operator_client, account, HEADER + DEPOSITED + BOUGHT.replace("10,", "=1+1,"))

    assert lines(page)[1] == [
        "3",
        "refused",
        "quantity: found '=1+1', expected a number such as -1234.56, without thousands separators",
    ]
    assert counts(page)["Refused"] == "1"
    assert page.context["carried"] is None
    assert not ImportBatch.objects.exists()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "The submitted file is empty."),
        ("\n", "a header that names the columns"),
        ("when,what\n1,2\n", "a column transact_time"),
        (HEADER + BOUGHT + '2026-01-05,DEPOSIT,"', "a closing quote"),
    ],
)
def test_a_file_that_cannot_be_read_says_why(operator_client: Client, account: Account, text: str, said: str) -> None:
    page = preview(operator_client, account, text)

    assert said in page.content.decode()
    assert not page.context["carried"]


def test_a_file_that_the_book_has_is_known(operator_client: Client, account: Account) -> None:
    agree(operator_client, preview(operator_client, account, HEADER + BOUGHT))

    page = preview(operator_client, account, HEADER + BOUGHT)

    assert lines(page) == [["2", "known", "BUY 10 AAA.XXXX at 100 CHF"]]
    assert page.context["carried"] is None
    assert "nothing would be added" in page.content.decode()


def test_what_was_shown_is_judged_again_when_it_is_taken_in(operator_client: Client, account: Account) -> None:
    sold = preview(operator_client, account, HEADER + BOUGHT + BOUGHT.replace("05", "06").replace("BUY,10", "SELL,4"))
    agree(operator_client, preview(operator_client, account, HEADER + BOUGHT))
    also_sold = preview(operator_client, account, HEADER + BOUGHT.replace("05", "07").replace("BUY,10", "SELL,8"))
    agree(operator_client, also_sold)

    page = agree(operator_client, sold)

    assert "no more than MINE holds of AAA.XXXX" in page.content.decode()
    assert Execution.objects.count() == 2


@pytest.mark.parametrize(
    "content",
    ["", "no base 64 !", b64encode(b"no gzip").decode(), uploads.packed(BytesIO(b"abc"))[:-8] + "AAAAAAAA"],
)
def test_a_file_that_did_not_come_back_as_it_was_sent_is_asked_for_again(
    operator_client: Client, account: Account, content: str
) -> None:
    page = preview(operator_client, account, HEADER + BOUGHT)

    response = agree(operator_client, page, content=content)

    assert "choose it again" in last_message(operator_client.get(response["Location"]))
    assert not ImportBatch.objects.exists()


def test_a_file_that_would_burst_is_not_unpacked(operator_client: Client, account: Account) -> None:
    page = preview(operator_client, account, HEADER + BOUGHT)
    bomb = b64encode(compress(bytes(uploads.MOST_BYTES + 1), wbits=31)).decode()

    response = agree(operator_client, page, content=bomb)

    assert "choose it again" in last_message(operator_client.get(response["Location"]))


def test_a_file_that_is_too_large_is_left_to_the_command(
    operator_client: Client, account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "MOST_BYTES", 10)

    page = preview(operator_client, account, HEADER + BOUGHT)

    assert "`manage.py import_executions` takes larger ones" in page.content.decode()


def test_no_file_is_asked_for(operator_client: Client, account: Account) -> None:
    page = operator_client.post(PAGE, {"account": account.pk, "file_format": "generic"})

    assert page.context["form"].errors == {"file": ["This field is required."]}


def test_the_page_begins_with_the_account_it_was_opened_for(operator_client: Client, account: Account) -> None:
    page = operator_client.get(PAGE, {"account": account.pk}).content.decode()

    assert Form(page).fields["account"] == str(account.pk)


def test_who_may_only_look_is_refused(account: Account) -> None:
    client = staff("view_importbatch", "view_account")

    assert client.get(PAGE).status_code == 403
    assert preview(client, account, HEADER + BOUGHT).status_code == 403


def test_what_a_file_says_is_shown_as_text(operator_client: Client, account: Account) -> None:
    hostile = "<script>alert(1)</script>"

    page = preview(
        operator_client, account, HEADER + BOUGHT.replace("AAA", hostile) + BOUGHT.replace("10,", f"{hostile},")
    )

    shown = page.content.decode()
    assert "&lt;script&gt;alert(1)" in shown
    assert hostile not in shown
