"""The journal and what keeps it honest. `store/journal.py` is the only writer of the first four."""

from sqlalchemy import BigInteger, Column, Index, LargeBinary, SmallInteger, String, Table, Text

from . import Id, company_metadata

head = Table(  # one row: how far the journal is, and the version of the people table
    "head",
    company_metadata,
    Column("id", SmallInteger, primary_key=True, autoincrement=False),
    Column("epoch", String(8), nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("people_version", BigInteger, nullable=False),
)

journal = Table(
    "journal",
    company_metadata,
    Column("number", Id, primary_key=True, autoincrement=False),
    Column("at", BigInteger, nullable=False),
    Column("kind", String(40), nullable=False),
    Column("actor", BigInteger),  # a person, or NULL for a machine, which `via` then names
    Column("via", String(40)),
    Column("lead_id", BigInteger),
    Column("version", BigInteger),
    Column("side", SmallInteger, nullable=False),  # for keys that see everything: 1 it was there, 2 it is there
    Column("batch", BigInteger),
    Column("body_digest", LargeBinary(32), nullable=False),  # salted; it stays when the body is erased
    Column("digest", LargeBinary(32), nullable=False),  # of the row and the body's digest
    Index(None, "lead_id", "number"),
    Index(None, "batch"),
)

journal_body = Table(  # what an erase may remove; the digest in `journal` still proves what was there
    "journal_body",
    company_metadata,
    Column("number", Id, primary_key=True, autoincrement=False),
    Column("salt", LargeBinary(16), nullable=False),
    Column("body", LargeBinary, nullable=False),
)

journal_audience = Table(  # who could see the subject before (1) and after (2); kept 7 days, for resume alone
    "journal_audience",
    company_metadata,
    Column("key", String(40), primary_key=True),
    Column("number", BigInteger, primary_key=True),
    Column("side", SmallInteger, nullable=False),
    Index(None, "number"),
    sqlite_with_rowid=False,
)

journal_seal = Table(  # the hash chain: each link covers the facts since the one before
    "journal_seal",
    company_metadata,
    Column("number", Id, primary_key=True, autoincrement=False),
    Column("at", BigInteger, nullable=False),
    Column("link", LargeBinary(32), nullable=False),
)

idempotency = Table(  # answers already given, for 24 hours
    "idempotency",
    company_metadata,
    Column("person_id", BigInteger, primary_key=True),
    Column("key", String(255), primary_key=True),
    Column("digest", LargeBinary(32), nullable=False),
    Column("status", SmallInteger, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("at", BigInteger, nullable=False),
    Index(None, "at"),
)

settings = Table(
    "settings",
    company_metadata,
    Column("name", String(64), primary_key=True),
    Column("value", Text, nullable=False),  # JSON
)
