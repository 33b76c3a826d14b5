"""Requirements, their locks and the document about them say the same, without a network."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest

from pacsweb.settings.environment import PROJECT_ROOT

FOLDER = PROJECT_ROOT / "requirements"
PIN = re.compile(r"^([A-Za-z0-9][\w.-]*)(?:\[[^\]]*\])?==([^\s;\\]+)", re.MULTILINE)


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def wanted(kind: str) -> set[str]:
    names = set()
    for line in (FOLDER / f"{kind}.in").read_text().splitlines():
        text = line.split("#")[0].strip()
        if text and not text.startswith("-"):
            names.add(canonical(re.split(r"[\[<>=~!; ]", text)[0]))
    return names


def pins(kind: str) -> dict[str, set[str]]:
    """Every pinned version per name; a marker may give one name two."""
    found: dict[str, set[str]] = {}
    for name, version in PIN.findall((FOLDER / f"{kind}.lock").read_text()):
        found.setdefault(canonical(name), set()).add(version)
    return found


@pytest.mark.parametrize("kind", ["runtime", "development"])
def test_every_requirement_is_locked(kind: str) -> None:
    assert wanted(kind) - set(pins(kind)) == set()


@pytest.mark.parametrize("kind", ["runtime", "development"])
def test_every_pin_carries_hashes(kind: str) -> None:
    blocks = re.split(r"(?m)^(?=[A-Za-z0-9])", (FOLDER / f"{kind}.lock").read_text())
    pinned = [block for block in blocks if PIN.match(block)]
    assert len(pinned) > 10
    assert [block.splitlines()[0] for block in pinned if "--hash=sha256:" not in block] == []


def test_the_lock_is_installed_as_it_stands_and_lacks_nothing() -> None:
    """Nothing is resolved at installation, so a newer release of anything cannot break it."""
    for text in ("scripts/bootstrap.py", "Dockerfile"):
        assert re.search(r"--require-hashes\W+--no-deps", (PROJECT_ROOT / text).read_text()), text
    check = subprocess.run(
        [sys.executable, "-m", "pip", "check"], capture_output=True, text=True, check=False
    )
    assert check.returncode == 0, check.stdout


def test_development_has_the_runtime_versions() -> None:
    development = pins("development")
    different = {
        name: (versions, development.get(name))
        for name, versions in pins("runtime").items()
        if not versions <= development.get(name, set())
    }
    assert different == {}


def test_nothing_is_locked_twice_without_a_marker() -> None:
    for kind in ("runtime", "development"):
        lines = [
            line.split(";")
            for line in (FOLDER / f"{kind}.lock").read_text().splitlines()
            if PIN.match(line)
        ]
        plain = [canonical(PIN.match(parts[0])[1]) for parts in lines if len(parts) == 1]  # type: ignore[index]
        assert len(plain) == len(set(plain))


def documented() -> set[str]:
    text = (PROJECT_ROOT / "docs" / "dependencies.md").read_text()
    rows = re.findall(r"(?m)^\| ([@\w./-]+) \|", text)
    return {canonical(name) for name in rows} - {"package", "-"}


def test_every_direct_dependency_has_its_reason() -> None:
    front_end = json.loads((PROJECT_ROOT / "frontend" / "package.json").read_text())
    names = {
        canonical(name) for name in [*front_end["dependencies"], *front_end["devDependencies"]]
    }
    direct = wanted("runtime") | wanted("development") | names
    assert documented() == direct


def test_the_front_end_is_locked() -> None:
    package = json.loads((PROJECT_ROOT / "frontend" / "package.json").read_text())
    lock = json.loads((PROJECT_ROOT / "frontend" / "package-lock.json").read_text())
    root = lock["packages"][""]
    for kind in ("dependencies", "devDependencies"):
        assert root[kind] == package[kind]
        for name, version in package[kind].items():
            assert re.fullmatch(r"\d+\.\d+\.\d+", version), f"{name} is not pinned"
            assert lock["packages"][f"node_modules/{name}"]["version"] == version
