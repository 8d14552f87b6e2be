"""Prints what was added and how to log in."""

from deploy.demo.demo_run import DemoRun

SUMMARY = """
{added}

web app  {url}/   log in by email or phone, with the password {password}

{people}

API      POST {url}/api/login/login     {{"email": "{email}", "password": "{password}"}}
         POST {url}/api/v1/user/login   {{"phone": "{phone}", "password": "{password}"}}
         {url}/docs
"""


def write_summary(run: DemoRun, url: str, password: str) -> str:
    users = [run.users[person.key] for person in run.story.people]
    first = next((user for user in users if user.has_email), users[0])
    rows = [(run.choices.phone(user.person), user) for user in users]
    people = "\n".join(
        f"         {phone}  {run.choices.email(user.person) if user.has_email else '':<20}  {user.person.nickname}"
        for phone, user in rows
    )
    added = ", ".join(f"{count} {what}" for what, count in run.added.items() if count)
    return SUMMARY.format(
        added=f"added {added}" if added else "the demo exists already: nothing was added",
        url=url,
        password=password,
        email=run.choices.email(first.person) if first.has_email else "…",
        phone=run.choices.phone(first.person),
        people=people,
    )
