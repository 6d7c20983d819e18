"""Open what a run works with: index, keys, profiles, the chain of releases, the clock."""

from __future__ import annotations

import os
from contextlib import ExitStack

from node.config import NodeConfig
from node.inbox.digests import digests_of
from node.inbox.index import open_index, set_meta
from node.inbox.layout import Inbox
from node.outbox.chain import find_head
from node.outbox.layout import Outbox
from node.outbox.signing import ensure_signing_key
from node.pool import default_slots
from node.process.clock import load_anchor, read_anchor, save_anchor, start_clock
from node.process.keys import settle_key
from node.process.release import Chain
from node.process.workplace import Workplace
from node.profile import load_profile
from node.profile.key import fingerprint
from node.profile.recipe import Recipe


def open_workplace(config: NodeConfig, inbox: Inbox, closing: ExitStack) -> tuple[Workplace, Chain]:
    """Open everything, or raise what says why that cannot be; `closing` closes the index."""
    outbox = Outbox(config.outbox_dir)
    outbox.create()
    os.chmod(outbox.staging, 0o700)  # noqa: PTH101 -- no other role looks in there
    index = open_index(inbox.database)
    closing.callback(index.dispose)
    slots = config.process.workers or default_slots()
    with index.begin() as conn:
        key = settle_key(config.keys_dir / "pseudonym.key", inbox, outbox, conn)
        last = load_anchor(conn)
        clock = start_clock(last, read_anchor())
        save_anchor(conn, clock)
        set_meta(conn, "slots", str(slots))
    signing_key = ensure_signing_key(config.keys_dir / "manifest.key", outbox.public_key)
    recipes = {
        route.name: Recipe(
            load_profile(route.profile, config.folder),
            key,
            route.default_issuer,
            route.assume_charset,
        )
        for route in config.effective_routes
    }
    place = Workplace(
        config=config,
        inbox=inbox,
        outbox=outbox,
        index=index,
        clock=clock,
        digests=digests_of(key),
        key_fingerprint=fingerprint(key),
        signing_key=signing_key,
        recipes=recipes,
        slots=slots,
        last_seen=last.steady if last else 0.0,
    )
    return place, Chain(find_head(outbox.releases, signing_key.public_key()))
