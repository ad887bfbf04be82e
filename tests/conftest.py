"""What every test tree shares: pytester, to run pytest inside a test, and property tests that go by no clock."""

from hypothesis import settings

pytest_plugins = ["pytester"]

settings.register_profile("without a clock", deadline=None)
settings.load_profile("without a clock")
