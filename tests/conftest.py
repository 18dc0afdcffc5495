"""Makes the shared fixtures known to every tier; each starts only when a test asks for it."""

pytest_plugins = ["tests.support.emulator", "tests.support.postgres", "tests.support.stack"]
