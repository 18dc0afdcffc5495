"""The kinds of bearer tokens: API keys of our own, and JWTs of an OpenID Connect issuer."""
