"""The only door to the database: tables, units of work, migrations. Nobody else imports SQLAlchemy."""
