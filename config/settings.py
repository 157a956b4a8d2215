"""The project's only settings; what differs between machines comes from the environment (docs/running.md)."""

import os
from datetime import timedelta
from pathlib import Path
from typing import Any

from config.env import Environment
from config.logs import logging_config
from config.wheel import client_programs

BASE_DIR = Path(__file__).resolve().parent.parent

env = Environment.load(os.environ, BASE_DIR / ".env")

ENVIRONMENT = env.str("ENVIRONMENT", "production")
IS_LOCAL = ENVIRONMENT == "local"
DEBUG = env.bool("DEBUG", IS_LOCAL)
# Set by entrypoint.sh for gunicorn alone: it selects the application's role and the connection pool.
SERVING = env.bool("SERVING", False)
BACKEND_WORKERS = env.int("BACKEND_WORKERS", 2, within=(1, 64))
BACKEND_THREADS = env.int("BACKEND_THREADS", 4, within=(1, 64))

# The application

INSTALLED_APPS = [
    "migration_guard",
    "django_linear_migrations",
    "config",
    "trader",
    "config.apps.AxesConfig",
    "django_otp",
    "config.apps.DevicesConfig",
    "django_otp.plugins.otp_static",
    "django_structlog",
    "config.apps.AdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
]
MIDDLEWARE = [
    "config.health.HealthMiddleware",
    "django_structlog.middlewares.RequestMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django_otp.middleware.OTPMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "axes.middleware.AxesMiddleware",
]
ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_TZ = True

# The database: one role owns and migrates, another one serves

POSTGRES_OWNER = {"USER": env.str("POSTGRES_USER"), "PASSWORD": env.secret("POSTGRES_PASSWORD", min_length=12)}
POSTGRES_APP = {"USER": env.str("POSTGRES_APP_USER"), "PASSWORD": env.secret("POSTGRES_APP_PASSWORD", min_length=12)}

DATABASES: dict[str, dict[str, Any]] = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": env.str("POSTGRES_DB"),
        "HOST": env.str("POSTGRES_SERVER"),
        "PORT": env.int("POSTGRES_PORT", 5432, within=(1, 65535)),
        **(POSTGRES_APP if SERVING else POSTGRES_OWNER),
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {"application_name": "my-trader", "connect_timeout": 5},
    },
}
if SERVING:
    # A request that gets no connection within 2 s fails with the pool's error instead of hanging.
    DATABASES["default"]["OPTIONS"]["pool"] = {"min_size": 1, "max_size": BACKEND_THREADS, "timeout": 2}

# max_migration.txt is for git and for who merges: tests/test_migrations.py checks it, no start depends on it.
SILENCED_SYSTEM_CHECKS = [f"dlm.E{number:03}" for number in range(1, 6)]
MIGRATION_GUARD = {
    "RELEASE": env.str("RELEASE", ""),
    "REQUIRE_RECEIPTS": not IS_LOCAL,
    "CLIENT_PROGRAMS": client_programs(),
    "DOCTOR": [
        "config.diagnosis.check_server",
        "config.diagnosis.check_files",
        "config.diagnosis.check_backend",
        "config.partitions.check_partitions",
    ],
    "RESTORE_POINTS": env.str("RESTORE_POINTS", "restore_points"),
}

# Users and their log-in

AUTH_USER_MODEL = "trader.User"
AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend", "django.contrib.auth.backends.ModelBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{validator}"}
    for validator in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
FIRST_SUPERUSER = env.str("FIRST_SUPERUSER", "")
FIRST_SUPERUSER_PASSWORD = env.secret("FIRST_SUPERUSER_PASSWORD", min_length=12, optional=not FIRST_SUPERUSER)
DEMONSTRATION = env.bool("DEMONSTRATION", True) and IS_LOCAL

AXES_FAILURE_LIMIT = 5
AXES_COOLOFF_TIME = timedelta(minutes=15)
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
# The field of Django's log-in form; axes would take that of the model, and look for it in vain.
AXES_USERNAME_FORM_FIELD = "username"
AXES_USERNAME_CALLABLE = "config.login.username"
AXES_CLIENT_IP_CALLABLE = "config.login.client_address"
AXES_RESET_ON_SUCCESS = True
AXES_LOCKOUT_TEMPLATE = "admin/locked_out.html"
AXES_SENSITIVE_PARAMETERS = ["username", "ip_address", "code"]
# config/admin.py has its own pages.
AXES_ENABLE_ADMIN = False

SECOND_FACTOR_REQUIRED = env.bool("SECOND_FACTOR_REQUIRED", False)
# What an authenticator app lists the code under, beside the e-mail address.
OTP_TOTP_ISSUER = "my-trader"

# HTTP; outside local development TLS ends at a proxy in front of gunicorn, which must set X-Forwarded-Proto

SECRET_KEY = env.secret("SECRET_KEY", min_length=50)
# A broker's file that was previewed comes back in a field of its page, compressed.
DATA_UPLOAD_MAX_MEMORY_SIZE = 2**24
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", ["localhost", "127.0.0.1", "[::1]"] if IS_LOCAL else None)
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", [])
if not IS_LOCAL:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    SECURE_SSL_REDIRECT = True
    SECURE_HSTS_SECONDS = env.int("SECURE_HSTS_SECONDS", int(timedelta(days=365).total_seconds()))
    SECURE_HSTS_INCLUDE_SUBDOMAINS = True
    SECURE_HSTS_PRELOAD = True
    SESSION_COOKIE_SECURE = True
    CSRF_COOKIE_SECURE = True

# Compose publishes this port, or a range of them for several backends; `up` listens on the first.
BACKEND_PORT = env.str("BACKEND_PORT", "8000")
BACKEND_BIND = env.str("BACKEND_BIND", "127.0.0.1:8000")

STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}

# Logs

LOGGING_CONFIG = "config.logs.configure"
LOGGING = logging_config(env.choice("LOG_LEVEL", ["DEBUG", "INFO", "WARNING", "ERROR"], "INFO"))

env.refuse_problems(weak_secrets_allowed=IS_LOCAL)
