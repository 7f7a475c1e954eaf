"""A replica set of real processes on loopback, with an etcd of its own, for tests and benchmarks."""
import json, os, shutil, signal, socket, subprocess, sys, time, urllib.error, urllib.request

import certificates

PASSWORD = "correct horse battery"
# Of a set that is not to change its primary because a busy machine stood still. A killed process is found out at once all the same.
CALM = {"heartbeat_ms": 100, "lease_ms": 3000, "detector_ms": 5000, "offsite_wait_ms": 20000}
given_ports = set()


def free_ports(count):
    """None of them was given before: who got it may not listen yet."""
    sockets, ports = [], []
    while len(ports) < count:
        sockets.append(socket.socket())
        sockets[-1].bind(("127.0.0.1", 0))
        port = sockets[-1].getsockname()[1]
        if port not in given_ports:
            ports.append(port)
    given_ports.update(ports)
    for one in sockets:
        one.close()
    return ports


def wait_until(condition, seconds, what):
    end = time.monotonic() + seconds
    while True:
        is_last = time.monotonic() >= end  # one look more, however long the one before took
        value = condition()
        if value:
            return value
        if is_last:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.01)


class Node:
    def __init__(self, cluster, number, program):
        self.cluster, self.number, self.program = cluster, number, program
        self.data = os.path.join(cluster.directory, f"node{number}")
        self.log_path = self.data + ".log"
        self.process = None
        self.options = ""  # sections of this member alone

    def start(self):
        config = os.path.join(self.cluster.directory, f"node{self.number}.toml")
        host = self.cluster.hosts[self.number]
        peers = ",".join(f"{n}={self.cluster.route(self.number, n)}" for n in self.cluster.peer_ports if n != self.number)
        secrets = certificates.settings(self.cluster.directory, self.number) if self.cluster.is_secured else ""
        timers = "".join(f"{name} = {value}\n" for name, value in self.cluster.timers.items())
        with open(config, "w") as out:
            out.write(f"""[server]
data = "{self.data}"
drain_seconds = 5
{self.cluster.server_options}
[https]
listen = "{host}:{self.cluster.https_ports[self.number]}"
[ssh]
listen = "{host}:{self.cluster.ssh_ports[self.number]}"
[monitor]
listen = "{host}:{self.cluster.monitor_ports[self.number]}"
[replication]
node = {self.number}
listen = "{host}:{self.cluster.peer_ports[self.number]}"
peers = "{peers}"
etcd = "{self.cluster.etcd_address}"
{secrets}{timers}
{self.options}""")
        self.log = open(self.log_path, "ab")
        self.process = subprocess.Popen([*self.cluster.enter(self.number), f"{self.cluster.binaries}/{self.program}", "--config", config], stdout=subprocess.PIPE, stderr=self.log, text=True)
        line = self.process.stdout.readline()
        if not line:
            raise AssertionError(open(self.log_path).read()[-2000:])
        self.ready = json.loads(line)

    def stop(self, how=signal.SIGTERM):
        if self.process is None:
            return
        self.process.send_signal(how)
        if how == signal.SIGSTOP:
            return
        self.process.wait(timeout=30)
        self.process.stdout.close()
        self.log.close()
        self.process = None

    def health(self):
        """What /healthz says: whether the node serves, and its state as a member; None while it is down."""
        try:
            with urllib.request.urlopen(f"http://{self.cluster.hosts[self.number]}:{self.cluster.monitor_ports[self.number]}/healthz", timeout=10) as answer:
                serves, told = True, answer.read()
        except urllib.error.HTTPError as answer:
            serves, told = False, answer.read()
        except OSError:
            return False, None
        lines = told.decode().splitlines()
        return serves, json.loads(lines[1]) if len(lines) > 1 else None

    def status(self):
        """Its state as a member; None while it does not serve."""
        serves, told = self.health()
        return told if serves else None

    def metrics(self):
        """What /metrics says, by series."""
        with urllib.request.urlopen(f"http://{self.cluster.hosts[self.number]}:{self.cluster.monitor_ports[self.number]}/metrics", timeout=10) as answer:
            lines = [line.rsplit(" ", 1) for line in answer.read().decode().splitlines() if not line.startswith("#")]
        return {name: float(value) for name, value in lines}

    def role(self):
        """Also of a node that runs and does not serve."""
        return (self.health()[1] or {}).get("role")

    def ctl(self, *args, stdin=""):
        done = subprocess.run([f"{self.cluster.binaries}/vexorctl", "--data", self.data, *args], input=stdin, capture_output=True, text=True, timeout=120)
        if done.returncode != 0:
            raise AssertionError(f"{args}: {done.stdout}{done.stderr}")
        return done.stdout

    def url(self, name, user="demo"):
        return f"https://{user}:{PASSWORD.replace(' ', '%20')}@{self.cluster.hosts[self.number]}:{self.cluster.https_ports[self.number]}/{name}.git"

    def ssh_url(self, name):
        return f"ssh://git@{self.cluster.hosts[self.number]}:{self.cluster.ssh_ports[self.number]}/{name}.git"


class Cluster:
    def __init__(self, binaries, directory, timers=None, server_options="", network=None):
        """With a network, each member and "etcd" run in their namespaces of it, and members have certificates."""
        self.server_options, self.network = server_options, network
        self.is_secured = network is not None
        self.copies = "two"
        self.hosts = {n: network.address(n) if network else "127.0.0.1" for n in (1, 2, 3)}
        self.routes = {}  # (from, to): the port, or the address, that one member calls for another, if it is not the other's own
        self.binaries, self.directory = os.path.abspath(binaries), directory
        self.timers = dict(timers or CALM)
        ports = free_ports(14)
        self.etcd_port, self.etcd_peer_port = ports[0], ports[1]
        self.peer_ports = dict(zip((1, 2, 3), ports[2:5]))
        self.https_ports = dict(zip((1, 2, 3), ports[5:8]))
        self.monitor_ports = dict(zip((1, 2, 3), ports[8:11]))
        self.ssh_ports = dict(zip((1, 2, 3), ports[11:14]))
        self.nodes = {1: Node(self, 1, "vexord"), 2: Node(self, 2, "vexord"), 3: Node(self, 3, "vexor-replicad")}
        self.etcd = None
        self.host_of_etcd = network.address("etcd") if network else "127.0.0.1"
        self.etcd_address = f"{self.host_of_etcd}:{self.etcd_port}"

    def enter(self, name):
        return self.network.enter(name) if self.network else []

    def route(self, source, target):
        told = self.routes.get((source, target), self.peer_ports[target])
        return told if isinstance(told, str) else f"{self.hosts[target]}:{told}"

    def start_etcd(self):
        self.etcd_log = open(os.path.join(self.directory, "etcd.log"), "ab")
        url, peer = f"{'https' if self.is_secured else 'http'}://{self.etcd_address}", f"http://127.0.0.1:{self.etcd_peer_port}"
        secrets = [f"--cert-file={self.directory}/etcd.pem", f"--key-file={self.directory}/etcd.key", f"--trusted-ca-file={self.directory}/ca.pem", "--client-cert-auth"] if self.is_secured else []
        self.etcd = subprocess.Popen([*self.enter("etcd"), "etcd", "--name", "e", "--data-dir", os.path.join(self.directory, "etcd"), "--listen-client-urls", url, "--advertise-client-urls", url,
                                      "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", f"e={peer}", *secrets],
                                     stdout=self.etcd_log, stderr=self.etcd_log)

    def stop_etcd(self):
        self.etcd.kill()
        self.etcd.wait()
        self.etcd_log.close()
        self.etcd = None

    def members(self):
        """As `vexorctl cluster init` takes them."""
        return [f"{n}={self.hosts[n]}:{port}" + (",off-site" if n == 3 else "") for n, port in self.peer_ports.items()]

    def start(self):
        if self.is_secured:
            certificates.make(self.binaries, self.directory, etcd=self.host_of_etcd)
        self.start_etcd()
        self.make_record("--copies", self.copies)
        for node in self.nodes.values():
            node.start()
        self.leader()

    def make_record(self, *options):
        """In an etcd that has none: one that is there is ours, although the answer was lost."""
        wait_until(lambda: self.try_ctl("init", *options, *self.members()) or self.try_ctl("status"), 60, "etcd answers")

    def add_demo(self, repositories=("r",), options=()):
        """The user demo, who may write to these repositories of his. Returns the primary."""
        primary = self.leader()
        primary.ctl("user", "add", "demo", "--password-stdin", stdin=PASSWORD + "\n")
        for name in repositories:
            primary.ctl("repo", "create", f"demo/{name}", *options)
            primary.ctl("grant", f"demo/{name}", "demo", "write")
        return primary

    def run_ctl(self, *args):
        secrets = [f"--etcd-ca-file={self.directory}/ca.pem", f"--etcd-certificate-file={self.directory}/etcd.pem", f"--etcd-key-file={self.directory}/etcd.key"] if self.is_secured else []
        return subprocess.run([f"{self.binaries}/vexorctl", "cluster", "--etcd", self.etcd_address, *secrets, *args], capture_output=True, text=True, timeout=60)

    def try_ctl(self, *args):
        return self.run_ctl(*args).returncode == 0

    def ctl(self, *args):
        """What may be said twice: a busy etcd may not answer within its time."""
        done = wait_until(lambda: (lambda told: None if "does not answer" in told.stderr else told)(self.run_ctl(*args)), 30, "etcd answers")
        if done.returncode != 0:
            raise AssertionError(done.stderr)
        return done.stdout

    def hand_over(self, number):
        """Asked again where the primary let it go: the target was not in sync at that moment, or the answer was lost. Returns the new primary."""
        node, asked = self.nodes[number], [0.0]

        def leads():
            if (node.status() or {}).get("takes_pushes"):
                return True
            if time.monotonic() - asked[0] > 10:
                asked[0] = time.monotonic()
                self.try_ctl("handover", str(number))
            return False
        wait_until(leads, 60, f"member {number} leads")
        return node

    def leader(self):
        return wait_until(self.primary, 60, "somebody leads")

    def tails(self, size=4000):
        """How each member is and the end of what it logged, for who reads a failure."""
        out = []
        for node in self.nodes.values():
            ended = "not started" if node.process is None else node.process.poll()
            with open(node.log_path, "rb") as log:
                log.seek(max(0, log.seek(0, os.SEEK_END) - size))
                out.append(f"member {node.number}: {'runs' if ended is None else ended}; {node.health()}\n{log.read().decode(errors='replace')}")
        return "\n".join(out)

    def primary(self, other_than=0):
        for node in self.nodes.values():
            status = node.status() if node.process is not None and node.number != other_than else None
            if status and status["takes_pushes"]:
                return node
        return None

    def record(self):
        """Empty while etcd does not answer: it may just have started."""
        told = self.run_ctl("status")
        return json.loads(told.stdout.split(": ", 1)[1]) if told.returncode == 0 else {}

    def in_sync(self):
        return self.record().get("inSync", [])

    def stores_in_sync(self):
        """The names of stores that the record has."""
        return self.record().get("inSyncNames", [])

    def until_on_all(self, push, tries=3):
        """push() and what it was told, until that says that all three have it: a member that stood still for a second counts as away, and is caught up with."""
        for _ in range(tries):
            said = push()
            if "stored on 3 of 3 servers, off-site included" in said:
                return said
            self.wait_for_all(60)
        raise AssertionError(f"never on all three: {said}")

    def wait_in_sync(self, count=2):
        wait_until(lambda: len(self.in_sync()) >= count, 60, f"{count} members are in sync")

    def wait_for_all(self, seconds=30):
        """All nodes that run have applied all that the primary has."""
        def same():
            states = [node.status() for node in self.nodes.values() if node.process is not None]
            if any(state is None for state in states) or not any(state["role"] == "primary" for state in states):
                return False
            last = max(state["appended"] for state in states)
            return all(state["applied"] == last for state in states)
        wait_until(same, seconds, "all nodes have applied all")

    def wait_for_all_but_load(self, seconds=30):
        """The same while pushes go on: every node has applied what the primary had when it was asked."""
        primary = wait_until(self.primary, seconds, "somebody leads")
        last = (primary.status() or {"appended": 0})["appended"]
        wait_until(lambda: all((node.status() or {"applied": 0})["applied"] >= last for node in self.nodes.values()), seconds, "all nodes follow")

    def stop(self):
        for node in self.nodes.values():
            if node.process is not None:
                node.process.send_signal(signal.SIGCONT)
                node.stop(signal.SIGKILL)
        if self.etcd is not None:
            self.stop_etcd()
