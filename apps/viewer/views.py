"""The page that boots the front end, for people who are logged in."""

from __future__ import annotations

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import ensure_csrf_cookie
from django.views.decorators.http import require_safe

from apps.viewer.manifest import read_front_end


@require_safe
@login_required
@never_cache
@ensure_csrf_cookie
def front_end(request: HttpRequest, **address: str) -> HttpResponse:
    """The single page of list and viewer; without a log-in a redirect to /login/.

    The study is named in the address alone and read by the front end, so that this page holds
    nothing of a patient. 503 with a plain sentence when the front end was never built.
    """
    page = "study" if "study_instance_uid" in address else "study-list"
    built = read_front_end(settings.BASE_DIR / "frontend" / "dist" / "app", page)
    if built is None:
        return render(request, "viewer/not_built.html", status=503)
    return render(request, "viewer/page.html", {"front_end": built})
