"""The Django project: composition only. It sees every app and decides nothing."""

__version__ = "0.1.0"
