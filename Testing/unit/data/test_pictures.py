"""Folders of pictures as volumes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from unit.data.training_files import body, write_stack

from med2e3.data.pictures import read_picture_stack
from med2e3.errors import VolumeError
from med2e3.volume import prepare


def published_steps(pictures: np.ndarray, size: tuple[int, int, int]) -> np.ndarray:
    """/255, smallest to 0 and largest to 1, crop to what is above 0, trilinear resize; by hand."""
    scaled = pictures.astype(np.float64) / 255
    scaled = (scaled - scaled.min()) / (scaled.max() - scaled.min())
    for axis in range(3):
        others = tuple(a for a in range(3) if a != axis)
        inside = np.flatnonzero((scaled > 0).any(axis=others))
        scaled = scaled.take(np.arange(inside[0], inside[-1] + 1), axis=axis)
    for axis, count in enumerate(size):
        length = scaled.shape[axis]
        centre = ((np.arange(count) + 0.5) * length / count - 0.5).clip(0)
        lower = np.minimum(np.floor(centre).astype(int), length - 1)
        upper = np.minimum(lower + 1, length - 1)
        shape = [count if a == axis else 1 for a in range(3)]
        weight = (centre - lower).reshape(shape)
        scaled = scaled.take(lower, axis) * (1 - weight) + scaled.take(upper, axis) * weight
    return scaled


@pytest.mark.parametrize("shape", [(20, 48, 40), (40, 90, 70), (12, 64, 64)])
@pytest.mark.parametrize("lowest", [0, 25])
def test_a_stack_equals_the_published_steps(
    tmp_path: Path, shape: tuple[int, int, int], lowest: int
) -> None:
    pictures = (body(1, shape) // 2 + lowest).astype(np.uint8)
    result = prepare(read_picture_stack(write_stack(tmp_path, pictures)), (32, 64, 64)).voxels
    np.testing.assert_allclose(result, published_steps(pictures, (32, 64, 64)), atol=2e-5)


def test_pictures_are_sorted_by_number_and_gaps_are_told(tmp_path: Path) -> None:
    pictures = body(2, (12, 20, 20))
    write_stack(tmp_path, pictures)
    (tmp_path / "3.png").unlink()
    (tmp_path / "7.png").unlink()
    (tmp_path / "8.png").unlink()
    (tmp_path / "notes.txt").write_text("not a picture")
    volume = read_picture_stack(tmp_path)
    kept = np.delete(pictures, [3, 7, 8], axis=0).astype(float)
    expected = (kept - kept.min()) / (kept.max() - kept.min())
    np.testing.assert_allclose(volume.voxels, expected, atol=1e-6)
    assert volume.warnings == ("The numbering of the pictures has gaps: 3 missing (3, 7 to 8).",)


def test_colour_pictures_of_equal_channels_are_grey(tmp_path: Path) -> None:
    pictures = body(3, (6, 20, 20))
    grey = read_picture_stack(write_stack(tmp_path / "grey", pictures)).voxels
    coloured = write_stack(tmp_path / "rgb", np.repeat(pictures[..., None], 3, axis=-1))
    palette = tmp_path / "palette"
    palette.mkdir()
    for number, picture in enumerate(pictures):
        Image.fromarray(picture).convert("P").save(palette / f"{number}.png")
    assert np.array_equal(read_picture_stack(coloured).voxels, grey)
    assert np.array_equal(read_picture_stack(palette).voxels, grey)


def refused(folder: Path) -> str:
    with pytest.raises(VolumeError) as caught:
        read_picture_stack(folder)
    assert str(folder) not in str(caught.value)
    return caught.value.sentence


def test_what_is_no_grey_volume_is_refused(tmp_path: Path) -> None:
    pictures = body(4, (5, 20, 20))

    def stack(name: str) -> Path:
        return write_stack(tmp_path / name, pictures)

    folder = stack("colour")
    red = np.repeat(pictures[2][..., None], 3, axis=-1)
    red[5, 5] = (200, 0, 0)
    Image.fromarray(red).save(folder / "2.png")
    assert refused(folder) == "The picture '2.png' is in colour."

    folder = stack("deep")
    Image.fromarray(pictures[1].astype(np.uint16) * 200).save(folder / "1.png")
    assert "'1.png' is not 8-bit grey" in refused(folder)

    folder = stack("sizes")
    Image.fromarray(pictures[3][:10]).save(folder / "3.png")
    assert "different sizes (20 x 20 and 20 x 10; '3.png'" in refused(folder)

    folder = stack("cut")
    content = (folder / "4.png").read_bytes()
    (folder / "4.png").write_bytes(content[: len(content) // 2])
    assert refused(folder) == "The picture '4.png' is cut short or damaged."

    folder = stack("other")
    (folder / "4.png").write_bytes(b"no picture at all")
    assert "content is not" in refused(folder)

    folder = stack("twice")
    Image.fromarray(pictures[0]).save(folder / "00.png")
    assert "have the same number" in refused(folder)

    folder = stack("named")
    (folder / "0.png").rename(folder / "first.png")
    assert "'first.png' is not named by a number" in refused(folder)

    assert "single picture" in refused(write_stack(tmp_path / "one", pictures[:1]))
    assert "one and the same" in refused(write_stack(tmp_path / "flat", pictures * 0 + 9))
