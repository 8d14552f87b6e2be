import pytest

from gateway.ws import endpoint


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine may stop the event loop, which tests and servers share, for longer than a hello may take."""
    monkeypatch.setattr(endpoint, "HELLO_SECONDS", 60.0)
