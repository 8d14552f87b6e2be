"""Groups are found by any part of their name, without its accents, and despite a slip."""

from alembic import op

from services.name_search.functions import FUNCTIONS

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for function in FUNCTIONS:
        op.execute(function)
    where = "WHERE dismissed_at IS NULL"
    op.execute(f"""CREATE INDEX group_form ON "group" (name_form(name_key) COLLATE "C", id) {where}""")
    op.execute(f"""CREATE INDEX group_grams ON "group" USING gin (name_grams(name_key)) {where}""")
