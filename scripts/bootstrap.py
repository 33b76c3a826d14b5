"""From a clone to a working environment: `bootstrap.py runtime|development|frontend|run|...`.

Runs on any Python, so that a wrong one gets a sentence instead of a traceback: keep to syntax that
Python 2.7 and 3.0 can parse. Standard library only. Every failure is one plain sentence and exit
code 2. What is already done is skipped by stamps: a hash of the lock files for packages, a hash of
the sources for the front end.
"""

from __future__ import print_function

import hashlib
import os
import shutil
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
VENV = os.path.join(ROOT, ".venv")
FRONTEND = os.path.join(ROOT, "frontend")
BUILT = os.path.join(FRONTEND, "dist", "app")
NEEDED_PYTHON = (3, 11)
NEEDED_NODE = 20
# Newest first; the interpreter that runs this file is tried before any of them.
OTHER_PYTHONS = ["python3.13", "python3.12", "python3.11", "python3.14", "python3"]


class Refusal(Exception):
    """Something the person has to change; the message says what, in one sentence."""


def output_of(command):
    """What the command prints, or an empty text when it cannot run."""
    try:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    except OSError:
        return ""
    text = process.communicate()[0].decode("utf-8", "replace").strip()
    return text if process.returncode == 0 else ""


def find(name):
    """The path of a program, or None."""
    for folder in os.environ.get("PATH", "").split(os.pathsep):
        path = os.path.join(folder, name)
        if os.path.isfile(path) and os.access(path, os.X_OK):
            return path
    return None


def python_version(command):
    """(major, minor) of an interpreter, (0, 0) when it does not run."""
    text = output_of([command, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"])
    try:
        return tuple(int(part) for part in text.split("."))
    except ValueError:
        return (0, 0)


def find_python():
    """An interpreter that is new enough."""
    given = os.environ.get("PACSWEB_PYTHON", "")
    candidates = [given] if given else [sys.executable] + OTHER_PYTHONS
    for command in candidates:
        if command and python_version(command) >= NEEDED_PYTHON:
            return command
    found = "%d.%d" % (python_version(given) if given else sys.version_info[:2])
    raise Refusal("pacsweb needs Python 3.11 or newer, and this is Python %s." % found)


def venv_python():
    return os.path.join(VENV, "bin", "python")


def digest_of(paths):
    """One hash over names and contents."""
    total = hashlib.sha256()
    for path in sorted(paths):
        total.update(os.path.relpath(path, ROOT).encode("utf-8") + b"\0")
        with open(path, "rb") as handle:
            total.update(handle.read())
        total.update(b"\0")
    return total.hexdigest()


def read(path):
    if not os.path.isfile(path):
        return ""
    with open(path) as handle:
        return handle.read()


def write(path, text):
    with open(path, "w") as handle:
        handle.write(text)


def make_venv():
    """`.venv` with an interpreter that is new enough."""
    if python_version(venv_python()) >= NEEDED_PYTHON:
        return
    python = find_python()
    print("Making the virtual environment .venv ...")
    sys.stdout.flush()
    shutil.rmtree(VENV, ignore_errors=True)
    try:
        process = subprocess.Popen(
            [python, "-m", "venv", VENV], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
    except OSError:
        raise Refusal("The Python interpreter %s cannot be started." % python)
    said = process.communicate()[0].decode("utf-8", "replace")
    if process.returncode:
        shutil.rmtree(VENV, ignore_errors=True)
        if "ensurepip" in said:
            raise Refusal(
                "Python's venv module is missing: install it (Debian, Ubuntu: python3-venv)."
            )
        raise Refusal("The folder .venv cannot be made in %s: %s" % (ROOT, last_line(said)))


def last_line(text):
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1].strip() if lines else "no reason given"


def install(kind):
    """Installs `requirements/KIND.lock` with hashes, unless its stamp says it is there."""
    make_venv()
    # The development lock contains the runtime lock, so either satisfies `runtime`.
    stamp_of = {
        name: digest_of([os.path.join(ROOT, "requirements", name + ".lock")])
        for name in ("runtime", "development")
    }
    stamp_path = os.path.join(VENV, ".pacsweb-installed")
    stamped = dict(line.split(" ", 1) for line in read(stamp_path).splitlines() if " " in line)
    if stamped.get(kind) == stamp_of[kind]:
        return
    print("Installing packages (%s) ..." % kind)
    sys.stdout.flush()
    lock = os.path.join(ROOT, "requirements", kind + ".lock")
    command = [venv_python(), "-m", "pip", "install", "-qq", "--no-input"]
    # The lock names every package: resolving anew would trip over a package asked for by an extra
    # as soon as a newer release of it appears.
    command += ["--disable-pip-version-check", "--require-hashes", "--no-deps"]
    command += ["--requirement", lock]
    if subprocess.call(command, cwd=ROOT):
        raise Refusal("The packages of requirements/%s.lock could not be installed." % kind)
    kinds = ["runtime"] if kind == "runtime" else ["runtime", "development"]
    write(stamp_path, "".join("%s %s\n" % (name, stamp_of[name]) for name in kinds))


def check_node():
    """Node and npm, new enough; called before anything is installed."""
    if not os.path.isfile(os.path.join(FRONTEND, "package.json")):
        return
    node = find("node")
    if not node:
        raise Refusal("pacsweb needs Node.js 20 or newer to build its pages, and found none.")
    version = output_of([node, "--version"]).lstrip("v")
    if not version or int(version.split(".")[0]) < NEEDED_NODE:
        raise Refusal("pacsweb needs Node.js 20 or newer, and this is %s." % (version or "broken"))
    if not find("npm"):
        raise Refusal("pacsweb needs npm beside Node.js to build its pages, and found none.")


def frontend_sources():
    """Every file the build reads; what npm or the build made is left out."""
    found = []
    for folder, folders, files in os.walk(FRONTEND):
        folders[:] = [
            name
            for name in folders
            if name not in ("node_modules", "dist", "coverage") and not name.startswith(".")
        ]
        found += [os.path.join(folder, name) for name in files if not name.startswith(".")]
    return found


def npm(arguments, failure):
    """Quiet when it works, everything it said when it does not."""
    process = subprocess.Popen(
        [find("npm")] + arguments, cwd=FRONTEND, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    said = process.communicate()[0].decode("utf-8", "replace")
    if process.returncode:
        sys.stderr.write(said)
        raise Refusal(failure)


def npm_install():
    """`npm ci`, unless node_modules came from the same lock file."""
    lock = digest_of(os.path.join(FRONTEND, name) for name in ("package.json", "package-lock.json"))
    stamp = os.path.join(FRONTEND, "node_modules", ".pacsweb-installed")
    if read(stamp) == lock:
        return
    print("Installing the front end's packages ...")
    sys.stdout.flush()
    npm(
        ["ci", "--no-audit", "--no-fund", "--loglevel=error"],
        "The front end's packages could not be installed.",
    )
    write(stamp, lock)


def build_frontend():
    """Builds the front end into `frontend/dist/app`, unless its sources are unchanged."""
    if not os.path.isfile(os.path.join(FRONTEND, "package.json")):
        return
    state = digest_of(frontend_sources())
    stamp = os.path.join(FRONTEND, "dist", "app.stamp")
    if read(stamp) == state and os.path.isdir(BUILT):
        return
    check_node()
    npm_install()
    print("Building the front end ...")
    sys.stdout.flush()
    npm(["run", "--silent", "build"], "The front end could not be built.")
    write(stamp, state)


def frontend_is_built():
    if not os.path.isfile(os.path.join(FRONTEND, "package.json")):
        return True
    stamp = os.path.join(FRONTEND, "dist", "app.stamp")
    return os.path.isdir(BUILT) and read(stamp) == digest_of(frontend_sources())


def prepare(kind):
    """Checks first, then installs and builds."""
    if python_version(venv_python()) < NEEDED_PYTHON:
        find_python()
    if not frontend_is_built():
        check_node()
    install(kind)
    build_frontend()
    if kind == "development" and os.path.isfile(os.path.join(FRONTEND, "package.json")):
        check_node()
        npm_install()  # linters and tests need the packages even when the build is unchanged


def run(arguments):
    """Prepares, then becomes `manage.py serve`."""
    prepare("runtime")
    python = venv_python()
    os.execv(python, [python, os.path.join(ROOT, "manage.py"), "serve"] + arguments)


def main(arguments):
    steps = {
        "runtime": lambda: prepare("runtime"),
        "development": lambda: prepare("development"),
        "venv-runtime": lambda: install("runtime"),
        "venv-development": lambda: install("development"),
        "frontend": build_frontend,
        "node-modules": npm_install,
        "run": lambda: run(arguments[1:]),
    }
    if not arguments or arguments[0] not in steps:
        raise Refusal("bootstrap.py knows these steps: %s." % ", ".join(sorted(steps)))
    steps[arguments[0]]()


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except Refusal as refusal:
        print(str(refusal), file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
