#!/bin/sh
# Without arguments: prepare the database and serve. With arguments: wait for the database and run them.
set -eu
cd "$(dirname "$0")"

if [ $# -gt 0 ]; then
  python manage.py wait_for_database
  exec "$@"
fi
python manage.py prepare
SERVING=1 exec gunicorn --config config/gunicorn.conf.py
