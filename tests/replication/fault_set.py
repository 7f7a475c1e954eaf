"""A replica set whose members have networks and disks of their own and a far off-site server, under load, and the faults that it can have.

A fault is a function that makes it at a member, or at all, and returns what mends it. Those that the machine does not permit are left out; `left_out`
says why."""
import os, pathlib, shutil, signal, subprocess, tempfile, threading

import disk, network
from cluster import Cluster, free_ports, wait_until
from history import History, LargePusher, Pusher, Reader, pairs_of

HERE = os.path.dirname(os.path.abspath(__file__))
RELAY = os.path.join(HERE, "../../bench/relay.py")
OFF_SITE = 3
DELAY_MS = 80
STUCK_SECONDS = 30     # without an acknowledged push, while a majority that may lead can talk
DISK_MIB = 4096
SLOW_BITS = 2_000_000  # a second


class FaultSet:
    def __init__(self, binaries, timers=None, pushers=4, pause=0.05, large_pause=1.0, delay_ms=DELAY_MS):
        self.binaries, self.directory = os.path.abspath(binaries), tempfile.mkdtemp(prefix="vexor-faults-")
        self.left_out = {kind: why for kind, why in (("network", network.missing()), ("disk", disk.missing())) if why}
        self.network, self.disks, self.relay = None, {}, None
        if "network" not in self.left_out:
            self.network = network.Network((1, 2, 3, "etcd"))
        self.cluster = Cluster(self.binaries, self.directory, timers or {"heartbeat_ms": 100, "lease_ms": 700, "detector_ms": 1000}, network=self.network)
        self.history, self.stopping, self.threads = History(), threading.Event(), []
        self.pushers, self.pause, self.large_pause, self.delay_ms = pushers, pause, large_pause, delay_ms

    def start(self):
        if "disk" not in self.left_out:
            for number, node in self.cluster.nodes.items():
                place = os.path.join(self.directory, f"on{number}")
                os.mkdir(place)
                self.disks[number] = disk.Disk(place, DISK_MIB)
                node.data = os.path.join(self.disks[number].path, "data")
        if self.delay_ms:
            self.start_relay()
        self.cluster.start()
        self.cluster.add_demo()
        self.whole()
        for number in range(self.pushers):
            self.spawn(Pusher(self.cluster, str(number), 1 + number % 2, self.history, self.pause))
        self.spawn(LargePusher(self.cluster, "large", 1, self.history, self.large_pause))
        for member in (1, 2):
            self.spawn(Reader(self.cluster, "reader", member, self.history, self.pause))

    def spawn(self, client):
        self.threads.append(threading.Thread(target=self.guarded, args=(client,)))
        self.threads[-1].start()

    def guarded(self, client):
        try:
            client.run(self.stopping)
        except Exception as error:
            self.history.faults.append(f"a client ended: {type(error).__name__}: {error}")

    def start_relay(self):
        """What goes to and comes from the off-site member takes its time. The relay stands at that member."""
        cluster, pairs = self.cluster, []
        here = cluster.hosts[OFF_SITE]
        ports = [cluster.peer_ports[OFF_SITE] + 1000 + at for at in range(3)] if self.network else free_ports(3)
        pairs.append(f"{here}:{ports[0]}={here}:{cluster.peer_ports[OFF_SITE]}")
        for number in (1, 2):
            cluster.routes[(number, OFF_SITE)] = f"{here}:{ports[0]}"
            cluster.routes[(OFF_SITE, number)] = f"127.0.0.1:{ports[number]}"
            pairs.append(f"127.0.0.1:{ports[number]}={cluster.hosts[number]}:{cluster.peer_ports[number]}")
        self.relay = subprocess.Popen([*cluster.enter(OFF_SITE), "/usr/bin/python3", RELAY, str(self.delay_ms), *pairs])

    def whole(self, seconds=60):
        """All members are in sync and have applied everything."""
        wait_until(lambda: {"1", "2"} <= set(self.cluster.in_sync()), seconds, "primary and standby are in sync")
        self.cluster.wait_for_all_but_load(seconds)

    # Faults. Each returns what mends it.

    def kill(self, node):
        node.stop(signal.SIGKILL)
        return node.start

    def freeze(self, node):
        node.stop(signal.SIGSTOP)
        return lambda: node.process.send_signal(signal.SIGCONT)

    def kill_etcd(self, node=None):
        self.cluster.stop_etcd()
        return self.cluster.start_etcd

    def peers(self, node):
        return [name for name in (1, 2, 3, "etcd") if name != node.number]

    def cut(self, node):
        """Nothing comes or goes; not from clients either."""
        for name in (*self.peers(node), None):
            self.network.lose(name, node.number)
        for name in self.peers(node):
            self.network.lose(node.number, name)
        return self.network.heal

    def cut_from_peers(self, node):
        """The same, but clients reach it."""
        for name in self.peers(node):
            self.network.lose(name, node.number)
            self.network.lose(node.number, name)
        return self.network.heal

    def deafen(self, node):
        """It is heard and hears nobody."""
        for name in self.peers(node):
            self.network.lose(name, node.number)
        return self.network.heal

    def mute(self, node):
        """It hears and is not heard."""
        for name in self.peers(node):
            self.network.lose(node.number, name)
        return self.network.heal

    def cut_pair(self, node):
        """Primary and standby, which do not hear each other; both hear the off-site member and etcd."""
        self.network.lose(1, 2)
        self.network.lose(2, 1)
        return self.network.heal

    def slow(self, node):
        self.network.limit(node.number, SLOW_BITS)
        return self.network.heal

    def fill_disk(self, node):
        """Space comes back before the member starts again, if it ended or stopped itself."""
        one = self.disks[node.number]
        one.fill()

        def mend():
            one.free()
            if node.process.poll() is not None or node.role() in (None, "stopped"):
                node.stop(signal.SIGKILL)
                node.start()
        return mend

    def break_disk(self, node):
        """Reads of what is in memory go on, nothing is written any more: the member stops by itself, and says so."""
        self.disks[node.number].lose_power()

        def mend():
            wait_until(lambda: node.role() == "stopped", 60, f"member {node.number} stopped")
            wait_until(lambda: '"event":"alarm","kind":"log_failed"' in pathlib.Path(node.log_path).read_text(), 30, f"member {node.number} gave an alarm")
            node.stop(signal.SIGKILL)
            self.disks[node.number].restore_power()
            node.start()
        return mend

    def lose_power(self, node):
        return self.lose_power_of([node])

    def lose_power_of_all(self, node=None):
        return self.lose_power_of(list(self.cluster.nodes.values()))

    def lose_power_of(self, nodes):
        for node in nodes:
            self.disks[node.number].lose_power()
        for node in nodes:
            node.stop(signal.SIGKILL)

        def mend():
            for node in nodes:
                self.disks[node.number].restore_power()
            for node in nodes:
                node.start()
        return mend

    def kinds(self):
        """{name: how it is made} of those that this machine permits."""
        out = {"power": self.lose_power} if self.disks else {}  # first: soon after the start the system has written the least by itself
        out |= {"kill": self.kill, "freeze": self.freeze, "etcd": self.kill_etcd}
        if self.network:
            out |= {"cut": self.cut, "cut-from-peers": self.cut_from_peers, "deafen": self.deafen, "mute": self.mute, "cut-pair": self.cut_pair, "slow": self.slow}
        if self.disks:
            out |= {"full-disk": self.fill_disk, "broken-disk": self.break_disk, "power-of-all": self.lose_power_of_all}
        return out

    def end_load(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join()
        self.threads = []

    def check(self):
        """Ends load and members; returns what is wrong, as sentences."""
        self.end_load()
        self.whole()
        self.cluster.wait_for_all(60)
        wrong, seen = list(self.history.faults), {}
        for node in self.cluster.nodes.values():
            node.stop()
            told = node.ctl("refs", "demo/r")
            seen[node.number] = pairs_of(told.splitlines())
            lost = self.history.lost(seen[node.number])
            if lost:
                wrong.append(f"member {node.number} lost {lost} acknowledged pushes")
            self.history.saw(self.history.before_read(), seen[node.number], f"member {node.number} at the end")
            checked = subprocess.run([f"{self.binaries}/vexorctl", "--data", node.data, "fsck", "--all"], capture_output=True, text=True, timeout=600)
            if checked.returncode != 0:
                wrong.append(f"fsck of member {node.number}: {checked.stdout}{checked.stderr}")
        if not seen[1] or seen[1] != seen[2] or seen[1] != seen[3]:
            wrong.append(f"the members differ: {seen}")
        return wrong + self.history.faults[len(wrong):]

    def remove(self):
        self.end_load()
        if self.network:
            self.network.heal()
        self.cluster.stop()
        if self.relay:
            self.relay.kill()
            self.relay.wait()
        for one in self.disks.values():
            one.remove()
        if self.network:
            self.network.remove()
        if os.environ.get("VEXOR_FAULTS_KEEP"):
            print("kept:", self.directory)
        else:
            shutil.rmtree(self.directory, ignore_errors=True)
