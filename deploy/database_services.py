"""The services that own a database: their settings and their migrations."""

from pathlib import Path
from typing import NamedTuple

from services.chat.config import ChatSettings
from services.kit.config import ServiceSettings
from services.media.config import MediaSettings
from services.social.config import SocialSettings
from services.user.config import UserSettings

ROOT = Path(__file__).parents[1] / "services"


class DatabaseService(NamedTuple):
    settings: type[ServiceSettings]
    migrations: Path


DATABASE_SERVICES = {
    name: DatabaseService(settings, ROOT / name / "migrations")
    for name, settings in (
        ("user", UserSettings),
        ("social", SocialSettings),
        ("media", MediaSettings),
        ("chat", ChatSettings),
    )
}
