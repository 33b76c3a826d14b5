"""Who falls silent in the middle of a body gives its place back; others keep it, slow ones too."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# A process of its own: all the connections of the one that watches are looked at.
_PROGRAM = """
import socket, threading, time
from pacsweb import silent_senders
silent_senders.SILENCE_SECONDS = 0.5
silent_senders._LOOK_SECONDS = 0.05
listener = socket.create_server(("127.0.0.1", 0))

def connected():
    client = socket.create_connection(listener.getsockname(), source_address=("127.0.0.2", 0))
    return client, listener.accept()[0]

first, served_first = connected()
first.sendall(b"abc")
environ = {"wsgi.input": served_first.makefile("rb"), "REMOTE_ADDR": "127.0.0.2"}
silent_senders.watched(environ)
time.sleep(0.2)
waiting, served_waiting = connected()
waiting.sendall(b"a whole request")
served_waiting.recv(100)
silent_senders.begin_watch()
print(environ["wsgi.input"].read(900_000))
served_first.sendall(b"too early")
print(first.recv(100))
served_waiting.setblocking(False)
try:
    print(served_waiting.recv(1))
except BlockingIOError:
    print("still open")

class SlowBody:
    # Each piece of it is waited for anew: one who sends is silent no longer than a piece takes.
    def __init__(self):
        self.left = 300_001
        self.waits = set()

    def read(self, size):
        self.waits.add(silent_senders._waiting[threading.get_ident()])
        size = self.left if size < 0 else min(size, self.left)
        self.left -= size
        return bytes(size)

slow = SlowBody()
body = silent_senders.WatchedBody(slow, "127.0.0.2")
print(len(body.read(300_000)), len(slow.waits), len(body.read(-1)), len(body.read(9)))
accepted = connected()[1]
print(accepted.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells since when a peer is silent")
def test_the_silent_sender_alone_is_cut_off_and_still_gets_its_answer():
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout.splitlines() == [
        "b'abc'",
        "b'too early'",
        "still open",
        "300000 5 1 0",
        "1",
    ], done.stderr
