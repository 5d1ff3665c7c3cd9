"""The accounts of ours on the channels: what each is called, and its access token, which is only ever kept sealed."""

from ..store.statements import upsert
from ..store.tables.inbox import channel_accounts
from ..store.transactions import Tx

_PUT = upsert(channel_accounts, put=("name", "access_token"))


def token_place(channel: str, account: str) -> str:
    """What an account's access token is sealed for: it opens nowhere else."""
    return f"channel_accounts.access_token {channel} {account}"


def add_account(tx: Tx, channel: str, account: str, name: str, sealed: bytes) -> None:
    """An account that the company speaks from; `sealed` for `token_place`. Replaces the name and token there were."""
    tx.run(_PUT, channel=channel, account=account, name=name, access_token=sealed)
