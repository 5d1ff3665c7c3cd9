"""The control database: which companies there are, who signs in where, which channel account belongs to whom."""

from sqlalchemy import BigInteger, Column, LargeBinary, String, Table, Text, UniqueConstraint

from . import Id, control_metadata

companies = Table(
    "companies",
    control_metadata,
    Column("id", Id, primary_key=True, autoincrement=False),
    Column("slug", String(40), nullable=False, unique=True),
    Column("name", String(200), nullable=False),
    Column("state", String(16), nullable=False),
    Column("created_at", BigInteger, nullable=False),
)

signins = Table(  # the credential; what the person may do is in the company's `people`
    "signins",
    control_metadata,
    Column("company_id", BigInteger, primary_key=True),
    Column("person_id", BigInteger, primary_key=True),
    Column("username", String(100), nullable=False),  # casefolded
    Column("email", String(254)),  # casefolded
    Column("password_hash", String(100), nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    UniqueConstraint("company_id", "username"),
    UniqueConstraint("company_id", "email"),
)

channel_routes = Table(
    "channel_routes",
    control_metadata,
    Column("channel", String(32), primary_key=True),
    Column("account", String(64), primary_key=True),  # the provider's id: a phone_number_id, a Page id, …
    Column("company_id", BigInteger, nullable=False),
    Column("secret", LargeBinary),  # sealed; NULL: the deployment's own app secret
)

unrouted = Table(  # authentic bytes that no company owns or that can't be read; for the operator
    "unrouted",
    control_metadata,
    Column("id", Id, primary_key=True, autoincrement=False),
    Column("channel", String(32), nullable=False),
    Column("received_at", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),
)
