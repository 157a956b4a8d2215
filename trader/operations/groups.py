"""The groups that the project delivers, and what their members may do; docs/running.md has the table."""

from collections.abc import Iterable
from datetime import datetime

from django.contrib.auth.models import Group, Permission
from django.db import transaction

from trader.models import LoadedFixture

REFERENCE = ("account", "currency", "instrument", "venue")
MARKET = ("corporateaction", "fxrate", "instrumentidentifier", "pricebar")
RECORDED = (
    "execution",
    "executionfee",
    "importbatch",
    "importrow",
    "journalentry",
    "ledgeraccount",
    "lotselection",
    "order",
    "orderevent",
    "posting",
)
DERIVED = ("lotmatch", "position", "taxlot")
BOOK = (*REFERENCE, *MARKET, *RECORDED, *DERIVED)
# What was delivered once is not again: who deletes its row could have back what was taken away.
SUPERUSERS_ALONE = ("trader.loadedfixture",)

Row = tuple[str, ...]

GROUP = "auth.group"
GROUP_PERMISSION = "auth.group_permissions"


def _permissions(app: str, verbs: str, *models: str) -> frozenset[str]:
    return frozenset(f"{app}.{verb}_{model}" for verb in verbs.split() for model in models)


VIEWER = _permissions("trader", "view", *BOOK)
GROUPS = {
    "viewer": VIEWER,
    "trader": VIEWER
    | _permissions("trader", "add change", "order", "instrument")
    | _permissions("trader", "add", "execution", "executionfee", "lotselection", "journalentry", "importbatch")
    | _permissions("trader", "add change delete", *MARKET),
    "operator": VIEWER
    | _permissions("trader", "add change delete", *REFERENCE, "instrumentidentifier", "fxrate", "pricebar")
    | _permissions("trader", "view add change", "user")
    | _permissions("auth", "view add change delete", "group")
    | _permissions("axes", "view", "accesslog")
    | _permissions("axes", "view delete", "accessattempt")
    | _permissions("otp_totp", "view delete", "totpdevice"),
}


def deliver_groups(*, now: datetime) -> int:
    """Make the groups and give each its permissions, once, in one transaction; return how many of both were new.

    Needs the permissions that `migrate` makes. One that somebody took from a group stays away, one that a later release
    names comes. A group that somebody deleted or renamed is not made again, and one that was there under the name
    before is left as it is. Where nothing is new it costs one query.
    """
    loaded = LoadedFixture.objects.filter(model__in=[GROUP, GROUP_PERMISSION])
    delivered = {(model, *key) for model, key in loaded.values_list("model", "natural_key")}
    if all(_rows(name, permissions) <= delivered for name, permissions in GROUPS.items()):
        return 0
    with transaction.atomic():
        rows = set().union(*(_deliver(name, permissions, delivered) for name, permissions in GROUPS.items()))
        LoadedFixture.objects.bulk_create(
            LoadedFixture(model=model, natural_key=key, loaded_at=now) for model, *key in sorted(rows - delivered)
        )
    return len(rows - delivered)


def _deliver(name: str, permissions: frozenset[str], delivered: set[Row]) -> set[Row]:
    """What is to be remembered then; a permission that is not there is tried again next time."""
    found = _found(permissions)
    if (GROUP, name) in delivered:
        group = Group.objects.filter(name=name).first()
        missing = [found[each] for each in found if (GROUP_PERMISSION, name, *each.split(".")) not in delivered]
    else:
        group, is_new = Group.objects.get_or_create(name=name)
        missing = [*found.values()] if is_new else []
    if group and missing:
        group.permissions.add(*missing)
    return _rows(name, found)


def _rows(name: str, permissions: Iterable[str]) -> set[Row]:
    """A row of the group itself, and one of each of its permissions."""
    return {(GROUP, name), *((GROUP_PERMISSION, name, *each.split(".")) for each in permissions)}


def _found(names: frozenset[str]) -> dict[str, Permission]:
    codenames = {name.partition(".")[2] for name in names}
    rows = Permission.objects.filter(codename__in=codenames).select_related("content_type")
    found = {f"{row.content_type.app_label}.{row.codename}": row for row in rows}
    return {name: found[name] for name in names & found.keys()}
