"""Small datasets that stand beside a command: commitment requests and reports (PS3.5 7.1)."""

from __future__ import annotations

from io import BytesIO

from pydicom.dataset import Dataset
from pynetdicom.dsutils import decode, encode

from node.upper_layer.names import IMPLICIT_LITTLE


def encode_dataset(dataset: Dataset, transfer_syntax: str) -> bytes:
    """Encode in Implicit or Explicit VR Little Endian."""
    return encode(dataset, transfer_syntax == IMPLICIT_LITTLE, is_little_endian=True) or b""


def decode_dataset(encoded: bytes, transfer_syntax: str) -> Dataset:
    """Decode Implicit or Explicit VR Little Endian; pydicom's exceptions where it is neither."""
    implicit = transfer_syntax == IMPLICIT_LITTLE
    return decode(BytesIO(encoded), implicit, is_little_endian=True)
