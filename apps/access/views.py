"""Signing in and out."""

from __future__ import annotations

from django.contrib.auth.views import LoginView, LogoutView
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render


class SignIn(LoginView):
    """The one page a stranger may see."""

    template_name = "access/login.html"
    redirect_authenticated_user = True


class SignOut(LogoutView):
    """Ends the session; only by POST, so that no link can do it."""


def locked_out(request: HttpRequest) -> HttpResponse:
    """What a throttled sign-in sees."""
    return render(request, "access/login.html", {"locked": True}, status=429)
