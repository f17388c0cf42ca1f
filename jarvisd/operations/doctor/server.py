"""The connection to a database server: whether it answers and is private, the rights of its role, its clock."""

from __future__ import annotations

from jarvisd.operations.doctor.check import Check, ok, problem, warning
from jarvisd.paths import Home
from jarvisd.store import database, location, migrations

#: The oldest server that is known to work, as PostgreSQL numbers it.
OLDEST = 130000
#: Seconds that the server's clock may be away from this computer's.
LARGEST_OFFSET_S = 2.0


def check(home: Home) -> list[Check]:
    """Nothing where the database is a file."""
    if not location.server(home):
        return []
    migrations.open_existing(home)
    server = database.server_facts()
    if server.version < OLDEST:
        return [problem("server", f"PostgreSQL {server.version // 10000} is too old", "Install version 13 or newer.")]
    checks = [ok("server", f"PostgreSQL {server.version // 10000} answers")]
    if not (server.is_local or server.is_encrypted):
        message = "the connection to another computer is not encrypted"
        checks.append(warning("server", message, "Use sslmode=verify-full, unless the network itself is private."))
    if server.is_superuser:
        remedy = "Have a role of its own own the database: ALTER DATABASE NAME OWNER TO ROLE."
        checks.append(warning("server", "jarvisd connects as a superuser", remedy))
    offset_s = server.clock_ahead.total_seconds()
    if abs(offset_s) > LARGEST_OFFSET_S:
        clocks = f"its clock is {abs(offset_s):,.0f} s {'ahead of' if offset_s > 0 else 'behind'} this computer's"
        checks.append(warning("server", clocks, "Have both set by network time; jarvisd goes by the server's."))
    return checks
