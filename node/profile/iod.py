"""The Type of an attribute where it stands: PS3.3's modules of an IOD, by sequence path.

A compound action is resolved by it: Type 1 needs a value (D), Type 2 may be empty (Z), Type 3 may
go (X). Conditional Types count as met, because the attribute was there.
"""

from __future__ import annotations

from collections.abc import Container
from functools import cache, lru_cache
from typing import Any

from node.profile.tables import read

Tags = tuple[int, ...]
#: Of a module: Type by sequence path.
Types = dict[str, str]

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
    strictest, optional = _types(sop_class_uid, path)
    for its_type, witnesses in optional:
        if its_type < strictest and (present is None or any(tag in present for tag in witnesses)):
            strictest = its_type
    return strictest


@lru_cache(maxsize=1 << 15)
def _types(sop_class_uid: str, path: tuple[int, ...]) -> tuple[str, tuple[tuple[str, Tags], ...]]:
    """Give the Type by mandatory modules, and each optional module's Type with its witnesses."""
    mandatory, optional = _modules(sop_class_uid)
    key = ".".join(f"{tag:08X}" for tag in path)
    strictest = min((types.get(key, "3") for types in mandatory), default="3")
    found = [(types.get(key, "3"), witnesses) for types, witnesses in optional]
    return strictest, tuple(each for each in found if each[0] < strictest)


@lru_cache(maxsize=1 << 8)
def _modules(sop_class_uid: str) -> tuple[list[Types], list[tuple[Types, Tags]]]:
    """Give the Types of an IOD's mandatory modules, and of each optional one with its witnesses."""
    table = _table()
    modules = table["modules"]
    usages = table["iods"].get(table["sop_to_iod"].get(sop_class_uid, ""), _RETIRED)
    mandatory = [modules[name] for name, usage in usages if usage == "M"]
    optional = [modules[name] for name, usage in usages if usage != "M"]
    common = {tag for module in mandatory for tag in module["tags"]}
    return [module["types"] for module in mandatory], [
        (module["types"], tuple(int(tag, 16) for tag in module["tags"] if tag not in common))
        for module in optional
    ]


@cache
def _table() -> Any:
    return read("iod_types.json.gz")
