"""What the whole tree must keep to."""

from __future__ import annotations

import ast
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import call_command

from pacsweb import configuration_document
from pacsweb.settings.environment import PROJECT_ROOT
from tests.architecture.tree import project_files, text_files

MODULE_LINES = 400
FUNCTION_LINES = 40
# Tables and generated code may be longer.
LONG_MODULES = {
    "apps/dicom/attributes.py",
    "apps/dicom/sop_classes.py",
    "apps/dicom/transfer_syntaxes.py",
    "apps/archive/models.py",
    # Everything that leans on private parts of pynetdicom stays in one file.
    "apps/dimse/fast_path.py",
}
VAGUE_NAMES = {"utils", "util", "helpers", "helper", "common", "manager", "base", "misc"}


def product_modules() -> list[Path]:
    return [
        path
        for path in project_files()
        if path.suffix == ".py"
        and path.relative_to(PROJECT_ROOT).parts[0] in {"apps", "pacsweb"}
        and "migrations" not in path.parts
    ]


def relative(path: Path) -> str:
    return path.relative_to(PROJECT_ROOT).as_posix()


def test_layers_and_single_doors_are_kept() -> None:
    outcome = subprocess.run(
        [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"],
        cwd=PROJECT_ROOT,
        check=False,
        capture_output=True,
        text=True,
    )
    assert outcome.returncode == 0, outcome.stdout


def test_every_app_is_installed() -> None:
    folders = {path.parent.name for path in (PROJECT_ROOT / "apps").glob("*/apps.py")}
    installed = {name.split(".")[1] for name in settings.INSTALLED_APPS if name.startswith("apps.")}
    assert folders == installed


@pytest.mark.django_db
def test_no_migration_is_missing() -> None:
    call_command("makemigrations", check=True, dry_run=True, verbosity=0)


def test_generated_documents_are_fresh() -> None:
    assert configuration_document.PATH.read_text() == configuration_document.document(), (
        "run `make docs`"
    )


def test_names_say_what_a_module_holds() -> None:
    assert [relative(path) for path in product_modules() if path.stem in VAGUE_NAMES] == []


def test_modules_are_short_enough_to_read() -> None:
    long = {
        relative(path)
        for path in product_modules()
        if len(path.read_text().splitlines()) > MODULE_LINES
    }
    assert long - LONG_MODULES == set()


def test_functions_are_short_enough_to_read() -> None:
    long = [
        f"{relative(path)}:{node.lineno} {node.name}"
        for path in product_modules()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or 0) - node.lineno + 1 > FUNCTION_LINES
    ]
    assert long == []


REGISTRIES = re.compile(
    "|".join(
        [
            r"pypi\.org/simple",
            r"files\.pythonhosted" + r"\.org",
            r"registry\.npmjs" + r"\.org",
            r"registry\.yarnpkg" + r"\.com",
            r"--(?:extra-)?index-url\s+\S",
        ]
    )
)


def test_no_file_names_a_package_registry() -> None:
    here = Path(__file__)
    found = [
        relative(path) for path, text in text_files() if path != here and REGISTRIES.search(text)
    ]
    assert found == []


MACHINE_PATH = re.compile(r"(?<![\w.<-])/(?:home/\w+|Users/\w+|root/\.\w+|work/(?:main|shared))/")


def test_no_file_names_a_path_of_somebodys_machine() -> None:
    here = Path(__file__)
    found = [
        f"{relative(path)}: {match[0]}"
        for path, text in text_files()
        if path != here
        for match in MACHINE_PATH.finditer(text)
    ]
    assert found == []


def test_the_bootstrap_can_be_parsed_by_a_python_it_refuses() -> None:
    """A wrong Python must get as far as the sentence that refuses it."""
    tree = ast.parse((PROJECT_ROOT / "scripts" / "bootstrap.py").read_text())
    too_new = (ast.JoinedStr, ast.AnnAssign, ast.NamedExpr, ast.AsyncFunctionDef, ast.Starred)
    for node in ast.walk(tree):
        assert not isinstance(node, too_new), f"line {node.lineno}"
        if isinstance(node, ast.FunctionDef):
            arguments = node.args
            assert not arguments.kwonlyargs, f"line {node.lineno}"
            assert not arguments.posonlyargs, f"line {node.lineno}"
            assert node.returns is None, f"line {node.lineno}"
            assert all(each.annotation is None for each in arguments.args), f"line {node.lineno}"
        if isinstance(node, ast.Raise):
            assert node.cause is None, f"line {node.lineno}"


VARIABLE = re.compile(r"\bPACSWEB_[A-Z0-9]+(?:_[A-Z0-9]+)*\b")
# Read by the bootstrap, by tests or by benchmarks, before or beside the product's settings.
OTHER_VARIABLES = re.compile(
    r"PACSWEB_(PYTHON|PROCESS|RUN_FOLDER|TEST_\w+|BENCHMARK_\w+|CRASH_\w+)$"
)


@pytest.mark.parametrize(
    "name", ["README.md", "docs/operations.md", "docker-compose.yml", "Dockerfile", ".env.example"]
)
def test_documents_name_only_variables_that_exist(name: str) -> None:
    known = set(VARIABLE.findall(configuration_document.document()))
    used = set(VARIABLE.findall((PROJECT_ROOT / name).read_text()))
    assert {each for each in used - known if not OTHER_VARIABLES.match(each)} == set()


def test_every_test_is_in_a_part_of_the_suite() -> None:
    """A folder that no part names would silently never be run, one in two parts be run twice."""
    parts = [
        part
        for part in runpy.run_path(str(PROJECT_ROOT / "scripts" / "run_tests.py"))["PARTS"]
        if "-m" not in part
    ]
    for path in sorted((PROJECT_ROOT / "tests").rglob("test_*.py")):
        name = relative(path)
        left_out = "--ignore="
        runs = [
            part
            for part in parts
            if any(name.startswith(f"{each}/") for each in part)
            and not any(name.startswith(f"{each.removeprefix(left_out)}/") for each in part[1:]
                        if each.startswith(left_out))
        ]  # fmt: skip
        assert len(runs) == 1, name
