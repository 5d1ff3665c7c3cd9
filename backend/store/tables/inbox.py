"""What came in: raw deliveries and their units, conversations and messages."""

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from . import Id, company_metadata

deliveries = Table(  # the provider's bytes as they came
    "deliveries",
    company_metadata,
    Column("id", Id, primary_key=True, autoincrement=False),
    Column("channel", String(32), nullable=False),
    Column("received_at", BigInteger, nullable=False),
    Column("body", LargeBinary, nullable=False),
)

units = Table(  # the ledger: received = processed + ignored + quarantined + failed + pending
    "units",
    company_metadata,
    Column("delivery_id", BigInteger, primary_key=True),
    Column("n", Integer, primary_key=True),
    Column("kind", String(32), nullable=False),
    Column("provider_id", String(512)),
    Column("state", String(16), nullable=False),
    Column("reason", Text),
    Column("attempts", SmallInteger, nullable=False),
    Column("next_at", BigInteger),
    Index(None, "state", "next_at"),
    sqlite_with_rowid=False,
)

channel_accounts = Table(
    "channel_accounts",
    company_metadata,
    Column("channel", String(32), primary_key=True),
    Column("account", String(64), primary_key=True),
    Column("name", String(200), nullable=False),
    Column("access_token", LargeBinary, nullable=False),  # sealed
)

conversations = Table(
    "conversations",
    company_metadata,
    Column("id", Id, primary_key=True, autoincrement=False),
    Column("lead_id", BigInteger, nullable=False),
    Column("channel", String(32), nullable=False),
    Column("account", String(64), nullable=False),
    Column("opened_at", BigInteger, nullable=False),
    Column("last_message_at", BigInteger, nullable=False),
    Column("last_inbound_at", BigInteger),  # the 24-hour window of the provider counts from here
    Column("unread", Integer, nullable=False),
    UniqueConstraint("lead_id", "channel", "account"),
)

messages = Table(
    "messages",
    company_metadata,
    Column("id", Id, primary_key=True, autoincrement=False),
    Column("conversation_id", BigInteger, nullable=False),
    Column("lead_id", BigInteger, nullable=False),
    Column("account", String(64), nullable=False),
    Column("provider_id", String(512), nullable=False),
    Column("direction", String(8), nullable=False),  # in, out
    Column("type", String(32), nullable=False),
    Column("text", Text, nullable=False),
    Column("data", LargeBinary, nullable=False),  # JSON: what the type carries beside its text
    Column("reply_to", String(512)),
    Column("sent_at", BigInteger, nullable=False),
    Column("received_at", BigInteger, nullable=False),
    UniqueConstraint("account", "provider_id"),
    Index(None, "conversation_id", "id"),
)

message_states = (
    Table(  # how far an outgoing message got, kept by the provider's id, so that it may come before the message
        "message_states",
        company_metadata,
        Column("account", String(64), primary_key=True),
        Column("provider_id", String(512), primary_key=True),
        Column("state", String(16), nullable=False),
        Column("reason", Text),
        Column("times", Text, nullable=False),  # JSON: state -> when the provider says it was reached
    )
)

reactions = Table(
    "reactions",
    company_metadata,
    Column("account", String(64), primary_key=True),
    Column("target", String(512), primary_key=True),  # the provider's id of the message
    Column("who", String(200), primary_key=True),
    Column("emoji", String(32), nullable=False),
    Column("at", BigInteger, nullable=False),
)
