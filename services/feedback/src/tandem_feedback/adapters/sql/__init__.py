"""Jobs on SQLAlchemy, for SQLite and Postgres alike."""
