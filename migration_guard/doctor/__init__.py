"""`doctor`: what is wrong, a line each, with the command that mends it."""

from migration_guard.doctor.diagnosis import Diagnosis, State, command, note, ok, problem, unknown

__all__ = ["Diagnosis", "State", "command", "note", "ok", "problem", "unknown"]
