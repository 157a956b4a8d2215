"""The second factor of a log-in: codes of an authenticator app, and recovery codes for the day that it is lost."""
