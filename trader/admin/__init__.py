"""The admin: a module a subject, as in `trader.models`."""

from django.contrib import admin

from trader.admin import accounts, fixtures, reference, users

__all__ = ["accounts", "fixtures", "reference", "users"]

admin.site.site_header = "my-trader"
admin.site.site_title = "my-trader"
admin.site.index_title = "Trading book"
