"""What the fork server does before anything else is imported into it; nobody else imports this.

It must come first in the list of preloaded modules: a user namespace can only be entered while
there is one thread, and numerical libraries start theirs when they are imported.
"""

from node.pool.containment import die_with_parent, leave_network

die_with_parent()
leave_network()
