"""Hostile bodies, and a world that many refusals may share."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.world import World

SAMPLES = Path(__file__).parents[1] / "samples" / "hostile"


@pytest.fixture
def hostile() -> Callable[[str], bytes]:
    """The bytes of a sample by its file name."""
    return lambda name: (SAMPLES / name).read_bytes()


@pytest.fixture
def shared(world: World) -> World:
    return world
