"""Hostile bodies as attackers send them."""

from collections.abc import Callable
from pathlib import Path

import pytest

SAMPLES = Path(__file__).parents[1] / "samples" / "hostile"


@pytest.fixture
def hostile() -> Callable[[str], bytes]:
    """The bytes of a sample by its file name."""
    return lambda name: (SAMPLES / name).read_bytes()
