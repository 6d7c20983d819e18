"""The tables of the index. Only `process` writes them; migrations make them.

Times named `_at` are wall-clock seconds since 1970, for people. Times named `_since` or `_steady`
are the node's steady seconds (node/process/clock.py), for decisions: no clock jump reaches them.
Columns with PHI say so; purging empties them and leaves the keyed digests beside them.
"""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
)

metadata = MetaData()


def _count(name: str) -> Column[int]:
    return Column(name, Integer, nullable=False, server_default="0")


def _text(name: str) -> Column[str]:
    return Column(name, Text, nullable=False, server_default="")


def _steady(name: str) -> Column[float]:
    return Column(name, Float, nullable=False, server_default="0")


#: Counts of a study's instances, kept by triggers. `waiting` is RECEIVED; `deidentified` is
#: DEIDENTIFIED and not out yet; together the columns after `received` sum up to it.
COUNTS = (
    "received", "waiting", "deidentified", "released", "excluded", "quarantined", "duplicate",
    "rejected",
)  # fmt: skip

study = Table(
    "study",
    metadata,
    Column("id", Text, primary_key=True),
    Column("state", Text, nullable=False),
    _steady("state_since"),
    _text("reason"),
    Column("uid_digest", Text, unique=True),
    Column("study_instance_uid", Text),  # PHI
    Column("opened_at", Float, nullable=False),
    _steady("first_arrival_steady"),
    _steady("last_arrival_steady"),
    Column("complete_now", Boolean, nullable=False, server_default="0"),
    _text("called_ae_title"),
    _text("calling_ae_title"),
    _text("modality"),
    _text("route"),
    _count("series"),
    _count("generation"),
    _count("total"),
    _count("done"),
    _text("override"),
    Column("all_generations", Boolean, nullable=False, server_default="0"),
    #: When a person was last warned that it is held.
    _steady("warned_steady"),
    Column("purged_at", Float),
    *(_count(name) for name in COUNTS),
    Index("study_by_state", "state", "purged_at", "state_since"),
    Index("study_by_age", "opened_at"),
    Index("study_by_uid", "study_instance_uid"),
)

generation = Table(
    "generation",
    metadata,
    Column("study", Text, ForeignKey("study.id"), primary_key=True),
    Column("number", Integer, primary_key=True),
    _text("route"),
    _text("profile"),
    _text("profile_digest"),
    _text("domain"),
    _text("key_fingerprint"),
    #: All that decided how its instances were treated (node.process.recipes).
    _text("recipe_digest"),
    #: Of the output: the pseudonym and the new UID, once it is out.
    _text("patient_id"),
    _text("study_instance_uid"),
    Column("begun_at", Float, nullable=False),
    Column("released_at", Float),
    #: It lay among the releases with a manifest that cannot be trusted.
    Column("untrusted", Boolean, nullable=False, server_default="0"),
    _steady("released_steady"),
    _count("sequence"),
    _count("instances"),
    _text("manifest_digest"),
    Column("purged_at", Float),
    Index("generation_by_release", "purged_at", "released_steady"),
)

instance = Table(
    "instance",
    metadata,
    Column("id", Text, primary_key=True),
    Column("study", Text, ForeignKey("study.id"), nullable=False),
    Column("series", Integer, nullable=False),
    Column("state", Text, nullable=False),
    Column("released", Boolean, nullable=False, server_default="0"),
    Column("generation", Integer),
    _text("reason"),
    #: EXCLUDED by a person: who. What a profile excludes is asked again when it is made anew.
    _text("excluded_by"),
    #: RECEIVED, and will stay so until a person decides: why.
    Column("waits_for", Text),
    _count("attempts"),
    #: An earlier instance of the study with this SOP Instance UID and other bytes.
    Column("conflict_with", Text),
    #: Its original is gone, and PHI with it.
    Column("purged", Boolean, nullable=False, server_default="0"),
    Column("arrived_at", Float, nullable=False),
    Column("bytes", Integer, nullable=False),
    _text("sop_class_uid"),
    _text("transfer_syntax_uid"),
    _text("modality"),
    _text("called_ae_title"),
    _text("calling_ae_title"),
    Column("sop_digest", Text, nullable=False),
    Column("sop_instance_uid", Text),  # PHI
    Column("series_digest", Text, nullable=False),
    Column("series_instance_uid", Text),  # PHI
    Column("patient_digest", Text, nullable=False),
    Column("patient_id", Text),  # PHI
    Column("issuer_of_patient_id", Text),  # PHI
    _text("accession_digest"),
    Column("accession_number", Text),  # PHI
    #: Of the dataset's bytes as received (`dataset_digest`), where it has been computed.
    _text("source_digest"),
    _text("output_sop_instance_uid"),
    _text("output_sha256"),
    _count("output_bytes"),
    #: Its files in other transfer syntaxes, as JSON; empty if there are none.
    _text("variants"),
    #: What the validator saw of the output, as JSON.
    _text("facts"),
    Index("instance_by_work", "study", "generation", "state"),
    Index("instance_by_uid", "study", "sop_digest"),
    Index("instance_by_sop", "sop_digest", "study"),
    Index("instance_by_series", "study", "series_digest", "series"),
    Index("instance_by_patient", "patient_id"),
    Index("instance_by_accession", "accession_number"),
    Index("instance_by_sop_uid", "sop_instance_uid"),
)

#: The latest instance of each association that may still be open: its study stays open with it.
association = Table(
    "association",
    metadata,
    Column("id", Text, primary_key=True),
    Column("study", Text, ForeignKey("study.id"), nullable=False),
    Column("number", Integer, nullable=False),
    Index("association_by_study", "study"),
)

#: Chunks that wait for a worker or are with one. What is done has no row here.
job = Table(
    "job",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("study", Text, ForeignKey("study.id"), nullable=False),
    Column("generation", Integer, nullable=False),
    Column("state", Text, nullable=False),
    Column("instances", Text, nullable=False),
    _count("bytes"),
    _count("largest"),
    #: While it waits: it may share a worker with jobs of other studies. Then: it does.
    Column("shares", Boolean, nullable=False, server_default="0"),
    #: The worker that it is with, named by the first of its jobs.
    Column("run", Integer),
    Index("job_by_state", "state", "study", "id"),
    Index("job_by_run", "run"),
    sqlite_autoincrement=True,
)

finding = Table(
    "finding",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("study", Text, ForeignKey("study.id"), nullable=False),
    Column("generation", Integer, nullable=False),
    Column("instance", Text),
    Column("check", Text, nullable=False),
    Column("severity", Text, nullable=False),
    Column("path", Text, nullable=False),
    Column("explanation", Text, nullable=False),
    Index("finding_by_study", "study", "generation", "instance"),
)

#: Whose each pseudonym is that went out, by the keyed digest of the patient's identity; for good.
pseudonym = Table(
    "pseudonym",
    metadata,
    Column("domain", Text, primary_key=True),
    Column("pseudonym", Text, primary_key=True),
    Column("witness", Text, nullable=False),
)

#: A study's timeline, free of PHI.
event = Table(
    "event",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("study", Text, ForeignKey("study.id"), nullable=False),
    Column("at", Float, nullable=False),
    Column("name", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Index("event_by_study", "study", "id"),
)

decision = Table(
    "decision",
    metadata,
    Column("id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("study", Text, nullable=False),
    Column("who", Text, nullable=False),
    Column("why", Text, nullable=False),
    Column("decided_at", Text, nullable=False),
    Column("content", Text, nullable=False),
    Column("applied", Boolean, nullable=False),
    _text("message"),
    Column("applied_at", Float, nullable=False),
    Index("decision_by_study", "study"),
)

#: The sum of all studies' counts by the state of the study, kept by triggers.
total = Table(
    "total",
    metadata,
    Column("state", Text, primary_key=True),
    _count("studies"),
    *(_count(name) for name in COUNTS),
)

meta = Table(
    "meta",
    metadata,
    Column("key", Text, primary_key=True),
    Column("value", Text, nullable=False),
)
