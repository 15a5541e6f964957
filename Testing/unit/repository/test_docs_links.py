"""Pages point to what exists, and the README's Python example is one that runs."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import SimpleITK

REPOSITORY = Path(__file__).resolve().parents[3]
PAGES = [
    *REPOSITORY.glob("*.md"),
    *(REPOSITORY / "docs").rglob("*.md"),
    *(REPOSITORY / "Med2E3Slicer" / "Resources").rglob("*.md"),
]


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.relative_to(REPOSITORY).as_posix())
def test_links_and_pictures_of_a_page_exist(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8"))
    for target in targets:
        if not target.startswith(("http://", "https://", "mailto:")):
            assert (page.parent / target).exists(), f"{page.name} points to {target}"


def test_the_python_example_of_the_readme_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    example = re.search(r"^```python\n(.*?)^```", readme, flags=re.DOTALL | re.MULTILINE)
    assert example is not None
    rng = np.random.default_rng(0)
    voxels = np.full((40, 64, 80), -1000, np.int16)
    voxels[:, 16:48, 16:64] = rng.integers(-50, 120, (40, 32, 48))
    image = SimpleITK.GetImageFromArray(voxels)
    image.SetSpacing((5.0, 5.0, 5.0))
    SimpleITK.WriteImage(image, tmp_path / "chest.nii.gz")
    monkeypatch.chdir(tmp_path)
    exec(compile(example[1], "README.md", "exec"), {"__name__": "readme"})
    printed = capsys.readouterr().out
    assert "'position_lps_mm'" in printed
    assert len(printed.splitlines()) >= 2
