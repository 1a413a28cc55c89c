#!/usr/bin/env python3
"""Operates a Jettra cluster: as a program, and as a library without dependencies.

    python cluster_cli.py --host localhost --port 8080 status
    python cluster_cli.py nodes --format json

    from cluster_cli import ClusterCLI
    ClusterCLI(host='localhost', port=8080).cluster_status()

Credentials come from the environment: JETTRA_API_KEY, or JETTRA_USER (default: admin) with
JETTRA_PASSWORD. JETTRA_CA_FILE names the authority of the nodes' certificates; with it the nodes
are called over https. It needs Python 3.8 or newer.

A method whose call fails returns {"error": text}, in a list where it would return a list. The
program then ends with 1, or as jettra does: 2 for a wrong command line, 3 when no node answers,
4 when the credentials are refused, 5 without a leader.
"""

import argparse
import base64
import json
import os
import ssl
import sys
import urllib.error
import urllib.parse
import urllib.request

FORMATS = ("json", "table", "compact")
STRATEGIES = ("LIVE_COPY", "SNAPSHOT", "INCREMENTAL")
FAILED, UNREACHABLE, REFUSED_CREDENTIALS, NO_LEADER = 1, 3, 4, 5
UNKNOWN = "unknown"


class ClusterCLI:
    """The cluster of one node, which may be any of its members."""

    def __init__(self, host="localhost", port=8080, timeout=30):
        authority = os.environ.get("JETTRA_CA_FILE")
        scheme = "https" if authority else "http"
        host = f"[{host}]" if ":" in host and not host.startswith("[") else host
        self.base_url = f"{scheme}://{host}:{port}/api/v1/cluster"
        self.timeout = timeout
        # No proxy stands between an operator and a cluster.
        handlers = [urllib.request.ProxyHandler({})]
        if authority:
            context = ssl.create_default_context(cafile=authority)
            handlers.append(urllib.request.HTTPSHandler(context=context))
        self._opener = urllib.request.build_opener(*handlers)
        self.exit_code = 0

    def cluster_status(self):
        """Status, number of nodes and shards, master node, replication factor."""
        return self._call("GET", "status")

    def diagnostics(self):
        """All that helps to find out what is wrong; `errors` says what is."""
        return self._call("GET", "diagnostics")

    def metrics(self):
        """What the nodes use; `cpu_usage` is in percent."""
        return self._call("GET", "metrics")

    def list_nodes(self):
        """The nodes, a list."""
        return self._list("nodes")

    def add_node(self, node_id, address):
        """Adds the node of this name at host:port."""
        return self._call("POST", "nodes", {"node_id": node_id, "address": address})

    def remove_node(self, node_id):
        """Removes a node; its shards go to the others first."""
        return self._call("DELETE", f"nodes/{part(node_id)}")

    def node_health(self, node_id):
        """How a node is, as it says itself."""
        return self._call("GET", f"nodes/{part(node_id)}/health")

    def list_shards(self):
        """The shards, a list."""
        return self._list("shards")

    def shard_status(self, shard_id):
        """One shard."""
        return self._call("GET", f"shards/{part(shard_id)}")

    def migrate_shard(self, shard_id, from_node, to_node, strategy="LIVE_COPY"):
        """Moves a shard from one node to another; shard_status shows how far it is."""
        body = {"from_node": from_node, "to_node": to_node, "strategy": strategy}
        return self._call("POST", f"shards/{part(shard_id)}/migrate", body)

    def _list(self, path):
        answer = self._call("GET", path)
        return answer if isinstance(answer, list) else [answer]

    def _call(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.base_url}/{path}", data=data, method=method)
        request.add_header("Accept", "application/json")
        request.add_header("Content-Type", "application/json")
        for name, value in credentials().items():
            request.add_header(name, value)
        self.exit_code = 0
        try:
            with self._opener.open(request, timeout=self.timeout) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as refused:
            return self._refusal(refused)
        except (OSError, ValueError) as error:
            self.exit_code = UNREACHABLE
            reason = getattr(error, "reason", error)
            return {"error": f"no answer from {self.base_url}: {reason}"}

    def _refusal(self, refused):
        try:
            detail = json.load(refused)["error"]
        except (ValueError, KeyError, TypeError):
            detail = {"message": f"{refused.code} {refused.reason}"}
        code, message, hint = (detail.get(name) for name in ("code", "message", "hint"))
        codes = {"no_leader": NO_LEADER}
        self.exit_code = REFUSED_CREDENTIALS if refused.code == 401 else codes.get(code, FAILED)
        answer = {"error": f"{message} ({hint})" if hint else message}
        if code:
            answer["code"] = code
        return answer


def credentials():
    """The header that the environment gives, if it gives one."""
    key, password = os.environ.get("JETTRA_API_KEY"), os.environ.get("JETTRA_PASSWORD")
    if key:
        return {"Authorization": f"Bearer {key}"}
    if password is None:
        return {}
    pair = f"{os.environ.get('JETTRA_USER', 'admin')}:{password}"
    return {"Authorization": "Basic " + base64.b64encode(pair.encode()).decode()}


def part(name):
    """A name as a part of a path."""
    return urllib.parse.quote(name, safe="")


# Output


def printable(value):
    """A value in one line; control characters are escaped, so that none reaches the terminal."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)


def titled(title, fields):
    """A title, underlined, and fields below it."""
    lines = [printable(title), "=" * len(printable(title))]
    return "\n".join(lines + [f"{name}: {printable(value)}" for name, value in fields])


def boxed(titles, rows):
    """A table with lines around its cells."""
    rows = [[printable(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(titles, *rows)]

    def rule(left, middle, right):
        return left + middle.join("─" * (width + 2) for width in widths) + right

    def line(cells):
        return "│" + "│".join(f" {c:{w}} " for c, w in zip(cells, widths)) + "│"

    head = [rule("┌", "┬", "┐"), line(titles), rule("├", "┼", "┤")]
    return "\n".join(head + [line(row) for row in rows] + [rule("└", "┴", "┘")])


def percent(value):
    return UNKNOWN if value is None else f"{value:.1f} %"


def size(count):
    for unit, step in (("GB", 1 << 30), ("MB", 1 << 20), ("kB", 1 << 10)):
        if count >= step:
            return f"{count / step:.1f} {unit}"
    return f"{count} bytes"


def status_table(seen):
    fields = [
        ("Master Node", seen["master_node"] or "none"),
        ("Total Nodes", seen["total_nodes"]),
        ("Active Nodes", seen["active_nodes"]),
        ("Total Shards", seen["total_shards"]),
        ("Status", seen["status"]),
        ("Replication Factor", seen["replication_factor"]),
    ]
    reasons = [("Reason", reason) for reason in seen["reasons"]]
    return titled("Cluster Status", fields + reasons)


def status_compact(seen):
    master = seen["master_node"] or "none"
    counts = f"{seen['total_nodes']} nodes | {seen['total_shards']} shards"
    return f"{seen['status']} | {counts} | master: {master}"


NODE_FIELDS = ("node_id", "role", "address", "status", "shards")


def nodes_table(nodes):
    titles = ("Node ID", "Role", "Address", "Status", "Shards")
    return boxed(titles, [[node[name] for name in NODE_FIELDS] for node in nodes])


def nodes_compact(nodes):
    lines = (" | ".join(str(node[name]) for name in NODE_FIELDS) + " shards" for node in nodes)
    return "\n".join(lines)


def shard_row(shard):
    count = f"{shard['vector_count']:,}"
    return [shard["shard_id"], shard["primary_node"], shard["replicas"], count, shard["health"]]


def shards_table(shards):
    if not shards:
        return "There is no shard."
    titles = ("Shard ID", "Primary Node", "Replicas", "Vector Count", "Status")
    return boxed(titles, [shard_row(shard) for shard in shards])


def shards_compact(shards):
    line = "{4} | {0} | {1} | {2} replicas | {3} documents"
    return "\n".join(line.format(*shard_row(shard)) for shard in shards)


def shard_table(shard):
    fields = [
        ("Primary Node", shard["primary_node"]),
        ("Replicas", shard["replicas"]),
        ("Nodes", ", ".join(shard["nodes"])),
        ("Vector Count", f"{shard['vector_count']:,}"),
        ("Size", size(shard["bytes"])),
        ("Status", shard["health"]),
    ]
    if "waits_for" in shard:
        fields.append(("Waits For", shard["waits_for"]))
    if "bytes_left" in shard:
        fields.append(("Left", size(shard["bytes_left"])))
    return titled(f"Shard {shard['shard_id']}", fields)


def usage_fields(usage):
    cpu = f"{percent(usage['cpu_usage'])} of {usage['processors']} processors"
    memory = f"{size(usage['memory_available_bytes'])} of {size(usage['memory_bytes'])} free"
    disk = f"{size(usage['disk_free_bytes'])} of {size(usage['disk_bytes'])} free"
    own = f"{size(usage['resident_bytes'])} of memory, {size(usage['data_bytes'])} of disk"
    return [
        ("CPU", f"{cpu}, {percent(usage['process_cpu_usage'])} by the node"),
        ("Memory", f"{percent(usage['memory_usage'])} ({memory})"),
        ("Disk", f"{percent(usage['disk_usage'])} ({disk})"),
        ("Node Uses", f"{own}; up for {usage['uptime_ms'] // 1000} s"),
    ]


def health_table(seen):
    def known(name, unit=""):
        return f"{seen[name]}{unit}" if name in seen else UNKNOWN

    fields = [
        ("Role", seen["role"]),
        ("Address", seen["address"]),
        ("Status", seen["status"]),
        ("Reachable", "yes" if seen["reachable"] else "no"),
    ]
    fields += [("Reason", seen["reason"])] if "reason" in seen else []
    fields += [
        ("Shards", seen["shards"]),
        ("Last Seen", known("last_seen_ms", " ms ago")),
        ("Lag", known("lag", " entries")),
        ("Version", known("version")),
    ]
    fields += [("Feature Level", seen["feature_level"])] if "feature_level" in seen else []
    fields += usage_fields(seen["usage"]) if "usage" in seen else []
    for held in seen.get("groups", []):
        role = held.get("role", "STOPPED")
        why = f": {held['failure']}" if "failure" in held else ""
        place = f"term {held['term']}, applied {held['applied_index']}"
        fields.append(("Group", f"{held['group']} {role}, {place}{why}"))
    fields += [("Warning", warning) for warning in seen.get("warnings", [])]
    return titled(f"Node {seen['node_id']}", fields)


def health_compact(seen):
    usage = seen.get("usage", {})
    figures = (f"{name}: {percent(usage.get(name + '_usage'))}" for name in ("cpu", "memory", "disk"))
    return " | ".join([seen["status"], seen["node_id"], seen["role"], *figures])


def metrics_table(seen):
    fields = [
        ("CPU Usage", percent(seen["cpu_usage"])),
        ("Memory Usage", percent(seen["memory_usage"])),
        ("Disk Usage", percent(seen["disk_usage"])),
        ("Documents", f"{seen['documents']:,}"),
        ("Data", size(seen["bytes"])),
        ("Nodes Reporting", f"{seen['reporting_nodes']} of {seen['total_nodes']}"),
    ]
    fields += [("Missing", missing) for missing in seen["missing"]]
    titles = ("Node ID", "CPU", "Node CPU", "Memory", "Node Memory", "Disk", "Node Disk")
    rows = []
    for node in seen["nodes"]:
        usage = node.get("usage")
        if usage is None:
            rows.append([node["node_id"]] + [UNKNOWN] * 6)
            continue
        rows.append([
            node["node_id"],
            percent(usage["cpu_usage"]),
            percent(usage["process_cpu_usage"]),
            percent(usage["memory_usage"]),
            size(usage["resident_bytes"]),
            percent(usage["disk_usage"]),
            size(usage["data_bytes"]),
        ])
    return titled("Cluster Metrics", fields) + "\n\n" + boxed(titles, rows)


def metrics_compact(seen):
    figures = (f"{name}: {percent(seen[name + '_usage'])}" for name in ("cpu", "memory", "disk"))
    reporting = f"{seen['reporting_nodes']} of {seen['total_nodes']} nodes report"
    return " | ".join([*figures, f"{seen['documents']:,} documents", reporting])


def error_line(error):
    if "node_id" not in error:
        return f"now: {printable(error['message'])}"
    return f"{error['time_ms']} {error['node_id']} {error['severity']}: {printable(error['message'])}"


def diagnostics_table(seen):
    replicas = []
    for group in seen["replication"]:
        for held in group["replicas"]:
            leads = "yes" if group.get("leader") == held["node"] else "no"
            votes = "yes" if held["voter"] else "no"
            silent = f"{held['silent_ms']} ms" if "silent_ms" in held else "no"
            row = [group["id"], held["node"], leads, votes, held.get("lag", UNKNOWN), silent]
            replicas.append(row)
    titles = ("Group", "Node ID", "Leads", "Votes", "Lag", "Silent")
    errors = [error_line(error) for error in seen["errors"]] or ["none"]
    parts = [status_table(seen["topology"])]
    parts += [health_table(node) for node in seen["nodes"]]
    parts += [
        titled("Shards", []) + "\n" + shards_table(seen["shards"]),
        titled("Replication", []) + "\n" + boxed(titles, replicas),
        metrics_table(seen["performance"]),
        titled("Errors", []) + "\n" + "\n".join(errors),
    ]
    return "\n\n".join(parts)


def diagnostics_compact(seen):
    now = [error["message"] for error in seen["errors"] if "node_id" not in error]
    return " | ".join([seen["topology"]["status"], *(now or ["no errors"])])


# The command line


class Operation:
    """A command: what it calls, and how its answer is shown as a table and in compact form."""

    def __init__(self, help_text, flags, call, table, compact=None):
        self.help_text, self.flags, self.call = help_text, flags, call
        self.table, self.compact = table, compact or table


OPERATIONS = {
    "status": Operation(
        "how the cluster is", (), lambda cli, _: cli.cluster_status(), status_table, status_compact
    ),
    "diagnostics": Operation(
        "all that helps to find out what is wrong",
        (),
        lambda cli, _: cli.diagnostics(),
        diagnostics_table,
        diagnostics_compact,
    ),
    "metrics": Operation(
        "what the nodes use", (), lambda cli, _: cli.metrics(), metrics_table, metrics_compact
    ),
    "nodes": Operation(
        "the nodes", (), lambda cli, _: cli.list_nodes(), nodes_table, nodes_compact
    ),
    "add-node": Operation(
        "add a node",
        ("node-id", "address"),
        lambda cli, given: cli.add_node(given.node_id, given.address),
        lambda added: f"Added {added['node_id']} at {added['address']}.",
    ),
    "remove-node": Operation(
        "remove a node; its shards go to the others first",
        ("node-id",),
        lambda cli, given: cli.remove_node(given.node_id),
        lambda _: "Removed; its shards are on the other nodes.",
    ),
    "node-health": Operation(
        "how a node is",
        ("node-id",),
        lambda cli, given: cli.node_health(given.node_id),
        health_table,
        health_compact,
    ),
    "shards": Operation(
        "the shards", (), lambda cli, _: cli.list_shards(), shards_table, shards_compact
    ),
    "shard-status": Operation(
        "one shard",
        ("shard-id",),
        lambda cli, given: cli.shard_status(given.shard_id),
        shard_table,
        lambda shard: shards_compact([shard]),
    ),
    "migrate-shard": Operation(
        "move a shard to another node",
        ("shard-id", "from-node", "to-node"),
        lambda cli, given: cli.migrate_shard(
            given.shard_id, given.from_node, given.to_node, given.strategy
        ),
        lambda shard: f"{shard['shard_id']} moves; see how far with shard-status.",
    ),
}


def add_global_options(parser, defaults):
    """The options that may stand before the command and after it."""

    def default(value):
        return value if defaults else argparse.SUPPRESS

    parser.add_argument("--host", default=default("localhost"), help="a node (localhost)")
    parser.add_argument("--port", type=int, default=default(8080), help="its port (8080)")
    text = "form of the output (table)"
    parser.add_argument("--format", choices=FORMATS, default=default("table"), help=text)


def command_line():
    parser = argparse.ArgumentParser(description="Operates a Jettra cluster.")
    add_global_options(parser, defaults=True)
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    for name, operation in OPERATIONS.items():
        command = commands.add_parser(name, help=operation.help_text)
        add_global_options(command, defaults=False)
        for flag in operation.flags:
            command.add_argument(f"--{flag}", required=True)
        if name == "migrate-shard":
            command.add_argument("--strategy", choices=STRATEGIES, default="LIVE_COPY")
    return parser


def failure(answer):
    """The error in an answer, if it is one."""
    only = answer[0] if isinstance(answer, list) and len(answer) == 1 else answer
    return only.get("error") if isinstance(only, dict) else None


def main():
    given = command_line().parse_args()
    cli = ClusterCLI(host=given.host, port=given.port)
    operation = OPERATIONS[given.command]
    answer = operation.call(cli, given)
    error = failure(answer) if cli.exit_code else None
    if error is not None:
        if given.format == "json":
            print(json.dumps(answer[0] if isinstance(answer, list) else answer, indent=2))
        print(f"Error: {printable(error)}", file=sys.stderr)
        return cli.exit_code
    if given.format == "json":
        print(json.dumps(answer, indent=2, ensure_ascii=False))
    else:
        print(operation.table(answer) if given.format == "table" else operation.compact(answer))
    return 0


if __name__ == "__main__":
    sys.exit(main())
