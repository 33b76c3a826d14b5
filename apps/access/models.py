"""Who may come in: users (people), API tokens (programs). Roles are Django groups."""

from __future__ import annotations

from django.contrib.auth.models import AbstractUser
from django.db import models


class User(AbstractUser):
    """A person or an integration that signs in."""

    class Meta(AbstractUser.Meta):
        pass


class AccessRule(models.Model):
    """Carries the product's permissions; no table and no rows. See `apps.access.principals`."""

    class Meta:
        managed = False
        default_permissions = ()
        permissions = (
            ("view_images", "See studies, images and reports"),
            ("store_instances", "Store instances (STOW-RS, import)"),
            ("manage_quarantine", "Decide on quarantined instances"),
            ("view_worklist", "See the worklist and what modalities performed"),
            ("manage_worklist", "Schedule, change and cancel orders; link studies to them"),
            ("perform_steps", "Report performed procedure steps"),
            ("transfer_studies", "Send to other systems, and fetch from them"),
            ("delete_studies", "Delete studies"),
            ("administer", "Administer the system"),
            ("read_metrics", "Read metrics"),
            ("mark_read", "Mark studies as read"),
        )

    def __str__(self) -> str:
        return "access rule"


class ApiToken(models.Model):
    """A bearer token; only its SHA-256 is kept. The text is shown once, when it is made."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="api_tokens")
    name = models.CharField(max_length=100)
    prefix = models.CharField(max_length=12, unique=True)
    digest = models.BinaryField(max_length=32, unique=True)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = "API token"

    def __str__(self) -> str:
        return f"{self.prefix}… {self.name}"


class UserPreference(models.Model):
    """What a user chose for a page, under the page's name; the page says what is in it."""

    user = models.ForeignKey(
        User, on_delete=models.CASCADE, related_name="preferences", db_index=False
    )
    name = models.CharField(max_length=64)
    value = models.JSONField(default=dict)
    changed_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["user", "name"], name="user_preference_once")
        ]

    def __str__(self) -> str:
        return f"preference {self.name}"
