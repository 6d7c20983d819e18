"""What the fork server imports last, before the first job; nobody else imports this."""

from node.process.warming import warm_up

warm_up()
