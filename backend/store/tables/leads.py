"""Leads and their reach."""

from sqlalchemy import BigInteger, Column, Index, Integer, String, Table, Text, text

from . import Id, company_metadata


def _where_known(column: str) -> Index:
    # most leads have no warrior, partner or support: no need to index what is not there
    return Index(None, column, sqlite_where=text(f"{column} IS NOT NULL"))


leads = Table(
    "leads",
    company_metadata,
    Column("id", Id, primary_key=True, autoincrement=False),
    Column("version", BigInteger, nullable=False),
    Column("status", String(16), nullable=False),
    Column("status_at", BigInteger, nullable=False),
    Column("rank", BigInteger, nullable=False),  # place on the board, ascending
    Column("name", String(400), nullable=False),
    Column("firm_name", String(200)),
    Column("first_name", String(150)),
    Column("last_name", String(150)),
    Column("email", String(254)),
    Column("phone", String(50)),
    Column("phone_reversed", String(50)),  # digits, last first: a suffix search is a prefix search of this
    Column("source", String(40), nullable=False),
    Column("event_name", String(150)),
    Column("word_of_mouth_type", String(50)),
    Column("other_source_type", String(150)),
    Column("lead_type", String(40)),
    Column("industry", String(80)),
    Column("nature_of_business", String(80)),
    Column("erp", String(80)),
    Column("city", String(100)),
    Column("zip_code", String(20)),
    Column("comments", Text),
    Column("value", BigInteger),  # minor units
    Column("currency", String(3), nullable=False),
    Column("salesperson_id", BigInteger),
    Column("warrior_id", BigInteger),
    Column("partner_company_id", BigInteger),
    Column("support_id", BigInteger),
    Column("lost_reason", String(200)),
    Column("next_followup_at", BigInteger),
    Column("last_message", String(200)),
    Column("last_message_at", BigInteger),
    Column("waiting_since", BigInteger),  # the customer wrote and nobody has answered yet
    Column("unread", Integer, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("created_by", BigInteger),
    Column("created_via", String(40)),
    Column("updated_at", BigInteger, nullable=False),
    Column("updated_by", BigInteger),
    Column("updated_via", String(40)),
    Column("archived_at", BigInteger),
    Index(None, "status", "rank", "id"),
    _where_known("salesperson_id"),
    _where_known("warrior_id"),
    _where_known("partner_company_id"),
    _where_known("support_id"),
    _where_known("phone_reversed"),
)

lead_shares = Table(
    "lead_shares",
    company_metadata,
    Column("lead_id", BigInteger, primary_key=True),
    Column("person_id", BigInteger, primary_key=True),
    Column("kind", String(8), primary_key=True),  # share, ticket
    Index(None, "person_id"),
    sqlite_with_rowid=False,
)

identities = Table(  # who a message is from; at most one lead per identity
    "identities",
    company_metadata,
    Column("kind", String(24), primary_key=True),
    Column("value", String(200), primary_key=True),
    Column("lead_id", BigInteger, nullable=False),
    Index(None, "lead_id"),
    sqlite_with_rowid=False,
)

lead_words = Table(  # every word of name and firm, folded; search is by prefix
    "lead_words",
    company_metadata,
    Column("word", String(60), primary_key=True),
    Column("lead_id", BigInteger, primary_key=True),
    Index(None, "lead_id"),
    sqlite_with_rowid=False,
)

lead_access = Table(  # the keys that a lead can be seen under; keys that see everything have no rows here
    "lead_access",
    company_metadata,
    Column("key", String(40), primary_key=True),
    Column("lead_id", BigInteger, primary_key=True),
    Column("status", String(16), nullable=False),
    Column("rank", BigInteger, nullable=False),
    Index(None, "key", "status", "rank", "lead_id"),
    Index(None, "lead_id"),
    sqlite_with_rowid=False,
)

lead_counts = Table(  # per key and status; `all` for everything, `owner:<id>` for the open load of a salesperson
    "lead_counts",
    company_metadata,
    Column("key", String(40), primary_key=True),
    Column("status", String(16), primary_key=True),
    Column("n", BigInteger, nullable=False),
    Column("value", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

rekeys = Table(  # leads whose new keys are still owed after somebody moved in the hierarchy
    "rekeys",
    company_metadata,
    Column("lead_id", Id, primary_key=True, autoincrement=False),
)
