"""Users are found by any part of their name, without its accents, and despite a slip."""

from alembic import op

from services.name_search.functions import FUNCTIONS

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for function in FUNCTIONS:
        op.execute(function)
    where = "WHERE deleted_at IS NULL AND disabled_at IS NULL"
    op.execute(f'CREATE INDEX account_form ON account (name_form(username_key) COLLATE "C", id) {where}')
    op.execute(f"CREATE INDEX account_grams ON account USING gin (name_grams(username_key)) {where}")
