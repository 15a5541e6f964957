"""Set up everything this checkout needs, then run its demonstration or its tests.

This script knows how the private Python environment ``.venv`` is made and which commands make up
the two jobs.  It does not know what those commands do.  It needs Python 3.11 or newer and nothing
besides; older Pythons can still parse it, so that they can say so.
"""

import sys

OLDEST_PYTHON = (3, 11)

if sys.version_info < OLDEST_PYTHON:
    sys.exit(
        "Med2E3Slicer needs Python 3.11 or newer; this one is Python {}.{}. "
        "Install a newer one from https://www.python.org and start this script with it.".format(
            *sys.version_info[:2]
        )
    )

import argparse
import hashlib
import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent
ENVIRONMENT = ROOT / ".venv"
STAMP = ENVIRONMENT / "med2e3-setup.json"
CONSTRAINTS = ROOT / "constraints.txt"
PROJECT = ROOT / "pyproject.toml"
RESULTS = ROOT / "results"

#: packages that build the project itself; their versions come from the constraints, too
BUILD_PACKAGES = ("hatchling", "editables")

QUESTIONS = Path("docs", "examples", "chest-questions.json")

HELP = """\
Sets up what is needed (once) in the folder .venv of this checkout, then runs one job:

  python bootstrap.py demo   a report of a real chest CT and answers; writes results/chest.*
  python bootstrap.py test   checks style and types, then runs the tests

The set-up downloads packages with pip and is repeated only when pyproject.toml or
constraints.txt changed. Everything after it works without a network. Words after "test" are
handed to pytest, for example: python bootstrap.py test Testing/unit -k volume
"""

HELP_END = """\
pip's own settings apply, for example HTTPS_PROXY behind a proxy. On a Linux computer without an
NVIDIA GPU a much smaller download of PyTorch does; set this variable before the first run:
  PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu
"""


class BootstrapError(Exception):
    """A sentence for a person, and the exit code that goes with it."""

    def __init__(self, sentence: str, exit_code: int = 1) -> None:
        super().__init__(sentence)
        self.exit_code = exit_code


def say(text: str) -> None:
    """Print a line of our own, told apart from what the commands print."""
    print(f"[med2e3] {text}", flush=True)


def in_environment(program: str) -> str:
    """Path of a program of the private environment (``python``, ``med2e3``)."""
    if os.name == "nt":
        return str(ENVIRONMENT / "Scripts" / f"{program}.exe")
    return str(ENVIRONMENT / "bin" / program)


def child_settings() -> dict[str, str]:
    """Environment variables for every command: UTF-8, and no packages from elsewhere."""
    settings = dict(os.environ)
    for name in ("PYTHONHOME", "PYTHONPATH", "PIP_TARGET", "PIP_PREFIX"):
        settings.pop(name, None)
    settings.update(PYTHONUTF8="1", PYTHONNOUSERSITE="1", PYTHONUNBUFFERED="1", PIP_USER="0")
    settings["VIRTUAL_ENV"] = str(ENVIRONMENT)
    programs = str(Path(in_environment("python")).parent)
    settings["PATH"] = programs + os.pathsep + settings.get("PATH", os.defpath)
    return settings


def run(command: Sequence[str]) -> int:
    """Run a command in the checkout; its output goes straight to the terminal."""
    return subprocess.run(command, cwd=ROOT, env=child_settings(), check=False).returncode


def wanted_state() -> dict[str, str]:
    """What an installed environment must have been made from to be used as it is."""
    digest = hashlib.sha256()
    for file in (PROJECT, CONSTRAINTS):
        digest.update(file.read_bytes().replace(b"\r\n", b"\n"))
    return {
        "python": ".".join(map(str, sys.version_info[:3])),
        "checkout": str(ROOT),
        "requirements": digest.hexdigest(),
    }


def installed_state() -> tuple[dict[str, str], set[str]]:
    """What the environment was made from, and the extras it holds; empty if never completed."""
    try:
        stamp = json.loads(STAMP.read_text(encoding="utf-8"))
        return dict(stamp["state"]), set(stamp["extras"])
    except (OSError, ValueError, KeyError, TypeError):
        return {}, set()


def environment_works() -> bool:
    """Whether the private environment starts, has this Python's version, and has pip."""
    question = "import pip, sys; print(*sys.version_info[:3], sep='.')"
    try:
        answer = subprocess.run(
            [in_environment("python"), "-c", question],
            env=child_settings(),
            check=False,
            capture_output=True,
            text=True,
        )
    except OSError:
        return False
    return answer.returncode == 0 and answer.stdout.strip() == wanted_state()["python"]


def create_environment() -> None:
    """Make ``.venv`` anew with the Python that runs this script."""
    say(f"Creating the environment .venv with Python {wanted_state()['python']}")
    command = [sys.executable, "-m", "venv", "--clear", str(ENVIRONMENT)]
    if subprocess.run(command, cwd=ROOT, check=False).returncode != 0:
        raise BootstrapError(
            "The environment .venv could not be created; the message above says why. "
            "On Debian and Ubuntu install the package python3-venv first; on Windows close "
            "programs that use the folder .venv."
        )


def pip_install(*arguments: str) -> None:
    """Install packages into the private environment in the versions of the constraints."""
    pip = [in_environment("python"), "-m", "pip", "--disable-pip-version-check", "--no-input"]
    amount = [] if sys.stdout.isatty() else ["--quiet"]  # a progress bar only for a person
    code = run([*pip, "install", *amount, "--constraint", str(CONSTRAINTS), *arguments])
    if code == 0:
        return
    hint = (
        "pip's message above says why. Most often the package index cannot be reached (behind a "
        "proxy set HTTPS_PROXY) or the disk is full. Then start the same line again; "
        "packages that were downloaded completely are kept."
    )
    if os.name == "nt":
        hint += " If a file name was too long, move this folder to a shorter path such as C:\\m."
    raise BootstrapError(f"The packages could not be installed. {hint}", code)


def set_up(extra: str) -> None:
    """Bring ``.venv`` to the state that ``extra`` (``demo`` or ``dev``) needs."""
    state, extras = installed_state()
    wanted = wanted_state()
    if not environment_works() or (state and state["checkout"] != wanted["checkout"]):
        create_environment()
        state, extras = {}, set()
    if state == wanted and extra in extras:
        say("The environment .venv is ready")
        return
    if state != wanted:
        extras = set()
    extras.add(extra)
    STAMP.unlink(missing_ok=True)
    say("Installing the packages into .venv (the first time this takes several minutes)")
    pip_install(*BUILD_PACKAGES)
    pip_install("--no-build-isolation", "--editable", f".[{','.join(sorted(extras))}]")
    stamp = {"state": wanted, "extras": sorted(extras)}
    STAMP.write_text(json.dumps(stamp, indent=1) + "\n", encoding="utf-8")


def chest_ct() -> str:
    """Path of the real chest CT that the package ``slicerio`` ships."""
    question = (
        "import importlib.resources as r; print(r.files('slicerio') / 'data' / 'CTChest4.nrrd')"
    )
    answer = subprocess.run(
        [in_environment("python"), "-c", question],
        env=child_settings(),
        check=False,
        capture_output=True,
        encoding="utf-8",
    )
    path = answer.stdout.strip()
    if answer.returncode != 0 or not Path(path).is_file():
        raise BootstrapError(
            "The chest CT of the package slicerio was not found in .venv. "
            "Delete the folder .venv and start the same line again."
        )
    return path


def demo() -> int:
    """Report and answer questions about the chest CT, and say where the results are."""
    set_up("demo")
    volume = chest_ct()
    RESULTS.mkdir(exist_ok=True)
    outputs = {kind: RESULTS / f"chest.{kind}" for kind in ("json", "png", "csv")}
    for path in outputs.values():
        path.unlink(missing_ok=True)  # so that an old result never passes for a new one
    command = [in_environment("med2e3"), "report", volume, "--questions", str(QUESTIONS)]
    command += ["--json", str(outputs["json"]), "--figure", str(outputs["png"])]
    command += ["--csv", str(outputs["csv"]), "--max-new-tokens", "48"]
    say(f"med2e3 report CTChest4.nrrd --questions {QUESTIONS.as_posix()} --max-new-tokens 48")
    code = run(command)
    if code != 0:
        return code
    missing = [path.name for path in outputs.values() if not path.is_file()]
    if missing:
        raise BootstrapError(f"The demonstration ended without writing {', '.join(missing)}.")
    say("The results are in")
    for path in outputs.values():
        say(f"  {path}")
    return 0


def test(pytest_arguments: Sequence[str]) -> int:
    """Check style and types, run the tests; the first exit code that is not 0."""
    set_up("dev")
    python = in_environment("python")
    steps = {
        "ruff check": [python, "-m", "ruff", "check", "."],
        "ruff format": [python, "-m", "ruff", "format", "--check", "."],
        "mypy": [python, "-m", "mypy"],
        "pytest": [python, "-m", "pytest", *pytest_arguments],
    }
    failed = {}
    for name, command in steps.items():
        say(name)
        code = run(command)
        if code != 0:
            failed[name] = code
    if failed:
        say(f"Not passed: {', '.join(failed)}")
    return next(iter(failed.values()), 0)


def main(arguments: Sequence[str]) -> int:
    """Run the job that the arguments name and return its exit code."""
    parser = argparse.ArgumentParser(
        prog="python bootstrap.py",
        description=HELP,
        epilog=HELP_END,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        usage="python bootstrap.py {demo,test} ...",
        add_help=True,
    )
    parser.add_argument("job", choices=("demo", "test"), help="what to do")
    parser.add_argument("rest", nargs=argparse.REMAINDER, help="for test: arguments of pytest")
    chosen = parser.parse_args(arguments)
    if chosen.job == "demo" and chosen.rest:
        parser.error(f"demo takes no further words (got: {' '.join(chosen.rest)})")
    try:
        return demo() if chosen.job == "demo" else test(chosen.rest)
    except BootstrapError as error:
        say(str(error))
        return error.exit_code
    except KeyboardInterrupt:
        say("Stopped on request.")
        return 130


if __name__ == "__main__":
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    sys.exit(main(sys.argv[1:]))
