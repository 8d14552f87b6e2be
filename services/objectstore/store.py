"""The object store that HITOK_MEDIA_URL names: a local folder, or any S3-compatible bucket."""

from datetime import timedelta
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from obstore.exceptions import BaseError
from obstore.store import LocalStore, ObjectStore, from_url

from services.kit.config import ConfigError

TIMEOUT = timedelta(seconds=30)  # per request, which is for a part or a range, never a whole file


def open_store(url: str, var: str) -> ObjectStore:
    """`file:///folder`, `s3://bucket/prefix?endpoint=…&region=…`, or what else obstore knows; "" is VAR/media.

    The query holds obstore's settings by name; credentials belong in the environment (AWS_ACCESS_KEY_ID, …).
    Does not connect yet. Raises ConfigError.
    """
    parts = urlsplit(url or Path(var, "media").absolute().as_uri())
    try:
        if parts.scheme == "file":
            return LocalStore(Path(parts.path), mkdir=True)
        config = dict(parse_qsl(parts.query, keep_blank_values=True))
        return from_url(  # type: ignore[call-overload, no-any-return]
            parts._replace(query="").geturl(),
            config=config,
            client_options={"allow_http": True, "timeout": TIMEOUT, "connect_timeout": timedelta(seconds=3)},
            retry_config={"max_retries": 3, "retry_timeout": TIMEOUT},
        )
    except (BaseError, OSError, ValueError) as error:
        raise ConfigError(f"HITOK_MEDIA_URL: {str(error).splitlines()[0]}") from None


def key_of(file: str) -> str:
    """The key of the file `<hash>.<extension>`."""
    return f"{file[:2]}/{file}"
