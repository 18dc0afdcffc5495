"""Sets up and runs all of Tandem on one machine: virtual environments, small model, emulator, services, tests."""
