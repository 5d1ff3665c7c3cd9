"""The environment, read once into one frozen object; nobody else reads it. Names and meaning: README, "Settings"."""

import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path

from dotenv import dotenv_values

PREFIX = "LEADFLOOR_"


class UnsafeSettings(Exception):
    """The hub refuses to start; the text says which setting and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    data: Path = Path("data")
    database_url: str = ""
    redis_url: str = ""
    clickhouse_url: str = ""
    files_url: str = ""
    smtp_url: str = ""
    host: str = "127.0.0.1"
    port: int = 8080
    public_url: str = ""
    secret_key: str = ""
    env: str = "development"
    meta_app_secret: str = ""
    meta_verify_token: str = ""
    graph_url: str = ""
    llm_url: str = ""
    llm_key: str = ""
    llm_model: str = ""
    demo_password: str = ""
    bcrypt_rounds: int = 12
    log_format: str = "console"

    @property
    def production(self) -> bool:
        return self.env == "production"

    @property
    def https(self) -> bool:
        return self.public_url.startswith("https://")

    def __repr__(self) -> str:
        return f"Settings(data={self.data}, env={self.env}, host={self.host}, port={self.port})"


def read(environ: Mapping[str, str] | None = None, **overrides: object) -> Settings:
    """Settings from the environment, then `.env`, then `overrides` (command line) on top.

    Raises UnsafeSettings on an unknown name with the prefix, a value that can't be read, or an unsafe production setting.
    """
    given: dict[str, str] = {
        **{k: v or "" for k, v in dotenv_values(".env").items() if k.startswith(PREFIX)},
        **{k: v for k, v in (os.environ if environ is None else environ).items() if k.startswith(PREFIX)},
    }
    known = {f.name: f for f in fields(Settings)}
    values: dict[str, object] = {}
    for name, text in given.items():
        key = name.removeprefix(PREFIX).lower()
        if key not in known:
            raise UnsafeSettings(f"{name} is not a setting of Leadfloor; see README, Settings.")
        values[key] = _value(name, text, type(known[key].default))
    settings = Settings(**{**values, **overrides})  # type: ignore[arg-type]
    _refuse_unsafe(settings)
    return settings


def _value(name: str, text: str, kind: type) -> object:
    if issubclass(kind, Path):
        return Path(text)
    if kind is int:
        try:
            return int(text)
        except ValueError:
            raise UnsafeSettings(f"{name} must be a whole number, not {text!r}.") from None
    return text


def _refuse_unsafe(settings: Settings) -> None:
    if settings.env not in ("development", "production"):
        raise UnsafeSettings(f"{PREFIX}ENV must be development or production, not {settings.env!r}.")
    if settings.log_format not in ("console", "json"):
        raise UnsafeSettings(f"{PREFIX}LOG_FORMAT must be console or json.")
    if not 0 <= settings.port <= 65535:
        raise UnsafeSettings(f"{PREFIX}PORT must lie between 0 and 65535.")
    if not 4 <= settings.bcrypt_rounds <= 16:
        raise UnsafeSettings(f"{PREFIX}BCRYPT_ROUNDS must lie between 4 and 16.")
    if settings.database_url and not settings.database_url.startswith("sqlite"):
        raise UnsafeSettings(f"{PREFIX}DATABASE_URL: this version stores in SQLite only; leave it unset.")
    if not settings.production:
        return
    if len(settings.secret_key) < 32:
        raise UnsafeSettings(f"{PREFIX}SECRET_KEY is missing or shorter than 32 characters; production needs its own.")
    if not settings.https:
        raise UnsafeSettings(f"{PREFIX}PUBLIC_URL must be an https:// address in production.")
    if settings.bcrypt_rounds < 10:
        raise UnsafeSettings(f"{PREFIX}BCRYPT_ROUNDS must be at least 10 in production.")


def kept_secret(folder: Path, name: str, make: str = "") -> str:
    """A secret of this deployment, made once (`make`, else 256 random bits) and kept in `folder` with mode 600."""
    path = folder / name
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_name(f"{name}.unfinished")  # killed in between, it must not leave an empty secret behind
        unfinished.unlink(missing_ok=True)
        fd = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(fd, "w") as f:
            f.write(make or secrets.token_urlsafe(32))
            f.flush()
            os.fsync(f.fileno())
        unfinished.replace(path)
    kept = path.read_text().strip()
    if not kept:
        raise UnsafeSettings(f"{path} is empty; put the secret back, or remove the file to have a new one made.")
    return kept
