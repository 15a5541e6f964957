"""Windows: what they are, what they do, and when they make no sense."""

from __future__ import annotations

import json

import numpy as np
import pytest

from med2e3.errors import InputError
from med2e3.volume import PRESETS, WINDOW_NAMES, Volume, parse_window, prepare

SIZE = (8, 16, 16)
AFFINE = np.diag([1.0, 1.0, 2.0, 1.0])


def ramp(low: float = -1024, high: float = 2000) -> np.ndarray:
    """All values between two bounds, in the model's size so that nothing is resampled."""
    return np.linspace(low, high, int(np.prod(SIZE))).reshape(SIZE).astype(np.float32)


def hu(**kwargs: object) -> Volume:
    return Volume(ramp(), AFFINE, "HU", **kwargs)  # type: ignore[arg-type]


def window_of(volume: Volume, choice: object) -> tuple[str, str, float, float]:
    record = prepare(volume, SIZE, window=choice).preprocessing["window"]  # type: ignore[arg-type]
    return record["name"], record["source"], record["center"], record["width"]


@pytest.mark.parametrize("name", list(PRESETS))
def test_presets(name: str) -> None:
    assert window_of(hu(), name) == (name, "preset", *PRESETS[name])


def test_presets_are_six_different_windows() -> None:
    assert set(PRESETS) == {"soft-tissue", "lung", "bone", "brain", "mediastinum", "liver"}
    assert len(set(PRESETS.values())) == 6
    assert PRESETS["soft-tissue"] == (40, 400)
    assert PRESETS["lung"] == (-600, 1500)
    assert PRESETS["brain"] == (40, 80)


def test_low_edge_is_black_high_edge_is_white_and_between_is_linear() -> None:
    values = np.array([-500, -160, -60, 40, 140, 240, 900], dtype=np.int16)
    voxels = np.full(SIZE, 240, dtype=np.int16)
    voxels[4, 8, 3:10] = values
    seen = prepare(
        Volume(voxels, np.diag([-1.0, 1.0, 1.0, 1.0]) @ AFFINE, "HU"),
        SIZE,
        window="soft-tissue",
        plane="native",
        slice_order="file",
    ).voxels[4, 8, ::-1][3:10]
    assert seen == pytest.approx([0, 0, 0.25, 0.5, 0.75, 1, 1], abs=1e-6)


def test_display_is_the_files_own_window() -> None:
    assert window_of(hu(display_window=(50.0, 350.0)), "display") == ("display", "file", 50, 350)


def test_without_one_display_is_soft_tissue_for_hu_and_says_so() -> None:
    result = prepare(hu(), SIZE)
    assert result.preprocessing["window"]["name"] == "soft-tissue"
    assert any("soft tissue" in w for w in result.warnings)


def test_without_one_display_is_the_full_range_otherwise_and_says_so() -> None:
    result = prepare(Volume(ramp(0, 3000), AFFINE, "unknown", "MR"), SIZE)
    assert result.preprocessing["window"]["name"] == "full"
    assert any("full range" in w for w in result.warnings)
    assert result.voxels.min() == 0
    assert result.voxels.max() == 1


def test_full_range_of_hu_ignores_padding() -> None:
    voxels = ramp()
    voxels[0, 0, 0] = -3024
    assert window_of(Volume(voxels, AFFINE, "HU"), "full") == ("full", "data", 488, 3024)


@pytest.mark.parametrize("name", list(PRESETS))
def test_hu_presets_are_refused_where_values_are_not_hu(name: str) -> None:
    with pytest.raises(InputError, match="Hounsfield"):
        prepare(Volume(ramp(0, 900), AFFINE, "unknown"), SIZE, window=name)


def test_a_windowed_picture_is_refused_unless_its_full_range_is_asked_for() -> None:
    volume = Volume(ramp(0, 255).astype(np.uint8), AFFINE, "unknown")
    with pytest.raises(InputError, match="windowed or scaled before"):
        prepare(volume, SIZE)
    assert window_of(volume, "full") == ("full", "data", 127.5, 255)


def test_a_given_window_is_used_as_it_is() -> None:
    assert window_of(hu(), (100, 50)) == ("custom", "given", 100, 50)
    assert window_of(hu(), "100,50") == ("custom", "given", 100, 50)


def test_a_given_window_on_values_that_are_not_hu_is_announced() -> None:
    result = prepare(Volume(ramp(0, 900), AFFINE, "unknown"), SIZE, window=(300, 600))
    assert any("not Hounsfield units" in w for w in result.warnings)


@pytest.mark.parametrize("name", WINDOW_NAMES)
def test_names_are_parsed(name: str) -> None:
    assert parse_window(f" {name.upper()} ") == name


def test_numbers_are_parsed() -> None:
    assert parse_window("-600, 1500") == (-600.0, 1500.0)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "tissue",
        "40",
        "40,400,5",
        "40,0",
        "40,-400",
        "nan,400",
        "40,inf",
        "40,1e-300",
        "1e300,400",
        "a,b",
    ],
)
def test_what_is_not_a_window_is_refused(text: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_window(text)
    assert caught.value.exit_code == 2
    assert caught.value.hint


def test_a_window_that_shows_nothing_is_refused() -> None:
    with pytest.raises(InputError, match="all black"):
        prepare(hu(), SIZE, window=(5000, 100))


def test_an_m3d_array_is_taken_as_it_is_and_choices_are_said_to_have_no_effect() -> None:
    array = np.random.default_rng(0).random(SIZE, dtype=np.float32) * 3 - 1
    volume = Volume(array, None, "normalized")
    plain = prepare(volume, SIZE)
    assert np.array_equal(plain.voxels, array)
    assert plain.warnings == ()
    assert plain.preprocessing["window"] is None
    chosen = prepare(volume, SIZE, window="lung", plane="coronal", slice_order="reversed")
    assert np.array_equal(chosen.voxels, array)
    assert "window and the plane and the slice order" in chosen.warnings[0]


def test_preprocessing_is_json_and_content_decides_the_hash() -> None:
    first, second = prepare(hu(), SIZE), prepare(hu(), SIZE)
    assert json.loads(json.dumps(first.preprocessing)) == first.preprocessing
    assert first.sha256 == second.sha256
    assert len(first.sha256) == 64
    assert prepare(hu(), SIZE, window="lung").sha256 != first.sha256
    assert prepare(hu(), (8, 16, 8)).sha256 != first.sha256
