"""The whole configuration, and where its folders lie."""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import PrivateAttr
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from node.config.sections import (
    Completion,
    Destination,
    FolderDestination,
    Forward,
    Log,
    NodeSection,
    Process,
    Receive,
    Retention,
    Route,
    Web,
)

ENV_PREFIX = "DEID_NODE_"


class NodeConfig(BaseSettings):
    """Every section of `node.toml`, checked and frozen."""

    model_config = SettingsConfigDict(
        frozen=True, extra="forbid", env_prefix=ENV_PREFIX, env_nested_delimiter="__"
    )

    node: NodeSection = NodeSection()
    receive: Receive = Receive()
    completion: Completion = Completion()
    process: Process = Process()
    routes: tuple[Route, ...] = ()
    destinations: tuple[Destination, ...] = ()
    forward: Forward = Forward()
    retention: Retention = Retention()
    web: Web = Web()
    log: Log = Log()
    _folder: Path | None = PrivateAttr(default=None)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 -- the signature is the library's
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 -- no .env file is read
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 -- nor a secrets folder
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Let the environment go over the file."""
        return env_settings, init_settings

    @property
    def folder(self) -> Path | None:
        """Where the file lay; profiles are sought beside it. None for the defaults."""
        return self._folder

    @property
    def inbox_dir(self) -> Path:
        """The identified zone."""
        return self.node.data_dir / "inbox"

    @property
    def outbox_dir(self) -> Path:
        """The released zone."""
        return self.node.data_dir / "outbox"

    @property
    def keys_dir(self) -> Path:
        """The pseudonym key and the signing key; `process` alone reads them.

        Under systemd they are credentials (LoadCredential=) in a folder that only the unit sees.
        """
        credentials = Path(os.environ.get("CREDENTIALS_DIRECTORY", "/nowhere"))
        if (credentials / "pseudonym.key").is_file():
            return credentials
        return self.node.data_dir / "keys"

    @property
    def effective_destinations(self) -> tuple[Destination, ...]:
        """The destinations, or the one folder that stands in where none is configured."""
        if self.destinations:
            return self.destinations
        folder = self.node.data_dir / "delivered"
        return (FolderDestination(type="folder", name="delivered", path=folder),)

    @property
    def effective_routes(self) -> tuple[Route, ...]:
        """The routes, or the one that takes everything where none is configured."""
        names = tuple(destination.name for destination in self.effective_destinations)
        if not self.routes:
            return (Route(name="default", destinations=names),)
        return self.routes
