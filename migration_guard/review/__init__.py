"""What migrations will do, read without running them: findings, each with its statement, its lock and a safer form."""
