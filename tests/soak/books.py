"""Whether what the two processes counted adds up."""

from __future__ import annotations

from typing import Any

__all__ = ["Books"]


class Books:
    """The sessions of both ends, each compared as soon as both are known; and the totals."""

    def __init__(self) -> None:
        self.failures: list[str] = []
        self.sessions = 0
        self.sessions_in_order = 0
        self.streams = 0
        self.nbytes = 0
        self.datagrams = [0, 0]
        self._waiting: dict[str, dict[str, Any]] = {}

    def take_session(self, end: dict[str, Any]) -> None:
        """Take the books of one end of a session."""
        self._check_end(end)
        other = self._waiting.pop(end["name"], None)
        if other is None:
            self._waiting[end["name"]] = end
        else:
            client, server = (end, other) if end["side"] == "client" else (other, end)
            self._compare(client, server)

    def _check_end(self, end: dict[str, Any]) -> None:
        """See that what the program counted is what the library counted."""
        who = f"{end['side']} {end['name']}"
        sent, sent_by_library, got, got_by_library = end["datagrams"]
        self._expect(sent == sent_by_library, f"{who}: {sent} datagrams sent, diagnostics say {sent_by_library}")
        self._expect(got == got_by_library, f"{who}: {got} datagrams taken, diagnostics say {got_by_library}")
        total = end["opened"] + end["taken"]
        self._expect(
            total == end["closed"] + end["aborted"],
            f"{who}: {total} streams, but {end['closed']} closed and {end['aborted']} aborted",
        )
        for stream in end["streams"]:
            where = f"{who}, stream {stream['id']}"
            if stream["failure"]:
                self.failures.append(f"{where}: {stream['failure']}")
            self._expect(
                stream["counted"] == stream["written"],
                f"{where}: {stream['counted']} bytes written, diagnostics say {stream['written']}",
            )
            self._expect(
                stream["got"] >= stream["arrived"], f"{where}: more arrived than was read or discarded: {stream}"
            )

    def _compare(self, client: dict[str, Any], server: dict[str, Any]) -> None:
        """Compare both ends of a session."""
        name = client["name"]
        in_order = client["in_order"] and server["in_order"]
        is_complete = in_order and all(each["is_complete"] for end in (client, server) for each in end["streams"])
        self.sessions += 1
        self.sessions_in_order += in_order
        self._expect(server["in_order"] or not client["in_order"], f"session {name}: in order for the client alone")
        for here, there in ((client, server), (server, client)):
            where = f"session {name}, from {here['side']}"
            if is_complete:
                self._expect(
                    here["sent"] == there["received"], f"{where}: sent {here['sent']}, got {there['received']}"
                )
            if in_order:
                self._expect(
                    here["opened"] == there["taken"], f"{where}: {here['opened']} opened, {there['taken']} taken"
                )
            self._expect(here["sent"] >= there["received"], f"{where}: more bytes received than sent")
            self._expect(here["opened"] >= there["taken"], f"{where}: more streams taken than opened")
            lost = here["datagrams"][1] - there["datagrams"][3]
            self._expect(lost >= 0, f"{where}: more datagrams received than sent")
            self.datagrams[0] += here["datagrams"][1]
            self.datagrams[1] += there["datagrams"][3]
        theirs = {stream["id"]: stream for stream in server["streams"]}
        for stream in client["streams"]:
            other = theirs.pop(stream["id"], None)
            if other is None:
                self._expect(not in_order, f"session {name}: the server knows no stream {stream['id']}")
                continue
            self._compare_stream(f"session {name}, stream {stream['id']}", stream, other, in_order)
        self._expect(not theirs or not in_order, f"session {name}: the client knows no streams {list(theirs)}")

    def _compare_stream(self, where: str, client: dict[str, Any], server: dict[str, Any], in_order: bool) -> None:
        self.streams += 1
        is_complete = client["is_complete"] and server["is_complete"]
        if in_order and not client["is_parked"] and not server["is_parked"]:
            self._expect(is_complete, f"{where}: not over although its session ended in order: {client}, {server}")
        for here, there in ((client, server), (server, client)):
            self.nbytes += there["got"]
            if is_complete:
                self._expect(here["sent"] == there["got"], f"{where}: sent {here}, got {there}")
            self._expect(here["sent"] >= there["got"], f"{where}: more got than sent: {here}, {there}")

    def _expect(self, is_so: bool, otherwise: str) -> None:
        if not is_so:
            self.failures.append(otherwise)

    def summary(self) -> str:
        """Return what was compared so far."""
        return f"{self.sessions} sessions, {self.streams} streams, {self.nbytes / 1e6:.0f} MB"

    def close(self, client: dict[str, Any], server: dict[str, Any]) -> None:
        """Check the totals of both processes, where everything is closed."""
        counts, stats = client["counts"], server["stats"]
        ours, theirs = client["traffic"], server["traffic"]
        cancelled, vanished = counts.get("cancelled", 0), counts.get("vanished", 0)
        for side, traffic in (("client", ours), ("server", theirs)):
            self._expect(traffic["sessions_opened"] == traffic["sessions_closed"], f"{side}: sessions are left open")
            ended = traffic["streams_closed"] + traffic["streams_aborted"]
            self._expect(
                traffic["streams_opened"] == ended, f"{side}: {traffic['streams_opened'] - ended} streams are left"
            )
        for side, sent, received in (("client", ours, theirs), ("server", theirs, ours)):
            for what in ("bytes", "datagrams"):
                too_many = received[f"{what}_received"] - sent[f"{what}_sent"]
                # What clients of their own sent is in the server's books alone.
                self._expect(too_many <= 0 or side == "client", f"{side}: {too_many} more {what} received than sent")
        established = stats["connections_accepted"]
        self._expect(stats["connections_closed"] == established, f"server: {established} accepted, not all closed")
        self._expect(stats["protocol_errors"] == 0, f"server: {stats['protocol_errors']} protocol errors")
        self._expect(stats["connections_rejected"] == 0, f"server: {stats['connections_rejected']} rejected")
        errors = stats["connection_errors"]
        self._expect(
            vanished <= errors <= vanished + cancelled,
            f"server: {errors} connection errors, {vanished} vanished and {cancelled} cancelled",
        )
        attempted = client["stats"]["connections_attempted"] + counts.get("brief clients", 0)
        self._expect(
            attempted - cancelled <= established <= attempted,
            f"server: {established} connections accepted, {attempted} attempted, {cancelled} of them cancelled",
        )
        for kind in ("connections", "sessions"):
            managed = server[kind]
            self._expect(managed["total_created"] == managed["total_closed"], f"server: {kind} are left: {managed}")
        self._expect(server["names"] == 0, f"server: {server['names']} connections are remembered")
        for side, totals in (("client", client), ("server", server)):
            self.failures += [f"{side} complains: {text} ({number} x)" for text, number in totals["complaints"].items()]
        self.failures += [
            f"only the {end['side']} has the books of session {name}" for name, end in self._waiting.items()
        ]
        self._expect(self.sessions_in_order > 0, "no session ended in order")

    def report(self, client: dict[str, Any], server: dict[str, Any]) -> list[str]:
        """Return the totals."""
        sent, received = self.datagrams
        return [
            f"compared: {self.sessions} sessions, of which {self.sessions_in_order} ended in order; {self.streams}"
            f" streams, {self.nbytes} bytes; datagrams: {sent} sent, {received} taken",
            f"client: {client['counts']}",
            f"client: {client['traffic']}",
            f"server: {server['traffic']}",
            f"server: {server['stats']}",
        ]
