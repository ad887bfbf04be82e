"""What every test tree shares: pytester, to run pytest inside a test."""

pytest_plugins = ["pytester"]
