"""Pages of lists of any length: a short one is counted, a long one estimated and read from its nearer end."""

import json
from collections.abc import Sequence
from typing import Any

from django.contrib import messages
from django.contrib.admin.views.main import ChangeList
from django.core.paginator import Page, Paginator
from django.db.models import QuerySet, Window
from django.db.models.functions import RowNumber
from django.http import HttpRequest
from django.utils.functional import cached_property

# So many rows are counted one by one.
MOST_COUNTED = 10_000
# So many are passed over on the way to a page, from either end; to read and sort as many takes less than 100 ms.
MOST_PASSED = 100_000
SIGNIFICANT_DIGITS = 3
OUT_OF_REACH = (
    "Page {} is out of reach in a list of this length. This is the nearest: narrow the list by a filter or a search."
)


class Estimate(int):
    """About so many rows, as PostgreSQL's planner takes it. Django's templates show what `str` gives."""

    def __str__(self) -> str:
        unit = 10 ** max(len(repr(self)) - SIGNIFICANT_DIGITS, 0)
        return f"about {(self + unit // 2) // unit * unit:,}"


class LongListPaginator(Paginator):
    """Finds the keys of a page's rows before the rows, so that what is passed over is not joined to anything.

    The pages of an estimated list are counted from its nearer end, where its first and its last row are exactly; the
    two halves meet where the estimate says.
    """

    object_list: QuerySet[Any]
    # The number of the last page that was read.
    shown: int | None = None

    @cached_property
    def count(self) -> int:
        planned = planned_rows(self.object_list)
        if planned <= MOST_COUNTED:
            counted = self._counted(MOST_COUNTED + 1)
            if counted <= MOST_COUNTED:
                return counted
        return Estimate(max(planned, MOST_COUNTED))

    @property
    def is_estimated(self) -> bool:
        return isinstance(self.count, Estimate)

    def nearest(self, number: int) -> int:
        """The page itself, where it can be had."""
        if not self.is_estimated:
            return number
        reach = MOST_PASSED // self.per_page
        number = min(max(number, 1), self.num_pages)
        return number if number <= reach or number > self.num_pages - reach else self._nearer(reach, number)

    def _nearer(self, reach: int, number: int) -> int:
        return reach if number * 2 <= self.num_pages else self.num_pages - reach + 1

    def page(self, number: int | str) -> Page[Any]:
        number = self.validate_number(self.nearest(int(number)))
        from_end = self.is_estimated and number * 2 > self.num_pages
        passed = (self.num_pages - number if from_end else number - 1) * self.per_page
        keys = self._keys(passed, from_end=from_end)
        if self.is_estimated and len(keys) < self.per_page:
            self._correct(passed + len(keys) if keys else self._counted(passed))
            return self.page(min(number, self.num_pages))
        self.shown = number
        return Page(self.object_list.filter(pk__in=keys), number, self)

    def whole(self) -> QuerySet[Any]:
        """All rows, of a list that has but a page of them or is shown as one."""
        return self.object_list.filter(pk__in=list(self.object_list.values_list("pk", flat=True)))

    def _correct(self, count: int) -> None:
        self.count = count
        # Kept since it was first asked for.
        del self.num_pages

    def _counted(self, most: int) -> int:
        return self.object_list.order_by()[:most].count() if most else 0

    def _keys(self, passed: int, *, from_end: bool) -> Sequence[Any]:
        rows = self.object_list.reverse() if from_end else self.object_list
        last = passed + self.per_page
        if not self._is_narrow():
            return list(rows.values_list("pk", flat=True)[passed:last])
        place = Window(RowNumber(), order_by="pk" if from_end else "-pk")
        placed = rows.annotate(place=place).filter(place__gt=passed, place__lte=last)
        return list(placed.values_list("pk", flat=True))

    def _is_narrow(self) -> bool:
        """Whether its rows are few enough to be read and sorted all.

        With a LIMIT the planner would walk along the keys instead, in the hope to meet some of them soon: those of an
        account that was closed long ago lie at the other end.
        """
        query = self.object_list.query
        return bool(query.where) and set(query.order_by) == {"-pk"} and self.count <= MOST_PASSED


def planned_rows(rows: QuerySet[Any]) -> int:
    """How many rows PostgreSQL expects, by its statistics and the present size of the tables."""
    plan = rows.order_by().values("pk").explain(format="json")
    # Of what is empty by its conditions alone PostgreSQL is not asked.
    return int(json.loads(plan)[0]["Plan"]["Plan Rows"]) if plan else 0


class LongList(ChangeList):
    paginator: LongListPaginator

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        if not self.multi_page or (self.show_all and self.can_show_all):
            self.result_list = self.paginator.whole()
        # What a page turned out to hold may have corrected it.
        self.result_count = self.paginator.count
        if self.paginator.nearest(self.page_num) != self.page_num:
            messages.warning(request, OUT_OF_REACH.format(f"{self.page_num:,}"))
        self.page_num = self.paginator.shown or self.page_num
