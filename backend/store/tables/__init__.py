"""The tables, one file per context. Integers, text and bytes only; times are microseconds UTC, money is in minor units."""

from sqlalchemy import BigInteger, Integer, MetaData

NAMES = {  # every constraint has a name, or SQLite's batch migrations could not drop it
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
}

control_metadata = MetaData(naming_convention=NAMES)
company_metadata = MetaData(naming_convention=NAMES)

Id = BigInteger().with_variant(Integer(), "sqlite")
"""A single-column key. SQLite takes only the word INTEGER for its own row id, which saves it a second index."""
