"""Event channels: work item events over WebSocket (PS3.18 8.10, 11.10), in a process of their own.

The web server speaks WSGI and cannot hold a WebSocket; this process does nothing else.
"""
