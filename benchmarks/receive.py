"""C-STORE against Debian's Orthanc, interleaved in one run; prints figures and ratios.

    python benchmarks/receive.py [--rounds N] [--only ct,tiny,nagle,large]

Both acknowledge only what is synchronised to disk. Absolute figures move with the machine's other
load: read the ratios. "until searchable" ends when every instance is found in the database.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "pacsweb.settings")

from benchmarks.receive_sender import Template, send, send_large
from benchmarks.receive_targets import (
    MemoryWatch,
    Orthanc,
    Pacsweb,
    Target,
    processor_seconds,
)

CORPUS = Path(
    os.environ.get(
        "PACSWEB_TEST_CORPUS", str(Path(__file__).resolve().parents[2] / "shared" / "corpus")
    )
)
Figures = dict[str, dict[str, list[float]]]


@dataclass(frozen=True)
class Load:
    """What is sent: `count` instances made from a template."""

    label: str
    template: Template
    count: int


def stores(figures: Figures, target: Target, load: Load, many: int) -> None:
    """One series by `many` associations, until it is searchable."""
    count = load.count
    series = load.template.series(count)
    os.sync()
    cpu = processor_seconds(target)
    seconds, last = send(target.port, target.ae_title, series, many)
    while target.searchable(series.study_instance_uid) < count:
        assert time.monotonic() - last < 300, "not searchable"
        time.sleep(0.002)
    found = time.monotonic()
    time.sleep(0.3)
    cpu = processor_seconds(target) - cpu
    name = f"{load.label}, {many} assoc"
    figures[f"{name}: acknowledged per s"][target.name].append(count / seconds)
    figures[f"{name}: searchable per s"][target.name].append(count / (seconds + found - last))
    figures[f"{name}: last response to searchable, ms"][target.name].append((found - last) * 1000)
    figures[f"{name}: CPU per instance, ms"][target.name].append(cpu / count * 1000)


def nagle(figures: Figures, target: Target, template: Template, count: int) -> None:
    """Debian's storescu as it is, Nagle's algorithm on."""
    environment = {name: value for name, value in os.environ.items() if name != "TCP_NODELAY"}
    with tempfile.TemporaryDirectory() as folder:
        files = template.files(Path(folder), count)
        command = ["storescu", "-aec", target.ae_title, "127.0.0.1", str(target.port)]
        began = time.monotonic()
        subprocess.run([*command, *map(str, files)], check=True, env=environment)
        figures["storescu with Nagle: per s"][target.name].append(
            count / (time.monotonic() - began)
        )


def large(figures: Figures, target: Target, template: Template, megabytes: int) -> None:
    """Memory while one large object arrives."""
    watch = MemoryWatch(target)
    seconds = send_large(target.port, target.ae_title, template, megabytes)
    time.sleep(2)
    figures[f"{megabytes} MiB object: memory growth, MiB"][target.name].append(
        watch.growth() / (1 << 20)
    )
    figures[f"{megabytes} MiB object: MiB per s"][target.name].append(megabytes / seconds)


def report(figures: Figures, peer: str = "orthanc") -> None:
    """Medians, and pacsweb as a multiple of the peer."""
    print(f"{'':58}{'pacsweb':>10}{peer:>10}{'ratio':>8}   lowest..highest ratio")
    for name, by_target in figures.items():
        ours, theirs = by_target["pacsweb"], by_target[peer]
        mine, other = statistics.median(ours), statistics.median(theirs)
        pairs = sorted(a / b for a, b in zip(ours, theirs, strict=True) if b)
        spread = f"{pairs[0]:.2f}..{pairs[-1]:.2f}" if pairs else ""
        ratio = f"{mine / other:.2f}" if other else "-"
        print(f"{name:58}{mine:10.1f}{other:10.1f}{ratio:>8}   {spread}")


def options() -> argparse.Namespace:
    """What to measure, and how often."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="ct,tiny,nagle,large")
    parser.add_argument("--ct", type=int, default=500)
    parser.add_argument("--tiny", type=int, default=5000)
    parser.add_argument("--megabytes", type=int, default=1024)
    return parser.parse_args()


def one_turn(figures: Figures, target: Target, loads: list[Load], only: set[str]) -> None:
    """Everything once, for one of the two."""
    for many in (1, 4):
        for load in loads:
            if load.label.lower() in only:
                stores(figures, target, load, many)
    if "nagle" in only:
        nagle(figures, target, loads[0].template, 100)


def main() -> None:
    """Starts both, takes turns, reports."""
    chosen = options()
    only = set(chosen.only.split(","))
    slices = CORPUS / "dicom" / "series-ct-head"
    loads = [
        Load("CT", Template(slices), chosen.ct),
        Load("tiny", Template(slices, pixels=48), chosen.tiny),
    ]
    sizes = ", ".join(f"{load.label} {load.template.size} bytes" for load in loads)
    print(f"{sizes}; load {os.getloadavg()[0]:.1f}")
    figures: Figures = defaultdict(lambda: defaultdict(list))
    targets: list[Target] = [Pacsweb(), Orthanc()]
    try:
        for target in targets:
            target.start()
            warm_up = Load("warm-up", loads[0].template, 50)
            stores(defaultdict(lambda: defaultdict(list)), target, warm_up, 2)
        for number in range(chosen.rounds):
            for target in targets if number % 2 else targets[::-1]:
                one_turn(figures, target, loads, only)
        for target in targets if "large" in only else []:
            large(figures, target, loads[0].template, chosen.megabytes)
    finally:
        for target in targets:
            target.stop()
        report(figures)


if __name__ == "__main__":
    if shutil.which("Orthanc") is None or shutil.which("storescu") is None:
        sys.exit("This benchmark needs Orthanc and DCMTK's storescu on the PATH.")
    main()
