"""Write `node/profile/data/` from the standard's tables in `tools/standard/`.

Run `python tools/build_profile_data.py` after a table has changed, and commit what it wrote; a test
runs it again and compares. The data dictionary comes from the pinned pydicom, with the attributes
that Table E.1-1 names and pydicom does not know yet. `keep_list.json` and `vocabulary.txt` lie in
the same folder and are written by people, not by this script.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Container, Iterable, Mapping
from pathlib import Path
from typing import Any

from pydicom._dicom_dict import DicomDictionary, RepeatersDictionary
from pydicom._uid_dict import UID_dictionary

ROOT = Path(__file__).resolve().parent
STANDARD = ROOT / "standard"
DATA = ROOT.parent / "node" / "profile" / "data"
NOTICE = (
    "DICOM PS3.15/3.6/3.16 2026d, PS3.3 2026b, (c) NEMA. Facts only: tags, keywords, codes, types."
)

#: VRs of the attributes that are newer than every dictionary at hand; text, so any text VR fits.
NEW_VRS = {"EthnicGroups": "UC", "MontageName": "LO", "MontageChannelLabel": "LO"}
MEDIA_DIRECTORY = "1.2.840.10008.1.3.10"
#: Where no table says otherwise, these VRs are kept, recursed into or remapped, whatever the Type.
NEVER_REPLACED = {
    "AT", "CS", "DS", "FD", "FL", "IS", "OD", "OF", "OL", "OV", "SL", "SQ", "SS", "SV", "UL", "US",
    "UI", "UV", "US or SS", "US or OW", "US or SS or OW", "NONE",
}  # fmt: skip


def main() -> None:
    """Write every generated file."""
    table = read("table_e1_1.json")
    dictionary = data_dictionary(table["attributes"])
    write("table_e1_1.json", *confidentiality_table(table))
    write("dictionary.json", {"source": "PS3.6, as pydicom 3.0 and Table E.1-1 know it; "
                              "tag: VR, VM, keyword"}, "attributes", dictionary)  # fmt: skip
    write("safe_private.json", *safe_private(read("safe_private.json")))
    write("sr_concepts.json", *sr_concepts(read("sr_content_e3_4_1.json")))
    write("uid_roles.json", *uid_roles(read("uid_roles.json")))
    codes = {code["value"]: code["meaning"] for code in read("cid_7050.json")["codes"]}
    write("cid_7050.json", {"source": "PS3.16 CID 7050", "scheme": "DCM"}, "codes", codes)
    types = json.loads(gzip.decompress((STANDARD / "iod_types.json.gz").read_bytes()))
    classes = storage_classes(types["sop_to_iod"])
    write("sop_classes.json", {"source": "PS3.6 Annex A, storage SOP classes"}, "classes", classes)
    iods, modules = iod_types(types, replaceable(table["attributes"], dictionary))
    head = {"notice": NOTICE, "edition": types["edition"], "sop_to_iod": types["sop_to_iod"]}
    pack("iod_types.json.gz", {**head, **iods, "modules": modules})


def replaceable(
    attributes: Iterable[Mapping[str, Any]], dictionary: Mapping[str, list[str]]
) -> set[str]:
    """Give the attributes whose Type is ever asked for: not kept by every profile, not remapped."""
    kept = json.loads((DATA / "keep_list.json").read_text(encoding="utf-8"))["attributes"]
    by_vr = {tag for tag, (vr, *_) in dictionary.items() if vr not in NEVER_REPLACED}
    return (by_vr - kept.keys()) | {short(row["tag"]) for row in attributes}


def pack(name: str, table: Mapping[str, Any]) -> None:
    """Write a large table compressed, the same bytes each time."""
    text = json.dumps(table, separators=(",", ":"), sort_keys=True)
    (DATA / name).write_bytes(gzip.compress(text.encode(), 9, mtime=0))


def read(name: str) -> Any:
    """Read one of the inputs."""
    return json.loads((STANDARD / name).read_text(encoding="utf-8"))


def write(name: str, head: Mapping[str, Any], key: str, rows: Mapping[str, Any]) -> None:
    """Write a table with one row per line, so that an edition's changes read as a diff."""
    lines = [f"{json.dumps(row)}: {json.dumps(rows[row], ensure_ascii=True)}" for row in rows]
    top = "".join(
        f"{json.dumps(item)}: {json.dumps(value)},\n"
        for item, value in {"notice": NOTICE, **head}.items()
    )
    body = ",\n".join(lines)
    (DATA / name).write_text(f"{{\n{top}{json.dumps(key)}: {{\n{body}\n}}\n}}\n", encoding="utf-8")


def short(tag: str) -> str:
    """(0008,0050) as 00080050; (60xx,3000) as 60xx3000."""
    return tag[1:5] + tag[6:10]


def data_dictionary(attributes: Iterable[Mapping[str, Any]]) -> dict[str, list[str]]:
    """Every public attribute: eight hex digits (xx in repeating groups) to VR, VM and keyword."""
    known = {f"{tag:08X}": row for tag, row in DicomDictionary.items()}
    known |= {tag: row for tag, row in RepeatersDictionary.items() if tag[:4] in ("50xx", "60xx")}
    rows = {
        tag: [vr, vm, keyword]
        for tag, (vr, vm, _name, _retired, keyword) in known.items()
        if vr != "NONE" and tag[:4] not in ("0000", "0002")
    }
    for row in attributes:
        tag, keyword = short(row["tag"]), row["keyword"]
        if tag not in rows and len(tag) == 8 and "x" not in tag and "g" not in tag:  # noqa: PLR2004 -- hex digits of a tag
            rows[tag] = [row["vr"] or NEW_VRS[keyword], "1", keyword]
    return dict(sorted(rows.items()))


def confidentiality_table(
    table: Mapping[str, Any],
) -> tuple[dict[str, Any], str, dict[str, list[str]]]:
    """Table E.1-1: tag to the basic action and the ten option columns, as `columns` says."""
    options = table["option_columns"]
    head = {
        "source": "PS3.15 Table E.1-1",
        "edition": table["edition"],
        "rows": table["rows"],
        "columns": ["basic", *(name.replace("_", "-") for name in options)],
    }
    rows = {}
    for row in table["attributes"]:
        tag = "private" if "gggg" in row["tag"] else short(row["tag"])
        rows[tag] = [row["basic_profile"], *(row[name] for name in options)]
    return head, "attributes", dict(sorted(rows.items()))


def safe_private(table: Mapping[str, Any]) -> tuple[dict[str, Any], str, dict[str, str]]:
    """Table E.3.10-1: `gggg,CREATOR,ee` to VR (empty: the standard states none)."""
    head = {"source": "PS3.15 Table E.3.10-1", "edition": "2026d"}
    rows = {
        f"{row['group']},{row['private_creator']},{row['element']}": row["vr"]
        for row in table["rows"]
    }
    return head, "attributes", dict(sorted(rows.items()))


def sr_concepts(table: Mapping[str, Any]) -> tuple[dict[str, Any], str, dict[str, Any]]:
    """Table E.3.4-1: `scheme,code,value type` to the basic action and its option columns."""
    columns = {
        "retain_uids": "retain-uids",
        "retain_device_identity": "retain-device-identity",
        "retain_institution_identity": "retain-institution-identity",
        "retain_patient_characteristics": "retain-patient-characteristics",
        "retain_longitudinal_full_dates": "retain-longitudinal-full-dates",
        "retain_longitudinal_modified_dates": "retain-longitudinal-modified-dates",
        "clean_descriptors": "clean-descriptors",
    }
    head = {"source": table["source"], "columns": ["basic", *columns.values()]}
    rows = {
        f"{row['scheme']},{row['code_value']},{row['value_type']}": [
            row["basic_profile"], *(row[name] for name in columns)
        ]
        for row in table["rows"]
    }  # fmt: skip
    return head, "concepts", dict(sorted(rows.items()))


def uid_roles(table: Mapping[str, Any]) -> tuple[dict[str, Any], str, dict[str, str]]:
    """Role of every UI attribute."""
    rows = {short(row["tag"]): row["role"] for row in table["ui_attributes"]}
    return {}, "roles", dict(sorted(rows.items()))


def storage_classes(iods: Mapping[str, str]) -> dict[str, str]:
    """Every storage SOP class: UID to keyword (of those newer than pydicom, the IOD's name)."""
    rows = {
        str(uid): keyword
        for uid, (name, kind, _info, _retired, keyword) in UID_dictionary.items()
        if kind == "SOP Class" and "Storage" in name
        if not any(word in name for word in ("Commitment", "Directory", "Service", "Management"))
    }
    newer = {uid: iod for uid, iod in iods.items() if uid not in rows and uid != MEDIA_DIRECTORY}
    return dict(sorted((rows | newer).items()))


def iod_types(
    source: Mapping[str, Any], asked: Container[str]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """PS3.3: the modules of each IOD with their usage, and the Types 1 and 2 in each module.

    A module's `tags` are its top-level attributes, by which a reader sees that it is present; its
    `types` hold the sequence paths that end in an attribute which may be removed. 1C and 2C are
    taken as 1 and 2: the attribute was there, so its condition held.
    """
    modules = {
        name: {
            "tags": sorted(path for path in kinds if "." not in path),
            "types": {
                path: kind[0]
                for path, kind in sorted(kinds.items())
                if kind[0] in "12" and path[-8:] in asked
            },
        }
        for name, kinds in sorted(source["modules"].items())
    }
    iods = {name: [list(usage) for usage in usages] for name, usages in source["iods"].items()}
    return {"iods": dict(sorted(iods.items()))}, modules


if __name__ == "__main__":
    main()
