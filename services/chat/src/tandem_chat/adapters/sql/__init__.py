"""Chat's store on SQLAlchemy, for SQLite and Postgres alike."""
