from typing import Any

from django import template
from django.template import RequestContext
from django.utils import timezone

from trader.admin.glance import book_glance

register = template.Library()
SEEN = ("trader.view_account", "trader.view_position", "trader.view_order")


@register.simple_tag(takes_context=True, name="book_glance")
def glance(context: RequestContext) -> dict[str, Any]:
    """The book at a glance; nothing for who may not see all of that."""
    return book_glance(timezone.now()) if context["user"].has_perms(SEEN) else {}
