"""What the user is told when the demo stands."""

from deploy.demo.stage import Stage

FAREWELL = """
{added}

log in   POST {url}/api/login/login     {{"email": "{email}", "password": "{password}"}}
         POST {url}/api/v1/user/login   {{"phone": "{phone}", "password": "{password}"}}

{people}

look     {url}/docs
         {url}/api/videos?order_by=popular   (with a token of either login)
"""


def write_farewell(stage: Stage, url: str, password: str) -> str:
    players = [stage.players[person.key] for person in stage.story.people]
    first = next((player for player in players if player.has_email), players[0])
    rows = [(stage.draw.phone(player.person), player) for player in players]
    people = "\n".join(
        f"         {phone}  {stage.draw.email(player.person) if player.has_email else '':<20}  {player.person.nickname}"
        for phone, player in rows
    )
    added = ", ".join(f"{count} {what}" for what, count in stage.added.items() if count)
    return FAREWELL.format(
        added=f"added {added}" if added else "the demo is there already: nothing was added",
        url=url,
        password=password,
        email=stage.draw.email(first.person) if first.has_email else "…",
        phone=stage.draw.phone(first.person),
        people=people,
    )
