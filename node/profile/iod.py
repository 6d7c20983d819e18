"""The Type of an attribute where it stands: PS3.3's modules of an IOD, by sequence path.

A compound action is resolved by it: Type 1 needs a value (D), Type 2 may be empty (Z), Type 3 may
go (X). Conditional Types count as met, because the attribute was there.
"""

from __future__ import annotations

from collections.abc import Container
from functools import cache, lru_cache
from typing import Any

from node.profile.tables import read

#: For a SOP class that PS3.3 no longer describes: what every composite image has.
_RETIRED = (
    ("patient", "M"), ("general-study", "M"), ("general-series", "M"), ("general-equipment", "M"),
    ("general-image", "M"), ("sop-common", "M"),
)  # fmt: skip


def type_of(
    sop_class_uid: str, path: tuple[int, ...], present: Container[int] | None = None
) -> str:
    """Give the Type, "1", "2" or "3", of the attribute at the end of a sequence path.

    The strictest over the IOD's mandatory modules and over those optional ones that are present.

    Parameters
    ----------
    path
        Tags from the top level down: sequences, then the attribute. Items are not counted.
    present
        The instance's top-level tags, by which optional modules show; None takes all as present.
    """
    least, optional = _types(sop_class_uid, path)
    for kind, witnesses in optional:
        if kind < least and (present is None or any(tag in present for tag in witnesses)):
            least = kind
    return least


@lru_cache(maxsize=1 << 15)
def _types(
    sop_class_uid: str, path: tuple[int, ...]
) -> tuple[str, tuple[tuple[str, tuple[int, ...]], ...]]:
    """Give the Type by mandatory modules, and each optional module's Type with its witnesses."""
    table = _table()
    modules = table["modules"]
    usages = table["iods"].get(table["sop_to_iod"].get(sop_class_uid, ""), _RETIRED)
    key = ".".join(f"{tag:08X}" for tag in path)
    kinds = [(name, usage, modules[name]["types"].get(key, "3")) for name, usage in usages]
    least = min((kind for _, usage, kind in kinds if usage == "M"), default="3")
    mandatory = {tag for name, usage in usages if usage == "M" for tag in modules[name]["tags"]}
    optional = tuple(
        (kind, tuple(int(tag, 16) for tag in modules[name]["tags"] if tag not in mandatory))
        for name, usage, kind in kinds
        if usage != "M" and kind < least
    )
    return least, optional


@cache
def _table() -> Any:
    return read("iod_types.json.gz")
