"""The relay of bench/ on all ways to and from the off-site member of a cluster."""
import pathlib, signal, subprocess, sys

from cluster import free_ports

RELAY = pathlib.Path(__file__).resolve().parent.parent.parent / "bench/relay.py"


def start_relay(cluster, delay_ms):
    """`delay_ms`: of one way. Before the cluster is started; the caller ends the process."""
    ways = [(1, 3), (2, 3), (3, 1), (3, 2)]
    cluster.routes = dict(zip(ways, free_ports(len(ways))))
    pairs = [f"{port}={cluster.peer_ports[to]}" for (_, to), port in cluster.routes.items()]
    return subprocess.Popen([sys.executable, str(RELAY), str(delay_ms), *pairs], stdout=subprocess.PIPE, text=True)


def octets_carried(relay):
    """How many crossed the link so far, in both directions and with what TLS and gRPC add."""
    relay.send_signal(signal.SIGUSR1)
    return int(relay.stdout.readline())
