"""A pseudonym is one patient's: the first who goes out under it in a domain has it for good.

Generated ones are alike by chance once in 2^65; those of a lookup are as people write them, and a
file that was edited gives one that is out to somebody else. No override passes this: two patients
would be one at the destination, and nobody could part them again.
"""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.dialects.sqlite import insert

from node.inbox.tables import pseudonym
from node.process.workplace import Transaction
from node.validate import InstanceFacts

ANOTHERS = (
    "its pseudonym is another patient's already: give this patient one of its own in the profile's"
    " lookup, and requeue the study"
)


def claim(transaction: Transaction, domain: str, facts: InstanceFacts) -> bool:
    """Take a pseudonym for the patient of these facts; False if it is another patient's."""
    row = {"domain": domain, "pseudonym": facts.patient_id, "witness": facts.witness}
    taken = insert(pseudonym).values(row).on_conflict_do_nothing()
    transaction.conn.execute(taken)
    owner = transaction.conn.execute(
        select(pseudonym.c.witness).where(
            pseudonym.c.domain == domain, pseudonym.c.pseudonym == facts.patient_id
        )
    ).scalar_one()
    return bool(owner == facts.witness)
