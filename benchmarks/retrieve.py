"""C-MOVE and C-GET of a CT series against Orthanc and DCMTK's dcmqrscp, interleaved in one run.

    python benchmarks/retrieve.py [--rounds N] [--ct N] [--pdu BYTES]

The destination is DCMTK's storescp, the C-GET client its getscu; both throw away what they get.
All of them run with TCP_NODELAY set, without which Orthanc sends a tenth as fast. dcmqrscp forks
for each association, so the processor time of what it sends is not seen and not told.
Read the ratios: absolute figures move with the machine's other load.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "pacsweb.settings")

from benchmarks.receive import CORPUS, Figures, report
from benchmarks.receive_sender import Template, send
from benchmarks.receive_targets import Dcmqrscp, Orthanc, Pacsweb, Target, processor_seconds
from tests.servers import free_port

SINK = "SINK"
Targets = list[Target]


def measure(
    figures: Figures, target: Target, study: str, *, count: int, name: str, command: tuple[str, ...]
) -> None:
    """One retrieval by one of DCMTK's clients, from its start to its end."""
    cpu = processor_seconds(target)
    began = time.monotonic()
    done = subprocess.run(
        [
            *command,
            "-S",
            "-aec",
            target.ae_title,
            "-k",
            "QueryRetrieveLevel=STUDY",
            "-k",
            f"StudyInstanceUID={study}",
            "127.0.0.1",
            str(target.port),
        ],
        check=False,
        capture_output=True,
        text=True,
        env=os.environ | {"TCP_NODELAY": "1"},
        timeout=120,
    )
    seconds = time.monotonic() - began
    assert done.returncode == 0, done.stdout + done.stderr
    time.sleep(0.2)
    cpu = processor_seconds(target) - cpu
    figures[f"{name}: per s"][target.name].append(count / seconds)
    figures[f"{name}: CPU per instance, ms"][target.name].append(cpu / count * 1000)


def main() -> None:
    """Starts both, stores the same series in each, takes turns."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--ct", type=int, default=500)
    parser.add_argument("--pdu", type=int, default=131072)
    chosen = parser.parse_args()
    sink = free_port()
    pacsweb, orthanc = Pacsweb(), Orthanc(modalities={SINK: (SINK, "127.0.0.1", sink)})
    dcmqrscp = Dcmqrscp({SINK: (SINK, "127.0.0.1", sink)})
    targets: Targets = [pacsweb, orthanc, dcmqrscp]
    receiver = subprocess.Popen(
        ["storescp", "--ignore", "-aet", SINK, "-pdu", str(chosen.pdu), str(sink)],
        env=os.environ | {"TCP_NODELAY": "1"},
    )
    figures: Figures = defaultdict(lambda: defaultdict(list))
    try:
        studies = {}
        template = Template(CORPUS / "dicom" / "series-ct-head")
        for target in targets:
            target.start()
            series = template.series(chosen.ct)
            send(target.port, target.ae_title, series, 1)
            while target.searchable(series.study_instance_uid) < chosen.ct:
                time.sleep(0.05)
            studies[target.name] = series.study_instance_uid
        pacsweb.manage("ae", "add", SINK, "127.0.0.1", str(sink))
        move = ("movescu", "-aem", SINK)
        get = ("getscu", "--ignore", "-pdu", str(chosen.pdu))
        for _ in range(chosen.rounds):
            for target in targets:
                study = studies[target.name]
                measure(figures, target, study, count=chosen.ct, name="C-MOVE", command=move)
                measure(figures, target, study, count=chosen.ct, name="C-GET", command=get)
    finally:
        receiver.terminate()
        for target in targets:
            target.stop()
    report(figures)
    print()
    report({name: found for name, found in figures.items() if "CPU" not in name}, "dcmqrscp")


if __name__ == "__main__":
    main()
