"""A pseudonym is one patient's: the first who goes out under it in a domain has it for good.

Generated ones are alike by chance once in 2^65; those of a lookup are as people write them, and a
file that was edited gives one that is out to somebody else. No override passes this: two patients
would be one at the destination, and nobody could part them again.
"""

from __future__ import annotations

from sqlalchemy import bindparam, insert, select

from node.inbox.index import AnyRow
from node.inbox.tables import generation, instance, pseudonym
from node.process.finished import Finished
from node.process.workplace import Transaction

ANOTHERS = (
    "its pseudonym is another patient's already: give this patient one of its own in the profile's"
    " lookup, and requeue the study"
)

_OWNER = select(pseudonym.c.witness).where(
    pseudonym.c.domain == bindparam("in_domain"), pseudonym.c.pseudonym == bindparam("text")
)
_TAKE = insert(pseudonym)


def claim(transaction: Transaction, this: Finished, *, given: bool) -> bool:
    """Take a pseudonym for the patient of a study's generation; False if it is another patient's.

    `given` tells that people give the pseudonyms of its route. Then it is also asked who went out
    under this one before the node kept whose it is.
    """
    conn, facts, domain = transaction.conn, this.facts[0], this.generation.domain
    pair = {"in_domain": domain, "text": facts.patient_id}
    owner = conn.execute(_OWNER, pair).scalar()
    if owner is not None:
        return bool(owner == facts.witness)
    if given and _was_anothers(transaction, this.study, domain, facts.patient_id):
        return False
    values = {"domain": domain, "pseudonym": facts.patient_id, "witness": facts.witness}
    conn.execute(_TAKE, values)
    return True


def _was_anothers(transaction: Transaction, row: AnyRow, domain: str, text: str) -> bool:
    """Tell whether an earlier release under a pseudonym is of another patient, as received."""
    mine = select(instance.c.patient_digest).where(instance.c.study == row.id)
    query = (
        select(generation.c.study)
        .join(instance, instance.c.study == generation.c.study)
        .where(
            generation.c.domain == domain,
            generation.c.patient_id == text,
            generation.c.released_at.is_not(None),
            generation.c.study != row.id,
            instance.c.released,
            instance.c.patient_digest.not_in(mine),
        )
    )
    return transaction.conn.execute(query.limit(1)).first() is not None
