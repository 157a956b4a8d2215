from typing import Any, cast

from django.contrib import admin
from django.contrib.admin.utils import flatten_fieldsets, unquote
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.forms import AdminUserCreationForm, UserChangeForm
from django.contrib.auth.models import Group
from django.core.exceptions import PermissionDenied
from django.db.models import prefetch_related_objects
from django.http import HttpRequest, HttpResponse

from trader.admin.pages import BookForm
from trader.admin.refusals import RefusalsShown
from trader.admin.rights import exceeds, groups_within, held_by
from trader.models import User

GIVEN_BY_SUPERUSERS = ("is_superuser", "user_permissions")


class UserCreationForm(BookForm, AdminUserCreationForm):
    class Meta:
        model = User
        fields = ("email", "full_name", "is_staff", "groups")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Who is entered here is to work here.
        self.fields["is_staff"].initial = True


class UserForm(BookForm, UserChangeForm):
    class Meta:
        model = User
        fields = "__all__"


@admin.register(User)
class UserAdmin(RefusalsShown, DjangoUserAdmin):
    """Of somebody who has more rights than the person at the page, that one can clear and set `active`, no more."""

    form = UserForm
    add_form = UserCreationForm
    list_display = ("email", "full_name", "is_active", "is_staff", "last_login")
    list_filter = ("is_active", "is_staff", "is_superuser", "groups")
    search_fields = ("email", "full_name")
    search_help_text = "E-mail address or full name"
    ordering = ("email",)
    readonly_fields = ("last_login",)
    fieldsets = (
        (None, {"fields": ("email", "full_name", "password")}),
        ("Permissions", {"fields": ("is_active", "is_staff", "is_superuser", "groups", "user_permissions")}),
        ("History", {"fields": ("last_login",)}),
    )
    add_fieldsets = (
        (None, {"fields": ("email", "full_name", "usable_password", "password1", "password2")}),
        ("Permissions", {"fields": ("is_staff", "groups")}),
    )

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> User | None:
        """With what its permissions are called by, which would be asked for one by one where they are only shown."""
        user = super().get_object(request, object_id, from_field)
        if user:
            prefetch_related_objects([user], "groups", "user_permissions__content_type")
        return user

    def has_change_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        is_above = obj is not None and obj.is_superuser and not _user(request).is_superuser
        return super().has_change_permission(request, obj) and not is_above

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return super().has_delete_permission(request, obj) and not (obj and exceeds(obj, _user(request)))

    def get_fieldsets(self, request: HttpRequest, obj: User | None = None) -> Any:
        """Without the password, where it may not be set: Django would show its hash, or a way that leads nowhere."""
        fieldsets = super().get_fieldsets(request, obj)
        if not (obj and exceeds(obj, _user(request))):
            return fieldsets
        return [
            (title, {**options, "fields": [name for name in options["fields"] if name != "password"]})
            for title, options in fieldsets
        ]

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> list[Any]:
        readonly = [*super().get_readonly_fields(request, obj)]
        if obj and exceeds(obj, _user(request)):
            return [name for name in flatten_fieldsets(self.fieldsets) if name not in {"is_active", "password"}]
        return readonly if _user(request).is_superuser else [*readonly, *GIVEN_BY_SUPERUSERS]

    def formfield_for_manytomany(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "groups":
            kwargs["queryset"] = groups_within(_user(request))
        return super().formfield_for_manytomany(db_field, request, **kwargs)

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> HttpResponse:  # noqa: A002
        user = self.get_object(request, unquote(id))
        if user and exceeds(user, _user(request)):
            raise PermissionDenied
        return super().user_change_password(request, id, form_url)


admin.site.unregister(Group)


@admin.register(Group)
class GroupAdmin(DjangoGroupAdmin):
    """A group that may do more than the person at the page is not changed there, and gets no right that he has not."""

    def has_change_permission(self, request: HttpRequest, obj: Group | None = None) -> bool:
        return super().has_change_permission(request, obj) and _is_within(obj, request)

    def has_delete_permission(self, request: HttpRequest, obj: Group | None = None) -> bool:
        return super().has_delete_permission(request, obj) and _is_within(obj, request)

    def formfield_for_manytomany(self, db_field: Any, request: HttpRequest | None = None, **kwargs: Any) -> Any:
        if db_field.name == "permissions" and request:
            kwargs["queryset"] = held_by(_user(request))
        return super().formfield_for_manytomany(db_field, request, **kwargs)


def _is_within(group: Group | None, request: HttpRequest) -> bool:
    return group is None or groups_within(_user(request)).filter(pk=group.pk).exists()


def _user(request: HttpRequest) -> User:
    return cast(User, request.user)
