"""The web role: the node's status, live, and the review of what is held; of the identified zone."""
