"""Who a request comes from: only tokens that are surely right say so."""

import json
import time
from collections.abc import Callable
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from tandem_chat.adapters.sign_in.oidc import OidcTokens
from tandem_chat.application.authenticate import Authenticate
from tandem_chat.domain.errors import SignInUnavailableError, UnauthenticatedError
from tandem_chat.domain.owner import LOCAL_OWNER

ISSUER, AUDIENCE = "https://issuer.example", "tandem"
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
JWKS = {"keys": [{**json.loads(RSAAlgorithm.to_jwk(KEY.public_key())), "kid": "one", "alg": "RS256"}]}


def token(key: Any = KEY, algorithm: str = "RS256", kid: str | None = "one", **claims: Any) -> str:
    now = int(time.time())
    payload = {"iss": ISSUER, "aud": AUDIENCE, "sub": "ada", "iat": now, "exp": now + 600} | claims
    kept = {name: value for name, value in payload.items() if value is not None}
    return jwt.encode(kept, key, algorithm=algorithm, headers={"kid": kid} if kid else None)


class Issuer:
    """Publishes keys, and counts how often it is asked."""

    def __init__(self) -> None:
        self.asked = 0
        self.answer: Callable[[], httpx.Response] = lambda: httpx.Response(200, json=JWKS)

    def tokens(self) -> OidcTokens:
        def asked(request: httpx.Request) -> httpx.Response:
            self.asked += 1
            return self.answer()

        client = httpx.AsyncClient(transport=httpx.MockTransport(asked))
        return OidcTokens(issuer=ISSUER, audience=AUDIENCE, jwks_url=f"{ISSUER}/keys", client=client)


@pytest.fixture
def issuer() -> Issuer:
    return Issuer()


async def test_everybody_is_the_local_owner_where_nobody_has_to_sign_in() -> None:
    assert await Authenticate([]).owner_of(None) == LOCAL_OWNER
    assert await Authenticate([]).owner_of("whatever") == LOCAL_OWNER


async def test_token_of_the_issuer_names_its_owner_and_keys_are_fetched_once(issuer: Issuer) -> None:
    authenticate = Authenticate([issuer.tokens()])
    assert await authenticate.owner_of(token()) == "ada"
    assert await authenticate.owner_of(token(sub="bob")) == "bob"
    assert issuer.asked == 1


WRONG: dict[str, Callable[[], str | None]] = {
    "nothing": lambda: None,
    "an empty one": lambda: "",
    "no token at all": lambda: "abc",
    "garbage with dots": lambda: "a.b.c",
    "another key's signature": lambda: token(OTHER_KEY),
    "an unknown key id": lambda: token(kid="two"),
    "no key id": lambda: token(kid=None),
    "expired": lambda: token(exp=int(time.time()) - 60),
    "not valid yet": lambda: token(nbf=int(time.time()) + 600),
    "another audience": lambda: token(aud="somebody-else"),
    "another issuer": lambda: token(iss="https://evil.example"),
    "no expiry": lambda: token(exp=None),
    "no subject": lambda: token(sub=None),
    "a subject that is no text": lambda: token(sub=7),
    "an empty subject": lambda: token(sub=""),
    "the local owner's name": lambda: token(sub=LOCAL_OWNER),
    "an endless subject": lambda: token(sub="x" * 300),
    "alg none": lambda: token(None, "none"),
    "the public key as a secret": lambda: token("public key" * 8, "HS256"),
    "an endless token": lambda: "a." + "b" * 20_000 + ".c",
}


@pytest.mark.parametrize("name", WRONG)
async def test_any_other_token_is_refused(issuer: Issuer, name: str) -> None:
    with pytest.raises(UnauthenticatedError):
        await Authenticate([issuer.tokens()]).owner_of(WRONG[name]())


async def test_made_up_key_ids_do_not_have_the_issuer_asked_each_time(issuer: Issuer) -> None:
    tokens = issuer.tokens()
    for number in range(20):
        with pytest.raises(UnauthenticatedError):
            await tokens.owner_of(token(kid=f"made-up-{number}"))
    assert issuer.asked == 1


@pytest.mark.parametrize(
    "answer",
    [
        lambda: httpx.Response(503),
        lambda: httpx.Response(200, text="<html>"),
        lambda: httpx.Response(200, json=["keys"]),
        lambda: httpx.Response(200, json={"keys": []}),
    ],
)
async def test_sign_in_is_told_to_be_unavailable_when_the_issuer_gives_no_keys(
    issuer: Issuer, answer: Callable[[], httpx.Response]
) -> None:
    issuer.answer = answer
    with pytest.raises(SignInUnavailableError):
        await issuer.tokens().owner_of(token())
