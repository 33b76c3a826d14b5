"""Versions of the conformance statement, and what our own tests found of each claim."""

from __future__ import annotations

from django.db import models


class StatementVersion(models.Model):
    """The statement as it was from `created_at` on; a new row whenever it says something else."""

    digest = models.CharField(max_length=64)
    created_at = models.DateTimeField(auto_now_add=True)
    claims = models.JSONField(default=dict)  # Statement.said(): by id of claim or row, its text

    class Meta:
        verbose_name = "conformance statement"
        ordering = ["-pk"]

    def __str__(self) -> str:
        return f"version {self.pk}, {self.created_at:%Y-%m-%d}"


class ClaimResult(models.Model):
    """The last self-test of one claim, with the text that was tested."""

    claim = models.CharField(max_length=200, unique=True)
    text = models.TextField()
    passed = models.BooleanField()
    detail = models.CharField(max_length=400, blank=True, default="")
    tested_at = models.DateTimeField()

    class Meta:
        verbose_name = "conformance test result"

    def __str__(self) -> str:
        return f"{self.claim}: {'passed' if self.passed else 'failed'}"
