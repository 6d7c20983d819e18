"""DICOM associations (PS3.8) with a deadline and a bound on everything, accepting and requesting.

One thread and one blocking socket per association, pull style: the caller asks for the next
message. PDUs and negotiation are pynetdicom's classes (`codec`); sockets and the loop are ours.
"""

from node.upper_layer.acceptor import Connection
from node.upper_layer.agreement import AssociateRequest, Context, Proposal, Supported
from node.upper_layer.association import Association, Message
from node.upper_layer.command import Command, CommandField
from node.upper_layer.connecting import open_association
from node.upper_layer.deadlines import Deadlines
from node.upper_layer.errors import (
    AssociationRejected,
    ConnectionFailed,
    ConnectionLost,
    ContextRefused,
    HandshakeFailed,
    PeerAborted,
    PeerTimedOut,
    ProtocolViolated,
    UpperLayerError,
    WrongAnswer,
)
from node.upper_layer.listener import Listener, open_listener
from node.upper_layer.requestor import RequestedAssociation
from node.upper_layer.states import Rejection
from node.upper_layer.status import Status, is_success
from node.upper_layer.tls import client_context, server_context

__all__ = [
    "AssociateRequest",
    "Association",
    "AssociationRejected",
    "Command",
    "CommandField",
    "Connection",
    "ConnectionFailed",
    "ConnectionLost",
    "Context",
    "ContextRefused",
    "Deadlines",
    "HandshakeFailed",
    "Listener",
    "Message",
    "PeerAborted",
    "PeerTimedOut",
    "Proposal",
    "ProtocolViolated",
    "Rejection",
    "RequestedAssociation",
    "Status",
    "Supported",
    "UpperLayerError",
    "WrongAnswer",
    "client_context",
    "is_success",
    "open_association",
    "open_listener",
    "server_context",
]
