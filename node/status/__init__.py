"""What the node is doing, read from lock files, rows and folders; needs no role to be alive."""

from node.status.read import status

__all__ = ["status"]
