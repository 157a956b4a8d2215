"""gunicorn's settings; `entrypoint.sh` names this file."""

import os

from django.conf import settings

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

wsgi_app = "config.wsgi"
bind = settings.BACKEND_BIND
worker_class = "gthread"
workers = settings.BACKEND_WORKERS
threads = settings.BACKEND_THREADS
timeout = 30
# Under Compose's stop_grace_period of 10 s, so that a request in flight is answered before the container is killed.
graceful_timeout = 8
control_socket_disable = True
logconfig_dict = settings.LOGGING
