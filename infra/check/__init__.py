"""Checks infra/terraform without a cloud: `python -m infra.check`."""
