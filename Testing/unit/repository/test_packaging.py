"""What is shipped: the wheel, Slicer's file lists, pinned versions and the changelog."""

from __future__ import annotations

import ast
import importlib.util
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from types import ModuleType

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import med2e3

REPOSITORY = Path(__file__).resolve().parents[3]
MODULE = REPOSITORY / "Med2E3Slicer"
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))


def files_below(folder: Path) -> set[str]:
    """Relative paths of the files that belong to a folder of the repository."""
    return {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and not path.name.startswith(".")
    }


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout, built without a network."""
    folder = tmp_path_factory.mktemp("wheel with a space")
    answer = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stdout + answer.stderr
    (built,) = folder.glob("*.whl")
    return built


def test_wheel_holds_the_package_its_data_and_the_models(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    wanted = {f"med2e3/{name}" for name in files_below(MODULE / "Logic" / "med2e3")}
    wanted |= {
        f"med2e3/_embedded_models/{name}" for name in files_below(MODULE / "Resources" / "Models")
    }
    assert wanted <= names
    assert any(name.endswith(".schema.json") for name in names)


def test_wheel_holds_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    information = f"med2e3-{med2e3.__version__}.dist-info/"
    assert all(name.startswith(("med2e3/", information)) for name in names)
    assert f"{information}licenses/LICENSE" in names


def test_unpacked_wheel_works_without_the_checkout(wheel: Path, tmp_path: Path) -> None:
    """Data files are found beside the installed modules, not beside the sources."""
    zipfile.ZipFile(wheel).extractall(tmp_path)
    code = (
        "import med2e3, med2e3.record as r, med2e3.weights as w; r.schema(); w.load_catalogue();"
        "print(med2e3.__file__); print(w.resolve_model(w.EMBEDDED_NAME))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=dict(os.environ, PYTHONPATH=str(tmp_path)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr
    for found in answer.stdout.splitlines():
        assert Path(found).is_relative_to(tmp_path)


@pytest.fixture(scope="module")
def lists() -> ModuleType:
    """The script that keeps Slicer's file lists."""
    path = REPOSITORY / "Testing" / "tools" / "update_cmake_lists.py"
    specification = importlib.util.spec_from_file_location("update_cmake_lists", path)
    assert specification is not None and specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def test_slicer_packages_every_file_of_the_module(lists: ModuleType) -> None:
    text = lists.CMAKE_FILE.read_text(encoding="utf-8")
    listed = (lists.listed_files(lists.SCRIPTS, text), lists.listed_files(lists.RESOURCES, text))
    assert listed == lists.module_files(), "run: python Testing/tools/update_cmake_lists.py"


def test_cmake_lists_follow_the_folder(lists: ModuleType, tmp_path: Path) -> None:
    for name in ("M.py", "Logic/a/b.py", "Logic/a/c.json", "Resources/x y.png", "CMakeLists.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    for name in ("Resources/.gitkeep", "Logic/a/__pycache__/b.pyc"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    files = lists.module_files(tmp_path)
    assert files == (["Logic/a/b.py", "M.py"], ["Logic/a/c.json", "Resources/x y.png"])
    old = f"# head\nset({lists.SCRIPTS}\n  )\nset({lists.RESOURCES}\n  gone.txt\n  )\n# tail\n"
    new = lists.with_lists(old, *files)
    assert lists.listed_files(lists.SCRIPTS, new) == files[0]
    assert lists.listed_files(lists.RESOURCES, new) == files[1]
    assert new.startswith("# head\n") and new.endswith("  )\n# tail\n")
    assert lists.with_lists(new, *files) == new


def test_every_requirement_has_a_tested_version() -> None:
    pins = {}
    for line in (REPOSITORY / "constraints.txt").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            name, version = line.split("==")
            pins[canonicalize_name(name)] = version
    tables = [PROJECT["project"]["dependencies"], PROJECT["build-system"]["requires"]]
    tables += PROJECT["project"]["optional-dependencies"].values()
    for text in (text for table in tables for text in table):
        requirement = Requirement(text)
        version = pins.get(canonicalize_name(requirement.name))
        assert version is not None, f"{requirement.name} is not in constraints.txt"
        assert requirement.specifier.contains(version), f"{text} against {version}"


#: packages whose import has another name
DISTRIBUTIONS = {"PIL": "pillow", "yaml": "pyyaml"}


def packages_imported(tree: ast.AST) -> set[str]:
    """Names of the packages outside the standard library that a piece of a module imports."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            found.add(node.module.partition(".")[0])
    foreign = found - sys.stdlib_module_names - {"med2e3"}
    return {str(canonicalize_name(DISTRIBUTIONS.get(name, name))) for name in foreign}


def test_every_imported_package_is_required() -> None:
    """A package that only happens to be installed is missing on a fresh machine.

    What an extra brings may be imported inside a function only, where its absence can be said.
    """
    required, extra = (
        {canonicalize_name(Requirement(text).name) for text in texts}
        for texts in (
            PROJECT["project"]["dependencies"],
            [t for v in PROJECT["project"]["optional-dependencies"].values() for t in v],
        )
    )
    for path in (MODULE / "Logic" / "med2e3").rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        inside = [
            n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)
        ]
        late = set().union(*map(packages_imported, inside))
        for function in inside:
            function.body = [ast.Pass()]
        assert packages_imported(tree) <= required, path.name
        assert late <= required | extra, path.name


def test_changelog_tells_of_this_version() -> None:
    changelog = (REPOSITORY / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(rf"^## \[{re.escape(med2e3.__version__)}\]", changelog, flags=re.MULTILINE)


def test_citation_names_this_version() -> None:
    citation = (REPOSITORY / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\nversion: {med2e3.__version__}\n" in citation


def test_slicer_module_is_valid_python() -> None:
    source = (MODULE / "Med2E3Slicer.py").read_text(encoding="utf-8")
    compile(source, "Med2E3Slicer.py", "exec")
