"""Who may give what: nobody gives a right that he does not have himself, or gets at somebody who has more than he."""

from django.contrib.auth.models import Group, Permission
from django.db.models import Q, QuerySet

from trader.models import User


def held_by(user: User) -> QuerySet[Permission]:
    """Of an inactive user too, who has them again once he is active."""
    if user.is_superuser:
        return Permission.objects.all()
    return Permission.objects.filter(Q(group__user=user) | Q(user=user)).distinct()


def groups_within(user: User) -> QuerySet[Group]:
    """The groups whose members may do nothing that the user may not."""
    return Group.objects.exclude(permissions__in=_beyond(user))


def exceeds(other: User, user: User) -> bool:
    """Whether the other one may do what the user may not."""
    if user.is_superuser:
        return False
    return other.is_superuser or held_by(other).filter(pk__in=_beyond(user)).exists()


def _beyond(user: User) -> QuerySet[Permission]:
    return Permission.objects.exclude(pk__in=held_by(user).values("pk"))
