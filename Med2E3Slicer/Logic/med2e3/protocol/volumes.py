"""A volume's content hash and body.

Knows bytes and shapes; numpy is not needed, so that a server and any client check alike.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Sequence

from med2e3.errors import VolumeError

#: bytes of one voxel, float32
VOXEL_BYTES = 4
#: how a compressed body says so (the zlib format of RFC 9110)
DEFLATE = "deflate"


def volume_sha256(shape: Sequence[int], voxels: bytes | bytearray | memoryview) -> str:
    """The content hash (hex), as ``med2e3.volume.ModelInput.sha256``.

    Args:
        shape: (slices, rows, columns).
        voxels: little-endian float32 in that order.
    """
    digest = hashlib.sha256(repr(tuple(int(size) for size in shape)).encode())
    digest.update(voxels)
    return digest.hexdigest()


def deflate(voxels: bytes | memoryview) -> bytes:
    """A compressed body; worth it on a slow network only."""
    return zlib.compress(voxels, 1)


def inflate(body: bytes | bytearray, expected: int) -> bytes:
    """The voxels of a compressed body, never more than expected.

    Raises:
        VolumeError: when it is damaged or holds another number of bytes.
    """
    unpacker = zlib.decompressobj()
    try:
        voxels = unpacker.decompress(body, expected + 1)
    except zlib.error as error:
        raise VolumeError("The volume's body is damaged.", detail=repr(error)) from error
    if len(voxels) != expected or not unpacker.eof or unpacker.unused_data:
        raise VolumeError(
            f"The volume's body holds not the {expected} bytes that its shape needs.",
            hint="Send slices x rows x columns numbers, each as a little-endian float32.",
        )
    return voxels
