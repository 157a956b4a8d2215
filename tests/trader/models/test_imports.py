import pytest

from tests.factories import ImportRowFactory
from tests.trader.models.plain_sql import PlainBook, Row, orm_refused, refused

pytestmark = pytest.mark.django_db

EXTERNAL_ID = "trader_importrow_account_source_external_id_unique"
CONTENT = "trader_importrow_account_source_row_hash_ordinal_unique"


@pytest.mark.parametrize("sha256", ["", "0" * 63, "A" * 64, "g" * 64])
def test_a_files_hash_is_sha_256_in_hexadecimal(book: PlainBook, sha256: str) -> None:
    with refused(book.session, "trader_importbatch_sha256_check"):
        book.batch(sha256=sha256)


def test_a_row_is_imported_or_known(book: PlainBook) -> None:
    batch = book.batch()

    with refused(book.session, "trader_importrow_state_check"):
        book.import_row(batch, state="FAILED")


def test_an_external_id_is_taken_in_once(book: PlainBook) -> None:
    batch, again = book.batch(), book.batch()
    book.import_row(batch, external_id="1", row_hash="a")

    book.import_row(batch, external_id="2", row_hash="b")
    book.import_row(batch, external_id="1", row_hash="a", source="ibkr")
    book.import_row(batch, external_id="1", row_hash="a", account_id=book.another_account("OTHER"))
    with refused(book.session, EXTERNAL_ID):
        book.import_row(again, external_id="1", row_hash="c")


@pytest.mark.parametrize("changes", [{}, {"external_id": "1"}, {"state": "KNOWN"}])
def test_equal_rows_are_told_apart_by_their_ordinal_alone(book: PlainBook, changes: Row) -> None:
    batch, again = book.batch(), book.batch()
    book.import_row(batch)

    book.import_row(batch, ordinal=1)
    with refused(book.session, CONTENT):
        book.import_row(again, **changes)


def test_no_row_becomes_a_second_one_of_its_kind(book: PlainBook) -> None:
    batch = book.batch()
    book.import_row(batch, external_id="1")
    second = book.import_row(batch, external_id="2", ordinal=1)

    with refused(book.session, EXTERNAL_ID):
        book.execute("UPDATE trader_importrow SET external_id = '1' WHERE id = %s", second)
    with refused(book.session, CONTENT):
        book.execute("UPDATE trader_importrow SET ordinal = 0 WHERE id = %s", second)


def test_the_orm_cannot_take_a_row_in_twice() -> None:
    row = ImportRowFactory.create()

    with orm_refused(CONTENT):
        ImportRowFactory.create(batch=row.batch, row_hash=row.row_hash)


def test_the_orm_cannot_take_an_external_id_in_twice() -> None:
    row = ImportRowFactory.create(external_id="1")

    with orm_refused(EXTERNAL_ID):
        ImportRowFactory.create(batch=row.batch, external_id="1")
