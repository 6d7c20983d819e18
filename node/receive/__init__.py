"""The receiving role: a Storage SCP that admits peers and keeps what they send, durably.

`role.run` is the story, `session.serve` one association's, `store.store` one instance's.
"""
