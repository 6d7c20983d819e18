"""What the fork server does before anything else is imported into it; nobody else imports this.

It must come first in the list of preloaded modules: a user namespace can only be entered while
there is one thread, and numerical libraries start theirs when they are imported.
"""

import os

from node import observe
from node.pool.containment import die_with, leave_network

observe.name_process("forkserver")
die_with(os.getppid())
leave_network()
# Each job's process, from its first moment: an orphan would go on writing into staging.
_server = os.getpid()
os.register_at_fork(after_in_child=lambda: die_with(_server))
