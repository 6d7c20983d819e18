"""The role that sends releases to their destinations. Start reading at `role.run`.

It reads the outbox and its configuration and nothing else: no name in its reach is an original one.
"""
