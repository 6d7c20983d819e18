"""What the server that senders are forked from does last; nobody else imports this."""

import gc

# Nothing of what was loaded is garbage, and looking for garbage would copy it into every sender.
gc.collect()
gc.freeze()
