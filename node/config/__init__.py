"""The configuration: `node.toml`, overridden by `DEID_NODE_SECTION__KEY`, every mistake at once.

Every key has its default in `sections` and its line of comment in config/node.toml; a test holds
the two together. Values that are secrets are never here, only the files that hold them.
"""

from node.config.load import ConfigError, Mistake, find_config, load_config
from node.config.node_config import NodeConfig
from node.config.sections import (
    Completion,
    Destination,
    DestinationTls,
    DicomDestination,
    FolderDestination,
    Forward,
    Log,
    Peer,
    Process,
    Receive,
    ReceiveTls,
    Retention,
    Route,
    StowDestination,
    Web,
    WebTls,
)

__all__ = [
    "Completion",
    "ConfigError",
    "Destination",
    "DestinationTls",
    "DicomDestination",
    "FolderDestination",
    "Forward",
    "Log",
    "Mistake",
    "NodeConfig",
    "Peer",
    "Process",
    "Receive",
    "ReceiveTls",
    "Retention",
    "Route",
    "StowDestination",
    "Web",
    "WebTls",
    "find_config",
    "load_config",
]
