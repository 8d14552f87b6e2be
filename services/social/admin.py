"""The operator's commands: `python -m services.social <command>`."""

from services.kit.db import Database
from services.kit.process.commands import CommandLine, count_faults
from services.social.config import SERVICE, SocialSettings
from services.social.groups.commands import group
from services.social.service import MIGRATIONS

commands = CommandLine(SERVICE, SocialSettings, MIGRATIONS)
commands.app.add_typer(group, name="group")

FAULTS = {
    "friendships without their other half": """
        SELECT count(*) FROM friendship one WHERE NOT EXISTS
        (SELECT FROM friendship other WHERE other.user_id = one.friend_id AND other.friend_id = one.user_id)""",
    "users whose followers are counted wrongly": """
        SELECT count(*) FROM follow_count c FULL JOIN
        (SELECT followed_id, count(*) AS n FROM follow WHERE NOT pending GROUP BY followed_id) counted
        ON followed_id = user_id WHERE coalesce(followers, 0) <> coalesce(n, 0)""",
    "users whose follows are counted wrongly": """
        SELECT count(*) FROM follow_count c FULL JOIN
        (SELECT user_id, count(*) AS n FROM follow WHERE NOT pending GROUP BY user_id) counted
        ON counted.user_id = c.user_id WHERE coalesce(following, 0) <> coalesce(n, 0)""",
    "groups that count their members wrongly": """
        SELECT count(*) FROM "group" LEFT JOIN
        (SELECT group_id, count(*) AS members FROM member GROUP BY group_id) counted ON group_id = id
        WHERE member_count <> coalesce(members, 0)""",
    "groups without the one owner they name": """
        SELECT count(*) FROM "group" LEFT JOIN
        (SELECT group_id, array_agg(user_id) AS owners FROM member WHERE role = 2 GROUP BY group_id) owned
        ON group_id = id WHERE dismissed_at IS NULL AND owners IS DISTINCT FROM ARRAY[owner_id]""",
}


async def check(database: Database, _: SocialSettings) -> dict[str, int]:
    async with database.transaction() as connection:
        return await count_faults(connection, FAULTS)


commands.add_check(check)
