"""Another type for a column in use, in steps between which every release can read and write."""

from migration_guard.operations.retyping.planning import can_retype, plan
from migration_guard.operations.retyping.steps import (
    AddShadowColumn,
    FillShadowColumn,
    IndexShadowColumn,
    SwapShadowColumn,
)

__all__ = [
    "AddShadowColumn",
    "FillShadowColumn",
    "IndexShadowColumn",
    "SwapShadowColumn",
    "can_retype",
    "plan",
]

# A migration file names them by this package, whichever module of it they are in.
for _operation in (AddShadowColumn, FillShadowColumn, IndexShadowColumn, SwapShadowColumn):
    _operation.__module__ = __name__
