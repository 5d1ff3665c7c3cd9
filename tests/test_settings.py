"""The environment, read once: names, values, `.env`, and what production refuses."""

from dataclasses import FrozenInstanceError, fields
from pathlib import Path

import pytest

from backend.settings import Settings, UnsafeSettings, read

SAFE = {
    "LEADFLOOR_ENV": "production",
    "LEADFLOOR_SECRET_KEY": "k" * 32,
    "LEADFLOOR_PUBLIC_URL": "https://floor.example",
}
SECRET = ("secret_key", "meta_app_secret", "meta_verify_token", "llm_key", "demo_password", "database_url", "smtp_url")


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder without a `.env` of somebody's own."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_without_an_environment_the_defaults_hold() -> None:
    assert read({}) == Settings() and not read({}).production and read({}).host == "127.0.0.1"


def test_the_environment_wins_over_the_defaults_and_the_command_line_over_both() -> None:
    environ = {"LEADFLOOR_PORT": "9000", "LEADFLOOR_DATA": "/srv/floor", "PATH": "/bin"}
    settings = read(environ, port=9001)
    assert (settings.port, settings.data) == (9001, Path("/srv/floor"))


def test_every_setting_can_come_from_the_environment() -> None:
    given = {
        f.name: {"port": "1", "bcrypt_rounds": "5", "env": "development", "log_format": "json"}
        for f in fields(Settings)
    }
    for name in given:
        value = given[name].get(name, "" if name == "database_url" else "x")
        assert str(getattr(read({f"LEADFLOOR_{name.upper()}": value}), name)) == value


def test_a_file_called_env_is_read_and_the_environment_wins_over_it(elsewhere: Path) -> None:
    (elsewhere / ".env").write_text("LEADFLOOR_PORT=9000\nLEADFLOOR_HOST='0.0.0.0'\nOTHER=1\n# LEADFLOOR_TYPO=1\n")
    assert (read({}).port, read({}).host) == (9000, "0.0.0.0")
    assert read({"LEADFLOOR_PORT": "9001"}).port == 9001


@pytest.mark.parametrize("name", ["LEADFLOOR_SECRETKEY", "LEADFLOOR_", "LEADFLOOR_PRODUCTION", "LEADFLOOR_READ"])
@pytest.mark.parametrize("where", ["environment", "file"])
def test_an_unknown_name_with_the_prefix_is_an_error(elsewhere: Path, name: str, where: str) -> None:
    if where == "file":
        (elsewhere / ".env").write_text(f"{name}=1\n")
    with pytest.raises(UnsafeSettings, match=rf"^{name} is not a setting"):
        read({name: "1"} if where == "environment" else {})


def test_names_without_the_prefix_are_nobodys_business() -> None:
    assert read({"SECRET_KEY": "x", "PORT": "1", "XLEADFLOOR_PORT": "1"}) == Settings()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LEADFLOOR_PORT", "eighty"),
        ("LEADFLOOR_PORT", ""),
        ("LEADFLOOR_PORT", "65536"),
        ("LEADFLOOR_PORT", "-1"),
        ("LEADFLOOR_BCRYPT_ROUNDS", "12.5"),
        ("LEADFLOOR_BCRYPT_ROUNDS", "3"),
        ("LEADFLOOR_BCRYPT_ROUNDS", "17"),
        ("LEADFLOOR_ENV", "prod"),
        ("LEADFLOOR_ENV", "Production"),
        ("LEADFLOOR_LOG_FORMAT", "xml"),
        ("LEADFLOOR_DATABASE_URL", "mysql+asyncmy://root@localhost/floor"),
    ],
)
def test_a_value_that_can_not_be_meant_is_refused_by_the_name_of_its_setting(name: str, value: str) -> None:
    with pytest.raises(UnsafeSettings, match=name):
        read({name: value})


def test_production_starts_with_safe_settings() -> None:
    assert read(SAFE).production and read(SAFE).https


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LEADFLOOR_SECRET_KEY", None),
        ("LEADFLOOR_SECRET_KEY", ""),
        ("LEADFLOOR_SECRET_KEY", "k" * 31),
        ("LEADFLOOR_PUBLIC_URL", None),
        ("LEADFLOOR_PUBLIC_URL", "http://floor.example"),
        ("LEADFLOOR_PUBLIC_URL", "floor.example"),
        ("LEADFLOOR_BCRYPT_ROUNDS", "9"),
    ],
)
def test_production_refuses_what_is_unsafe_by_the_name_of_the_setting(name: str, value: str | None) -> None:
    environ = {k: v for k, v in {**SAFE, name: value}.items() if v is not None}
    with pytest.raises(UnsafeSettings, match=name):
        read(environ)
    assert not read({**environ, "LEADFLOOR_ENV": "development"}).production


def test_no_secret_is_in_what_is_printed_of_the_settings() -> None:
    settings = Settings(**dict.fromkeys(SECRET, "hunter2"))
    assert "hunter2" not in f"{settings!r} {settings} {[settings]}"


@pytest.mark.parametrize("name", ["LEADFLOOR_SECRET_KEY", "LEADFLOOR_DATABASE_URL"])
def test_no_secret_is_in_what_is_said_of_a_refusal(name: str) -> None:
    with pytest.raises(UnsafeSettings) as refused:
        read({**SAFE, name: "mysql://hunter2"})
    assert "hunter2" not in str(refused.value)


def test_settings_do_not_change() -> None:
    with pytest.raises(FrozenInstanceError):
        Settings().port = 1  # type: ignore[misc]
