"""Folders of a node as its roles would leave them: an index and a ledger with studies in them."""

from __future__ import annotations

from pathlib import Path

from node.config import NodeConfig, load_config
from node.inbox.index import open_index
from node.inbox.layout import Inbox
from node.inbox.tables import event, finding, generation, instance, job, study
from node.outbox.layout import Outbox
from node.outbox.ledger import add_unreadable_release, open_ledger
from node.outbox.tables import delivery, delivery_instance, destination, release

#: 2026-01-02 03:04:05 UTC.
THEN = 1767323045.0
CT = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
#: The states that studies are in, by turns; the first is held.
STATES = ("HELD", "RELEASED", "PROCESSING", "RECEIVING")
INSTANCES = 4


def node_folder(folder: Path, extra: str = "") -> NodeConfig:
    """Write a node.toml for `folder`, and read it."""
    path = folder / "node.toml"
    path.write_text(
        f'[node]\ndata_dir = "{folder / "data"}"\n'
        '[[routes]]\nname = "trial"\ndestinations = ["research"]\n'
        '[[destinations]]\nname = "research"\ntype = "dicom"\nae_title = "RESEARCH"\n'
        f'host = "127.0.0.1"\nport = 104\n{extra}'
    )
    return load_config(path)


def filled_node(folder: Path, studies: int, extra: str = "") -> NodeConfig:
    """Make a node that has worked on so many studies; see STATES."""
    config = node_folder(folder, extra)
    inbox, outbox = Inbox(config.inbox_dir), Outbox(config.outbox_dir)
    inbox.create()
    outbox.create()
    _fill_index(inbox, studies)
    _fill_ledger(outbox, studies)
    return config


def refuse_release(config: NodeConfig) -> None:
    """Let `forward` have found a release that it cannot trust."""
    engine = open_ledger(Outbox(config.outbox_dir).database)
    with engine.begin() as conn:
        add_unreadable_release(conn, "forged-g1", THEN, "it is not signed")
    engine.dispose()


def study_id(number: int) -> str:
    """Give the id of a study by ordinal, from 0."""
    return f"s{number:07d}"


def state_of(number: int) -> str:
    """Give the state of a study by ordinal."""
    return STATES[number % len(STATES)]


def _fill_index(inbox: Inbox, studies: int) -> None:
    engine = open_index(inbox.database)
    numbers = range(studies)
    with engine.begin() as conn:
        if not studies:
            return
        conn.execute(study.insert(), [_study(number) for number in numbers])
        conn.execute(
            instance.insert(), [_instance(n, i) for n in numbers for i in range(INSTANCES)]
        )
        conn.execute(event.insert(), [_event(number) for number in numbers])
        held = [number for number in numbers if state_of(number) == "HELD"]
        conn.execute(finding.insert(), [_finding(number) for number in held])
        begun = [number for number in numbers if state_of(number) != "RECEIVING"]
        conn.execute(generation.insert(), [_generation(number) for number in begun])
        conn.execute(
            job.insert(),
            [
                {"study": study_id(n), "generation": 1, "state": "QUEUED", "instances": "[]"}
                for n in numbers
                if state_of(n) == "PROCESSING"
            ]
            or [],
        ) if studies > 2 else None
    engine.dispose()


def _study(number: int) -> dict[str, object]:
    state = state_of(number)
    return {
        "id": study_id(number), "state": state, "opened_at": THEN + number, "modality": "CT",
        "route": "" if state == "RECEIVING" else "trial",
        "generation": 0 if state == "RECEIVING" else 1,
        "uid_digest": f"digest {number}",
    }  # fmt: skip


def _instance(number: int, i: int) -> dict[str, object]:
    state = state_of(number)
    done = state in ("HELD", "RELEASED") or (state == "PROCESSING" and i < INSTANCES // 2)
    return {
        "id": f"assoc{number:05d}-{i + 1:06d}", "study": study_id(number), "series": 1,
        "state": "DEIDENTIFIED" if done else "RECEIVED", "released": state == "RELEASED",
        "generation": 1, "arrived_at": THEN, "bytes": 1000, "sop_class_uid": CT,
        "transfer_syntax_uid": EXPLICIT, "modality": "CT", "sop_digest": f"{number}.{i}",
        "series_digest": "1", "patient_digest": "p", "patient_id": "MRN000001",
        "sop_instance_uid": f"1.2.3.{number}.{i}",
    }  # fmt: skip


def _event(number: int) -> dict[str, object]:
    return {
        "study": study_id(number), "at": THEN + number, "name": "study_opened",
        "detail": '{"instances": 4}',
    }  # fmt: skip


def _finding(number: int) -> dict[str, object]:
    return {
        "study": study_id(number), "generation": 1, "instance": f"assoc{number:05d}-000001",
        "check": "pixels", "severity": "hold", "path": "PixelData",
        "explanation": "Burned In Annotation says YES",
    }  # fmt: skip


def _generation(number: int) -> dict[str, object]:
    released = THEN + 60 if state_of(number) == "RELEASED" else None
    return {
        "study": study_id(number), "number": 1, "route": "trial", "profile": "basic",
        "begun_at": THEN + 10, "released_at": released, "sequence": number, "instances": INSTANCES,
    }  # fmt: skip


def _fill_ledger(outbox: Outbox, studies: int) -> None:
    engine = open_ledger(outbox.database)
    released = [number for number in range(studies) if state_of(number) == "RELEASED"]
    with engine.begin() as conn:
        for place, number in enumerate(released, 1):
            name = f"{study_id(number)}-g1"
            conn.execute(release.insert().values(
                name=name, study=study_id(number), generation=1, sequence=place,
                instances=INSTANCES, seen_at=THEN,
            ))  # fmt: skip
            conn.execute(delivery.insert().values(
                id=place, release=name, destination="research", state="DELIVERED", updated_at=THEN,
                last_answer="0000 success",
            ))  # fmt: skip
            conn.execute(delivery_instance.insert(), [
                {"delivery": place, "file": f"2.25.{i}.dcm", "sha256": "00", "state": "STORED"}
                for i in range(INSTANCES)
            ])  # fmt: skip
        conn.execute(destination.insert().values(name="research", last_answer="0000 success"))
    engine.dispose()
