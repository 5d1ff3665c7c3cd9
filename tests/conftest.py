"""Fixtures: a furnished floor, built once and copied for each test."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from .world import World, a_world


@pytest.fixture(scope="session")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with the two companies of `world.py`, closed."""
    folder = tmp_path_factory.mktemp("furnished") / "data"

    async def furnish() -> None:
        async with a_world(folder):
            pass

    asyncio.run(furnish())
    return folder


@pytest.fixture
def folder(furnished: Path, tmp_path: Path) -> Iterator[Path]:
    shutil.copytree(furnished, tmp_path / "data")
    yield tmp_path / "data"


@pytest.fixture
async def world(folder: Path) -> AsyncIterator[World]:
    async with a_world(folder) as world:
        yield world
