"""The ways the hub says no, one class per HTTP status. Translated at two edges only: `api/problems.py` and `ui/shell.py`."""

from typing import Any, ClassVar


class HubError(Exception):
    """A refusal in words for people. `code` is stable for programs; `extra` goes into the problem document as it is."""

    status: ClassVar[int] = 500
    code: str = "error"

    def __init__(self, message: str, *, code: str | None = None, **extra: Any) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or type(self).code
        self.extra = extra


class Invalid(HubError):
    """What was sent can't mean anything; `field` names the culprit."""

    status = 422
    code = "invalid"

    def __init__(self, message: str, *, field: str | None = None, code: str | None = None) -> None:
        errors = {"errors": [{"field": field, "message": message}]} if field else {}
        super().__init__(message, code=code, **errors)


class NotSignedIn(HubError):
    status = 401
    code = "not_signed_in"


class NotAllowed(HubError):
    """In reach, but this role may not do it."""

    status = 403
    code = "not_allowed"


class NotFound(HubError):
    """Absent, or out of reach: the two look exactly the same."""

    status = 404
    code = "not_found"

    def __init__(self, message: str = "There is nothing here that you can see.") -> None:
        super().__init__(message)


class Conflict(HubError):
    status = 409
    code = "conflict"


class Stale(Conflict):
    """The version that the write saw is no longer the current one."""

    code = "stale"


class TooMany(HubError):
    """`retry_after` in seconds."""

    status = 429
    code = "too_many"

    def __init__(self, message: str, *, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class ProviderFailed(HubError):
    status = 502
    code = "provider_failed"


class Unavailable(HubError):
    """The store can't answer just now; nothing was written. The caller may try again."""

    status = 503
    code = "unavailable"
    retry_after = 2

    def __init__(self, message: str = "The store is not available just now; nothing was written. Try again.") -> None:
        super().__init__(message)
