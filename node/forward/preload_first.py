"""What the server that senders are forked from does first; nobody else imports this."""

import os

from node import observe
from node.pool.containment import die_with

observe.name_process("sendserver")
die_with(os.getppid())
# Each sender, from its first moment: an orphan would go on sending behind its successor's back.
_server = os.getpid()
os.register_at_fork(after_in_child=lambda: die_with(_server))
