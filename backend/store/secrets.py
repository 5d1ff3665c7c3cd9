"""Secrets at rest and derived keys. A sealed value is bound to its place: copied to another row it does not open."""

import hashlib
import hmac
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

VERSION = b"\x01"


class SealBroken(Exception):
    """Another key, another place, or altered bytes."""


class Keys:
    """Keys derived from the deployment's one secret, each for one purpose."""

    def __init__(self, secret: str) -> None:
        self._secret = secret.encode()

    def derived(self, purpose: str) -> bytes:
        """32 bytes for this purpose alone."""
        return hmac.digest(self._secret, b"leadfloor/" + purpose.encode(), "sha256")

    def seal(self, value: bytes, place: str) -> bytes:
        """AES-256-GCM, bound to `place` (table, column and row in words)."""
        nonce = os.urandom(12)
        return VERSION + nonce + AESGCM(self.derived("seal")).encrypt(nonce, value, place.encode())

    def unseal(self, sealed: bytes, place: str) -> bytes:
        if sealed[:1] != VERSION:
            raise SealBroken(f"The value at {place} was not sealed by this version.")
        try:
            return AESGCM(self.derived("seal")).decrypt(sealed[1:13], sealed[13:], place.encode())
        except (InvalidTag, ValueError):  # ValueError: cut so short that there is not even a nonce
            raise SealBroken(f"The value at {place} does not open with this key.") from None


def hashed(token: str) -> bytes:
    """What is kept of a random token: SHA-256 is enough, nobody guesses 256 random bits."""
    return hashlib.sha256(token.encode()).digest()
