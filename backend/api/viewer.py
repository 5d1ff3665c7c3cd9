"""Who calls an API route, as a dependency, so that the document says how to sign in."""

from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import APIKeyCookie, HTTPBearer

from ..callers import Caller, caller_of

_bearer = HTTPBearer(auto_error=False, description="An access token of `POST /auth/login`.")
_cookie = APIKeyCookie(
    name="leadfloor", auto_error=False, description="The screens' session; writes need `X-CSRF-Token`."
)


async def signed_in(request: Request, _b: object = Depends(_bearer), _c: object = Depends(_cookie)) -> Caller:
    """The caller of an API route. Raises NotSignedIn, or NotAllowed for a write by cookie without its proof."""
    return await caller_of(request)


SignedInCaller = Annotated[Caller, Depends(signed_in)]
