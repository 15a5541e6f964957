"""The script behind the two lines of the README."""

from __future__ import annotations

import ast
import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

REPOSITORY = Path(__file__).resolve().parents[3]
SCRIPT = REPOSITORY / "bootstrap.py"
LINES = ("bootstrap.py demo", "bootstrap.py test")


@pytest.fixture
def bootstrap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script as a module whose checkout is an empty folder with a space in its name."""
    specification = importlib.util.spec_from_file_location("bootstrap", SCRIPT)
    assert specification is not None and specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    root = tmp_path / "a check out"
    root.mkdir()
    for name, path in {
        "ROOT": root,
        "ENVIRONMENT": root / ".venv",
        "STAMP": root / ".venv" / "stamp.json",
        "PROJECT": root / "pyproject.toml",
        "CONSTRAINTS": root / "constraints.txt",
    }.items():
        monkeypatch.setattr(module, name, path)
    module.PROJECT.write_text("[project]\n", encoding="utf-8")
    module.CONSTRAINTS.write_text("torch==1.0\n", encoding="utf-8")
    return module


def call(*words: str) -> subprocess.CompletedProcess[str]:
    """Start the script as a person would."""
    return subprocess.run(
        [sys.executable, str(SCRIPT), *words], capture_output=True, text=True, check=False
    )


def test_readme_and_ci_run_the_same_lines() -> None:
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    blocks = "\n".join(re.findall(r"^```\w*\n(.*?)^```", readme, flags=re.DOTALL | re.MULTILINE))
    ci = (REPOSITORY / ".ci" / "run").read_text(encoding="utf-8")
    for line in LINES:
        assert re.search(rf"^python {re.escape(line)}$", blocks, flags=re.MULTILINE)
        assert re.search(rf"^python3 {re.escape(line)}\b", ci, flags=re.MULTILINE)


def test_an_older_python_can_say_that_it_is_too_old() -> None:
    """Python 3.6 parses the file and meets the check before anything it does not have."""
    tree = ast.parse(SCRIPT.read_text(encoding="utf-8"), feature_version=(3, 6))
    first = [type(node) for node in tree.body[:4]]
    assert first == [ast.Expr, ast.Import, ast.Assign, ast.If]
    check = tree.body[3]
    assert isinstance(check, ast.If)
    assert ast.unparse(check.test) == "sys.version_info < OLDEST_PYTHON"
    assert "__future__" not in SCRIPT.read_text(encoding="utf-8")


def test_help_explains_both_jobs() -> None:
    answer = call("--help")
    assert answer.returncode == 0
    assert all(line in answer.stdout for line in LINES)


@pytest.mark.parametrize("words", [(), ("install",), ("demo", "more")])
def test_wrong_words_end_with_code_2(words: tuple[str, ...]) -> None:
    answer = call(*words)
    assert answer.returncode == 2
    assert "bootstrap.py: error:" in answer.stderr


def test_environment_is_made_in_a_path_with_spaces_and_recognised(bootstrap: ModuleType) -> None:
    assert not bootstrap.environment_works()
    bootstrap.create_environment()
    assert bootstrap.environment_works()
    assert bootstrap.run([bootstrap.in_environment("python"), "-c", "raise SystemExit(7)"]) == 7
    utf8 = [bootstrap.in_environment("python"), "-c", "import sys; sys.exit(sys.flags.utf8_mode)"]
    assert bootstrap.run(utf8) == 1
    with pytest.raises(bootstrap.BootstrapError, match="could not be installed") as caught:
        bootstrap.pip_install("--no-index", "med2e3-no-such-package")
    assert caught.value.exit_code == 1
    Path(bootstrap.in_environment("python")).unlink()
    assert not bootstrap.environment_works()


def test_a_failed_setup_leaves_no_stamp_and_a_sentence(
    bootstrap: ModuleType, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a package index the first pip call fails; the next start must try again."""
    for name, value in {
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(bootstrap.ROOT),
        "PIP_CONFIG_FILE": str(bootstrap.ROOT / "none"),
    }.items():
        monkeypatch.setenv(name, value)
    assert bootstrap.main(["demo"]) == 1
    assert "The packages could not be installed." in capsys.readouterr().out
    assert not bootstrap.STAMP.exists()
    assert bootstrap.installed_state() == ({}, set())


def test_requirements_decide_whether_an_environment_fits(bootstrap: ModuleType) -> None:
    before = bootstrap.wanted_state()
    bootstrap.CONSTRAINTS.write_bytes(b"torch==1.0\r\n")
    assert bootstrap.wanted_state() == before, "line ends of a Windows checkout do not matter"
    bootstrap.CONSTRAINTS.write_text("torch==2.0\n", encoding="utf-8")
    assert bootstrap.wanted_state() != before


def test_a_damaged_stamp_counts_as_none(bootstrap: ModuleType) -> None:
    bootstrap.ENVIRONMENT.mkdir()
    for text in ("", "[]", "null", '{"state": 1, "extras": []}', '{"extras": ["dev"]}'):
        bootstrap.STAMP.write_text(text, encoding="utf-8")
        assert bootstrap.installed_state() == ({}, set())
