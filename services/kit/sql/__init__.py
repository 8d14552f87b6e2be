"""SQL by psycopg alone: SQLAlchemy describes the schema and writes the statements, and runs none (docs/adr/0060)."""
