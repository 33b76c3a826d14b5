"""The Celery application: queues and the clockwork (beat)."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "pacsweb.settings")
application = Celery("pacsweb")
application.config_from_object("django.conf:settings", namespace="CELERY")
application.autodiscover_tasks()
application.conf.beat_schedule = {}
