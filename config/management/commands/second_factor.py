from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from config.second_factor.devices import remove
from trader.models import User


class Command(BaseCommand):
    help = "Takes somebody's second factor away, app and recovery codes, for the day that both are lost."

    def add_arguments(self, parser: CommandParser) -> None:
        removing = parser.add_subparsers(dest="action", required=True).add_parser("remove")
        removing.add_argument("email", help="whose: the e-mail address of the log-in")

    def handle(self, *, email: str, **_: Any) -> None:
        try:
            user = User.objects.get_by_natural_key(email)
        except User.DoesNotExist as error:
            raise CommandError(
                f"Nobody logs in as {email}: give the e-mail address of a user.", returncode=2
            ) from error
        if remove(user):
            self.stdout.write(f"The second factor of {user} is gone: the password alone lets in.")
        else:
            self.stdout.write(f"{user} has no second factor: there is nothing to take away.")
