"""Who may do what: people, their places in the hierarchy, their sessions."""

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, String, Table, Text, UniqueConstraint

from . import Id, company_metadata

people = Table(
    "people",
    company_metadata,
    Column("id", Id, primary_key=True, autoincrement=False),
    Column("version", BigInteger, nullable=False),
    Column("username", String(100), nullable=False),
    Column("name", String(200), nullable=False),
    Column("email", String(254)),
    Column("role", String(32), nullable=False),
    Column("state", String(16), nullable=False),  # active, pending, suspended
    Column("manager_id", BigInteger),  # of a salesperson
    Column("salesperson_id", BigInteger),  # of a warrior
    Column("partner_company_id", BigInteger),  # of a warrior or a partner
    Column("data_visibility", String(8), nullable=False),  # Own or All
    Column("capacity", Integer),
    Column("created_at", BigInteger, nullable=False),
    UniqueConstraint("username"),
)

partner_companies = Table(
    "partner_companies",
    company_metadata,
    Column("id", Id, primary_key=True, autoincrement=False),
    Column("name", String(200), nullable=False, unique=True),
)

sessions = Table(
    "sessions",
    company_metadata,
    Column("id", Id, primary_key=True, autoincrement=False),
    Column("person_id", BigInteger, nullable=False),
    Column("platform", String(16), nullable=False),
    Column("token_hash", LargeBinary(32), unique=True),  # of the cookie; NULL for token clients
    Column("device", Text, nullable=False),
    Column("ip", String(45), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("seen_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("ended_at", BigInteger),
    Index(None, "person_id", "ended_at"),
)

refreshes = Table(  # every refresh token ever given for a session that lives; a used one that comes again is a theft
    "refreshes",
    company_metadata,
    Column("hash", LargeBinary(32), primary_key=True),
    Column("session_id", BigInteger, nullable=False),
    Column("used_at", BigInteger),
    Index(None, "session_id"),
)
