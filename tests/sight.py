"""Who sees what, said once more and plainly, as the role table of the contract says it: no keys, no unions."""

from backend.access.scope import People, Person
from backend.leads.fields import LeadRow, Shares

IN_WORK = {"contacted", "qualified", "demo", "proposal", "trial", "won"}


def sees(person: Person, row: LeadRow, shares: Shares, people: People) -> bool:
    """Whether somebody sees a lead. The pool is open."""
    if row.archived_at is not None:
        return False
    warrior = people.by_id.get(row.warrior_id or 0)
    owner = people.by_id.get(row.salesperson_id or 0)
    above = people.by_id.get(warrior.salesperson_id or 0) if warrior else None
    shared_with = {who for who, kind in shares if kind == "share"}
    match person.role:
        case "ADMIN" | "DEV" | "GUEST" | "INTEGRATION":
            return True
        case "MANAGER":
            return owner is None or person.id in {p.manager_id for p in (owner, above) if p}
        case "SALESPERSON":
            return person.id in {row.salesperson_id, *shared_with, above.id if above else None}
        case "COSALES":
            return (owner is not None or bool(shared_with)) and row.status != "unqualified"
        case "WARRIOR" if person.data_visibility == "All" and person.partner_company_id is not None:
            theirs = warrior.partner_company_id if warrior else None
            return row.status in IN_WORK and theirs == person.partner_company_id
        case "WARRIOR":
            return row.status in IN_WORK and row.warrior_id == person.id
        case "PARTNER":
            return row.status in IN_WORK and row.partner_company_id == person.partner_company_id is not None
        case "CUSTOMER_SUCCESS":
            supports = row.support_id == person.id and row.status in ("trial", "won")
            return owner is None or supports or (person.id, "ticket") in shares
        case _:
            return False
