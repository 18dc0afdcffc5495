"""The HTTP app: its routers, its errors, its start and its end."""
