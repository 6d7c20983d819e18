"""SOP classes and transfer syntaxes by name, from pynetdicom's tables (PS3.4 B.5, PS3.6 A)."""

from __future__ import annotations

from pynetdicom import ALL_TRANSFER_SYNTAXES, AllStoragePresentationContexts

VERIFICATION = "1.2.840.10008.1.1"
STORAGE_COMMITMENT_PUSH = "1.2.840.10008.1.20.1"
#: The well-known SOP Instance of Storage Commitment Push Model (PS3.4 J.3.5).
STORAGE_COMMITMENT_INSTANCE = "1.2.840.10008.1.20.1.1"

IMPLICIT_LITTLE = "1.2.840.10008.1.2"
EXPLICIT_LITTLE = "1.2.840.10008.1.2.1"
#: What a message without pixels is sent in.
PLAIN_SYNTAXES = (EXPLICIT_LITTLE, IMPLICIT_LITTLE)

_JPEG = "1.2.840.10008.1.2.4"
#: In the order in which we would like to receive: nothing is lost, and the simplest first.
LOSSLESS_SYNTAXES = (
    EXPLICIT_LITTLE,
    IMPLICIT_LITTLE,
    "1.2.840.10008.1.2.1.99",  # Deflated Explicit VR Little Endian
    "1.2.840.10008.1.2.2",  # Explicit VR Big Endian
    "1.2.840.10008.1.2.1.98",  # Encapsulated Uncompressed
    "1.2.840.10008.1.2.8.1",  # Deflated Image Frame
    "1.2.840.10008.1.2.5",  # RLE
    f"{_JPEG}.80",  # JPEG-LS
    f"{_JPEG}.90",  # JPEG 2000
    f"{_JPEG}.201",  # High-Throughput JPEG 2000
    f"{_JPEG}.202",  # High-Throughput JPEG 2000 with RPCL
    f"{_JPEG}.70",  # JPEG, first-order prediction
    f"{_JPEG}.57",  # JPEG, process 14
    f"{_JPEG}.92",  # JPEG 2000 part 2
    f"{_JPEG}.110",  # JPEG XL
    f"{_JPEG}.111",  # JPEG XL, recompressed JPEG
)
#: Everything that pynetdicom knows, what may have lost something last.
TRANSFER_SYNTAXES = LOSSLESS_SYNTAXES + tuple(
    str(syntax) for syntax in ALL_TRANSFER_SYNTAXES if syntax not in LOSSLESS_SYNTAXES
)


def storage_sop_classes() -> tuple[str, ...]:
    """Give every Storage SOP class that pynetdicom knows."""
    return tuple(str(context.abstract_syntax) for context in AllStoragePresentationContexts)
