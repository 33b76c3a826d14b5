"""C-FIND with 100,000 studies: latency with one and eight clients, and all of them streamed.

    python benchmarks/find_100k.py [--studies N] [--runs N]

Seeds a SQLite archive like `query_100k.py`, starts the receiver on it, and asks over associations
of our own SCU that stay open. Prints p50 and p95 in milliseconds, answers per second of a query
that matches everything, and what the receiver's memory grew by meanwhile.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.query_100k import SYLLABLES  # noqa: E402 - after the path
from tests.servers import TcpRedis, free_port  # noqa: E402 - as above

STUDY_ROOT = "1.2.840.10008.5.1.4.1.2.2.1"


def _ask(association: Any, context: Any, keys: dict[int, str]) -> int:
    """Answers to one C-FIND."""
    from apps.dicom import command_set
    from apps.dicom.identifiers import AnswerWriter

    wanted = {0x00100010: "", 0x00100020: "", 0x0020000D: "", 0x00080020: "", 0x00080061: ""}
    identifier = AnswerWriter(context.transfer_syntax, ("ISO_IR 192",)).write(
        {**wanted, 0x00080052: "STUDY", **keys}, {}
    )
    values = {
        command_set.AFFECTED_SOP_CLASS_UID: STUDY_ROOT,
        command_set.COMMAND_FIELD: command_set.C_FIND_RQ,
        command_set.MESSAGE_ID: association.new_message_id(),
        command_set.PRIORITY: 0,
    }
    association.request(context, values, identifier)
    found = 0
    while (status := association.receive().status) in {0xFF00, 0xFF01}:
        found += 1
    assert status == 0, f"{status:04X}"
    return found


def _client(port: int, seed: int, runs: int) -> list[float]:
    """Seconds of each of `runs` questions: a day of one modality, a name, a Patient ID."""
    import django

    os.environ["DJANGO_SETTINGS_MODULE"] = "pacsweb.settings"
    django.setup()
    from apps.network.associate_items import ProposedContext, Remote
    from apps.network.association import OutgoingAssociation
    from apps.network.scu import PLAIN

    chance = random.Random(seed)
    remote = Remote("PACSWEB", "127.0.0.1", port, "BENCHMARK")
    seconds = []
    with OutgoingAssociation.open(remote, [ProposedContext(STUDY_ROOT, PLAIN)]) as association:
        context = association.contexts[0]
        for number in range(runs):
            day = f"20{chance.randrange(15, 24)}{chance.randrange(1, 13):02}15"
            name = "".join(chance.choices(SYLLABLES, k=2)) + "*"
            keys = ({0x00080020: day, 0x00080061: "CT"}, {0x00100010: name}, {0x00080020: day})
            began = time.perf_counter()
            _ask(association, context, keys[number % len(keys)])
            seconds.append(time.perf_counter() - began)
    return seconds


def _all(port: int, server: subprocess.Popen[bytes]) -> None:
    """Every study in one C-FIND."""
    from apps.network.associate_items import ProposedContext, Remote
    from apps.network.association import OutgoingAssociation
    from apps.network.scu import PLAIN

    remote = Remote("PACSWEB", "127.0.0.1", port, "BENCHMARK")
    before = _private(server.pid)
    with OutgoingAssociation.open(remote, [ProposedContext(STUDY_ROOT, PLAIN)]) as association:
        began = time.perf_counter()
        found = _ask(association, association.contexts[0], {})
        seconds = time.perf_counter() - began
        grown = _private(server.pid) - before
    print(f"all {found} studies in {seconds:.1f} s, {found / seconds:.0f} per s, "
          f"memory +{grown / (1 << 20):.1f} MiB")  # fmt: skip


def _private(parent: int) -> int:
    """Bytes the receiver's children hold for themselves."""
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    lines = [
        line
        for pid in children
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    ]
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Private_"))


def main() -> None:
    """Seeds, starts the receiver, measures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--studies", type=int, default=100_000)
    parser.add_argument("--runs", type=int, default=60)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="pacsweb-find-") as folder:
        port = free_port()
        redis = TcpRedis(Path(folder) / "redis")
        redis.start()
        environment = {
            "PACSWEB_REDIS_URL": redis.url,
            "PACSWEB_DATA_DIR": folder,
            "PACSWEB_DICOM_PORT": str(port),
            "PACSWEB_BIND": "127.0.0.1",
        }
        os.environ.update(environment, DJANGO_SETTINGS_MODULE="pacsweb.settings")
        import django

        django.setup()
        from django.core.management import call_command

        from benchmarks.query_100k import _connect, seed

        _connect(f"sqlite:///{folder}/pacsweb.sqlite3")
        call_command("migrate", verbosity=0)
        seed(0, options.studies)
        server = subprocess.Popen([sys.executable, "manage.py", "dimse"], cwd=ROOT)
        try:
            time.sleep(4)
            for clients in (1, 8):
                with multiprocessing.get_context("spawn").Pool(clients) as pool:
                    work = [(port, number, options.runs) for number in range(clients)]
                    taken = sorted(each for times in pool.starmap(_client, work) for each in times)
                p50, p95 = statistics.median(taken), taken[int(len(taken) * 0.95)]
                print(f"{clients} client(s): p50 {p50 * 1000:.1f} ms, p95 {p95 * 1000:.1f} ms")
            _all(port, server)
        finally:
            server.terminate()
            server.wait()
            redis.stop()


if __name__ == "__main__":
    main()
