"""The relay of bench/ on all ways to and from the off-site member of a cluster."""
import json, pathlib, signal, subprocess, sys

from cluster import free_ports

RELAY = pathlib.Path(__file__).resolve().parent.parent.parent / "bench/relay.py"


def start_relay(cluster, delay_ms):
    """`delay_ms`: of one way. Before the cluster is started; the caller ends the process."""
    ways = [(1, 3), (2, 3), (3, 1), (3, 2)]
    cluster.routes = dict(zip(ways, free_ports(len(ways))))
    pairs = [f"{port}={cluster.peer_ports[to]}" for (_, to), port in cluster.routes.items()]
    return subprocess.Popen([sys.executable, str(RELAY), str(delay_ms), *pairs], stdout=subprocess.PIPE, text=True)


def octets_off_site(relay, cluster):
    """How many went to the off-site member so far, with what TLS and gRPC add."""
    relay.send_signal(signal.SIGUSR1)
    return json.loads(relay.stdout.readline()).get(f"{cluster.hosts[3]}:{cluster.peer_ports[3]}", 0)
