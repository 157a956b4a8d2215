"""What is known of PostgreSQL's casts between the types that Django's fields have."""

DIGITS = {"smallint": 5, "integer": 10, "bigint": 19}
FLOATS = {"real", "double precision"}
# Whatever the value is, these are no longer as text.
TEXT_LENGTHS = {name: digits + 1 for name, digits in DIGITS.items()} | {"boolean": 5, "uuid": 36, "date": 16}
ALWAYS = {
    ("real", "double precision"),
    ("boolean", "integer"),
    ("integer", "boolean"),
    ("date", "timestamp with time zone"),
    ("timestamp with time zone", "date"),
}
HAS_TEXT = {*DIGITS, *FLOATS, "boolean", "date", "interval", "numeric", "time", "timestamp with time zone", "uuid"}


def rewrites(old: str, new: str) -> bool:
    """Whether ALTER COLUMN TYPE writes each row anew: not where old values are values of the new type as they are."""
    (old_name, old_numbers), (new_name, new_numbers) = _parsed(old), _parsed(new)
    if {old_name, new_name} <= {"varchar", "text"}:
        return bool(new_numbers) and (not old_numbers or new_numbers < old_numbers)
    if old_name == new_name == "numeric":
        keeps_scale = bool(old_numbers) and new_numbers[1:] == old_numbers[1:]
        return bool(new_numbers) and not (keeps_scale and new_numbers >= old_numbers)
    return old != new


def always_casts(old: str, new: str) -> bool:
    """Whether each value of the old type has one of the new type, so that no row is ever refused."""
    (old_name, old_numbers), (new_name, new_numbers) = _parsed(old), _parsed(new)
    if new_name in {"varchar", "text"}:
        longest = TEXT_LENGTHS.get(old_name)
        return old_name in HAS_TEXT and (not new_numbers or (longest is not None and longest <= new_numbers[0]))
    if new_name == "numeric":
        return _fits_numeric(old_name, old_numbers, new_numbers)
    if old_name in DIGITS and new_name in DIGITS:
        return DIGITS[old_name] < DIGITS[new_name]
    to_float = new_name in FLOATS and old_name in {*DIGITS, "numeric"} and (old_name, new_name) != ("numeric", "real")
    return to_float or (old_name, new_name) in ALWAYS


def _fits_numeric(old_name: str, old_numbers: list[int], new_numbers: list[int]) -> bool:
    if old_name not in {*DIGITS, "numeric"} or not new_numbers:
        return old_name in {*DIGITS, "numeric"}
    if old_name in DIGITS:
        old_numbers = [DIGITS[old_name], 0]
    if not old_numbers:
        return False
    (old_precision, old_scale), (precision, scale) = old_numbers, new_numbers
    # Rounding can carry into one digit more.
    return precision - scale >= old_precision - old_scale + (scale < old_scale)


def _parsed(db_type: str) -> tuple[str, list[int]]:
    """varchar(40): its name and its numbers."""
    name, _, rest = db_type.partition("(")
    return name.strip(), [int(number) for number in rest.rstrip(")").split(",") if number.strip().isdigit()]
