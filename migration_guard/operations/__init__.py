"""Operations for migrations of any project."""

from migration_guard.operations.checks import AddFieldCheckNotValid, ValidateFieldCheck
from migration_guard.operations.concurrently import AddUniqueConstraintConcurrently, AlterFieldConcurrently
from migration_guard.operations.defaults import AddFieldKeepingDefault, DropDefault
from migration_guard.operations.foreign_keys import AlterFieldForeignKeyNotValid, ValidateForeignKey
from migration_guard.operations.nulls import AlterFieldToNotNull
from migration_guard.operations.once import RunSQLOnce
from migration_guard.operations.renaming import DropOldNameView, RenameModelKeepingView
from migration_guard.operations.retiring import DropRetiredField, RetireField
from migration_guard.operations.retiring_models import DropRetiredModel, RetireModel
from migration_guard.operations.unique_together import UniqueTogetherConcurrently

__all__ = [
    "AddFieldCheckNotValid",
    "AddFieldKeepingDefault",
    "AddUniqueConstraintConcurrently",
    "AlterFieldConcurrently",
    "AlterFieldForeignKeyNotValid",
    "AlterFieldToNotNull",
    "DropDefault",
    "DropOldNameView",
    "DropRetiredField",
    "DropRetiredModel",
    "RenameModelKeepingView",
    "RetireField",
    "RetireModel",
    "RunSQLOnce",
    "UniqueTogetherConcurrently",
    "ValidateFieldCheck",
    "ValidateForeignKey",
]

# A migration file names them by this module, wherever in it they are.
for _name in __all__:
    globals()[_name].__module__ = __name__
