"""Reads settings that are given as files, as orchestrators mount secrets: HITOK_JWT_SECRET_FILE=/run/secrets/jwt."""

import os
from collections.abc import Mapping

from deploy.local.errors import CONFIGURATION_ERROR, LocalError
from services.kit.config import FILE, PREFIX, ConfigError, read_variable


def read_environ(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The environment with each HITOK_<NAME>_FILE read into HITOK_<NAME>, and without empty settings: they count as
    unset. Raises LocalError."""
    given = {name: value for name, value in environ.items() if value or not name.startswith(PREFIX)}
    files = {name for name in given if name.startswith(PREFIX) and name.endswith(FILE)}
    try:
        read = {name.removesuffix(FILE): read_variable(name.removesuffix(FILE), given) or "" for name in files}
    except ConfigError as error:
        raise LocalError(str(error), code=CONFIGURATION_ERROR) from None
    return {name: value for name, value in given.items() if name not in files} | read
