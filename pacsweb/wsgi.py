"""The WSGI application, served by granian."""

import os

from django.core.wsgi import get_wsgi_application

from pacsweb.launch import NAME_VARIABLE, die_with_parent

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "pacsweb.settings")
if NAME_VARIABLE in os.environ:
    # A worker forked by a web process that was killed would keep the port.
    die_with_parent()
application = get_wsgi_application()
