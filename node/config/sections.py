"""The sections of `node.toml`, one frozen model each; an unknown key is a mistake."""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

SYSTEM_DATA = Path("/var/lib/deid-node")


def _ae_title(value: str) -> str:
    """PS3.5 AE: 1 to 16 characters of the default repertoire, no backslash, no control."""
    if not 1 <= len(value) <= 16 or not value.isascii() or not value.isprintable():  # noqa: PLR2004
        raise ValueError("an AE title has 1 to 16 printable ASCII characters")
    if "\\" in value or value != value.strip():
        raise ValueError("an AE title has no backslash and no space at its ends")
    return value


def _network(value: str) -> str:
    ipaddress.ip_network(value)
    return value


def _transfer_syntax(value: str) -> str:
    if not re.fullmatch(r"[0-9]+(\.[0-9]+)+", value) or len(value) > 64:  # noqa: PLR2004 -- PS3.5 UI
        raise ValueError("a transfer syntax is named by its UID, for example 1.2.840.10008.1.2.1")
    return value


AETitle = Annotated[str, AfterValidator(_ae_title)]
Network = Annotated[str, AfterValidator(_network)]
#: A listening port: 0 closes it. A port of somebody else is 1 or more.
ListenPort = Annotated[int, Field(ge=0, le=65535)]
Port = Annotated[int, Field(ge=1, le=65535)]
TransferSyntax = Annotated[str, AfterValidator(_transfer_syntax)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]


class Section(BaseModel):
    """Frozen, and an unknown key is a mistake."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class NodeSection(Section):
    """`[node]`."""

    data_dir: Path = SYSTEM_DATA


class Peer(Section):
    """`[[receive.peers]]`: who may send."""

    ae_title: AETitle
    networks: tuple[Network, ...] = ()
    tls_required: bool = False
    certificate_sha256: Annotated[str, Field(pattern=r"^([0-9a-fA-F]{64})?$")] = ""
    max_associations: Annotated[int, Field(ge=1)] = 16
    syntaxes: tuple[TransferSyntax, ...] = ()
    commitment: bool = False
    host: str = ""
    port: ListenPort = 0

    @property
    def is_bound_to_tls(self) -> bool:
        """Whether it is taken over TLS only, even where a plain port is open."""
        return self.tls_required or bool(self.certificate_sha256)

    @model_validator(mode="after")
    def _has_a_whole_address(self) -> Self:
        if bool(self.host) != bool(self.port):
            raise ValueError("host and port go together: commitment results are sent there")
        return self


class ReceiveTls(Section):
    """`[receive.tls]`: a TLS port beside the plain one."""

    port: Port = 2762
    certificate: Path
    private_key: Path
    client_ca: Path


class Receive(Section):
    """`[receive]`."""

    ae_titles: Annotated[tuple[AETitle, ...], Field(min_length=1)] = ("DEIDNODE",)
    host: str = "0.0.0.0"  # noqa: S104 -- modalities send to it; peers limit who may
    port: ListenPort = 11112
    max_associations: Annotated[int, Field(ge=1, le=4096)] = 64
    max_associations_per_address: Annotated[int, Field(ge=0, le=4096)] = 0
    max_pdu_length: Annotated[int, Field(ge=4096, le=16 * 1024 * 1024)] = 262144
    max_instance_bytes: Annotated[int, Field(ge=1024)] = 8 * 1024**3
    min_free_bytes: Annotated[int, Field(ge=0)] = 2 * 1024**3
    idle_timeout_seconds: Annotated[float, Field(gt=0)] = 60
    require_called_ae_title: bool = False
    private_sop_classes: tuple[str, ...] = ()
    peers: tuple[Peer, ...] = ()
    tls: ReceiveTls | None = None

    @model_validator(mode="after")
    def _takes_every_peer(self) -> Self:
        bound = [peer.ae_title for peer in self.peers if peer.is_bound_to_tls]
        if bound and self.tls is None:
            raise ValueError(f"{', '.join(bound)}: taken over TLS only, without [receive.tls]")
        return self

    def reports_over_tls(self, peer: Peer) -> bool:
        """Tell whether a peer hears of us over TLS: it is taken over nothing else."""
        return peer.is_bound_to_tls or not self.port


class Completion(Section):
    """`[completion]`."""

    quiet_seconds: Annotated[float, Field(ge=0)] = 60
    max_seconds: Annotated[float, Field(ge=0)] = 3600


class Process(Section):
    """`[process]`."""

    workers: Annotated[int, Field(ge=0, le=64)] = 0
    chunk_instances: Annotated[int, Field(ge=1, le=1024)] = 128
    job_timeout_seconds: Annotated[float, Field(gt=0)] = 600
    max_attempts: Annotated[int, Field(ge=1, le=20)] = 3


class Route(Section):
    """`[[routes]]`: chosen once per study, at completion; the first match wins."""

    name: Name
    called_ae_title: str = "*"
    calling_ae_title: str = "*"
    modality: str = "*"
    profile: str = "basic"
    destinations: tuple[Name, ...] = ()
    default_issuer: str = ""
    assume_charset: str = ""
    quiet_seconds: Annotated[float, Field(ge=0)] | None = None
    max_seconds: Annotated[float, Field(ge=0)] | None = None
    patients_allow: Path | None = None
    patients_deny: Path | None = None


class DestinationTls(Section):
    """`tls` of a destination."""

    ca: Path
    certificate: Path | None = None
    private_key: Path | None = None


class DicomDestination(Section):
    """A research PACS, by C-STORE."""

    type: Literal["dicom"]
    name: Name
    ae_title: AETitle
    calling_ae_title: AETitle = "DEIDNODE"
    host: Annotated[str, Field(min_length=1)]
    port: Port = 104
    associations: Annotated[int, Field(ge=1, le=32)] = 2
    commitment: bool = False
    syntaxes: tuple[TransferSyntax, ...] = ()
    tls: DestinationTls | None = None


class StowDestination(Section):
    """A DICOMweb server, by STOW-RS."""

    type: Literal["stow"]
    name: Name
    url: Annotated[str, Field(pattern=r"^https?://")]
    credential: Path | None = None
    syntaxes: tuple[TransferSyntax, ...] = ()
    tls: DestinationTls | None = None


class FolderDestination(Section):
    """A folder, with a subfolder per study and series."""

    type: Literal["folder"]
    name: Name
    path: Path
    syntaxes: tuple[TransferSyntax, ...] = ()


Destination = Annotated[
    DicomDestination | StowDestination | FolderDestination, Field(discriminator="type")
]


class Forward(Section):
    """`[forward]`: the listener for storage commitment results, and how often to try again."""

    ae_title: AETitle = "DEIDNODE"
    host: str = "0.0.0.0"  # noqa: S104 -- only configured destinations are answered
    port: ListenPort = 11113
    retry_first_seconds: Annotated[float, Field(gt=0)] = 30
    retry_max_seconds: Annotated[float, Field(gt=0)] = 3600
    timeout_seconds: Annotated[float, Field(gt=0)] = 60


class Retention(Section):
    """`[retention]`, in days; 0 = never."""

    originals_days: Annotated[float, Field(ge=0)] = 30
    released_days: Annotated[float, Field(ge=0)] = 90
    held_warn_days: Annotated[float, Field(ge=0)] = 14
    held_max_days: Annotated[float, Field(ge=0)] = 0


class WebTls(Section):
    """`tls` of `[web]`."""

    certificate: Path
    private_key: Path


class Web(Section):
    """`[web]`. Beyond loopback it needs both `users` and `tls`."""

    host: str = "127.0.0.1"
    port: ListenPort = 8114
    users: Path | None = None
    session_minutes: Annotated[float, Field(gt=0)] = 60
    tls: WebTls | None = None


class Log(Section):
    """`[log]`."""

    format: Literal["json", "console"] = "json"
    level: Literal["debug", "info", "warning", "error"] = "info"
