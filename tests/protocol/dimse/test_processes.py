"""The receiver as processes: start, stop, replacement, health, and strange visitors."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from tests.protocol.dimse import wire
from tests.protocol.dimse.conftest import ROOT, DimseServer
from tests.protocol.dimse.wire import CT, EXPLICIT, IMPLICIT, VERIFICATION, context

ECHO = [context(1, VERIFICATION, IMPLICIT)]


def test_a_taken_port_is_one_sentence_and_exit_code_2(own_server: DimseServer) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", own_server.port))
        holder.listen()
        done = own_server.manage("dimse")
    assert done.returncode == 2
    assert str(own_server.port) in done.stderr
    assert "PACSWEB_DICOM_PORT" in done.stderr
    assert "Traceback" not in done.stderr


def test_stopping_lets_a_running_message_end(own_server: DimseServer) -> None:
    own_server.start()
    data = wire.data_set(CT, "1.2.3", pixels=100_000)
    idle = own_server.wire()
    idle.associate(ECHO)
    with own_server.wire() as peer:
        peer.associate([context(1, CT, EXPLICIT)])
        peer.send(wire.p_data(wire.pdv(1, 3, wire.store_command(CT, "1.2.3"))))
        peer.send(wire.p_data(wire.pdv(1, 0, data[:50_000])))
        time.sleep(0.2)
        assert own_server.process is not None
        own_server.process.send_signal(signal.SIGTERM)
        kind, _ = idle.pdu()
        assert kind == 7
        time.sleep(0.5)
        peer.send(wire.p_data(wire.pdv(1, 2, data[50_000:])))
        assert wire.status(peer.response()) == 0
        assert peer.closed()
    idle.socket.close()
    assert own_server.process.wait(10) == 0
    assert len(own_server.ready()) == 1


def test_stopping_leaves_no_half_message_and_no_process(own_server: DimseServer) -> None:
    own_server.start("--grace-seconds", "0.5")
    children = own_server.children()
    with own_server.wire() as peer:
        peer.associate([context(1, CT, EXPLICIT)])
        peer.send(wire.p_data(wire.pdv(1, 3, wire.store_command(CT, "1.2.3"))))
        data = wire.data_set(CT, "1.2.3", pixels=2_000_000)
        peer.send(wire.p_data(wire.pdv(1, 0, data)))
        own_server.wait_for(lambda: len(own_server.writing()) == 1)
        began = time.monotonic()
        assert own_server.stop() == 0
        assert time.monotonic() - began < 3
        assert peer.closed()
    assert not own_server.writing()
    assert not own_server.ready()
    assert not [pid for pid in children if Path(f"/proc/{pid}").exists()]


def test_children_follow_a_killed_parent(own_server: DimseServer) -> None:
    own_server.start()
    children = own_server.children()
    assert own_server.process is not None
    own_server.process.kill()
    own_server.process.wait()
    own_server.wait_for(lambda: not [pid for pid in children if Path(f"/proc/{pid}").exists()])


def test_serving_says_whether_somebody_answers(own_server: DimseServer) -> None:
    own_server.start()

    def asked() -> str:
        code = "from apps.dimse.health import serving; print(serving(1.0))"
        return own_server.manage("shell", "-v0", "-c", code).stdout.strip()

    assert asked() == "True"
    assert own_server.process is not None
    children = own_server.children()
    for pid in children:
        os.kill(pid, signal.SIGSTOP)
    try:
        # The port still takes connections, and nobody answers.
        assert asked() == "False"
    finally:
        for pid in children:
            os.kill(pid, signal.SIGCONT)
    own_server.stop()
    assert asked() == "False"


def test_garbage_of_every_kind_harms_nobody(own_server: DimseServer) -> None:
    own_server.start("--artim-seconds", "2", "--stall-seconds", "2")
    dice = random.Random(5)
    request = wire.associate_rq([context(1, CT, EXPLICIT), *ECHO])
    for _ in range(150):
        with own_server.wire() as peer:
            bad = bytearray(request)
            for _ in range(dice.randint(1, 6)):
                bad[dice.randrange(len(bad))] = dice.randrange(256)
            try:
                peer.send(bytes(bad[: dice.choice([len(bad), len(bad), dice.randrange(len(bad))])]))
                if dice.random() < 0.5:
                    peer.send(dice.randbytes(dice.randrange(1, 3000)))
            except (BrokenPipeError, ConnectionResetError):
                pass
    for start in (b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00", bytes(600), b"\xff" * 5000):
        with own_server.wire() as peer:
            peer.send(start)
            assert peer.closed()
    with own_server.wire() as peer:
        peer.associate(ECHO)
        peer.release()
    assert len(own_server.children()) == 2


def test_garbage_inside_an_association_harms_only_itself(own_server: DimseServer) -> None:
    own_server.start("--stall-seconds", "2")
    dice = random.Random(7)
    message = wire.p_data(wire.pdv(1, 3, wire.store_command(CT, "1.2.3"))) + wire.p_data(
        wire.pdv(1, 2, wire.data_set(CT, "1.2.3"))
    )
    for _ in range(100):
        with own_server.wire() as peer:
            peer.associate([context(1, CT, EXPLICIT), context(3, VERIFICATION, IMPLICIT)])
            bad = bytearray(message)
            for _ in range(dice.randint(1, 5)):
                bad[dice.randrange(120)] = dice.randrange(256)
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                peer.send(bytes(bad))
    own_server.wait_for(lambda: not own_server.writing())
    with own_server.wire() as peer:
        peer.associate(ECHO)
        peer.release()


def test_idle_associations_cost_no_processor_time(own_server: DimseServer) -> None:
    """The library alone would wake two threads a thousand times a second for each of them."""
    own_server.start()
    peers = [own_server.wire() for _ in range(60)]
    for peer in peers:
        peer.associate(ECHO)

    def ticks() -> int:
        total = 0
        for pid in own_server.children():
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            total += int(fields[11]) + int(fields[12])
        return total

    before = ticks()
    time.sleep(3)
    used = (ticks() - before) / os.sysconf("SC_CLK_TCK") / 3
    for peer in peers:
        peer.socket.close()
    assert used < 0.25, used


def test_the_command_needs_no_other_service(tmp_path: Path) -> None:
    """Help works without a data folder that could be written."""
    done = subprocess.run(
        [sys.executable, "manage.py", "dimse", "--help"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "PACSWEB_DATA_DIR": str(tmp_path / "none")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0
    assert "C-STORE" in done.stdout
