#!/usr/bin/env python3
"""An entry that takes its link longer than a member may be silent: it arrives, nobody takes over for it, and it does not go again and again.
Usage: large_entry_test.py BINARIES. As root on Linux, with network namespaces; skipped elsewhere."""
import hashlib, os, re, shutil, struct, sys, tempfile, time, unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import network
from cluster import CALM, Cluster, wait_until
from load import ZERO, RawClient, pkt

BINARIES = sys.argv.pop(1)
TIMERS = {"heartbeat_ms": 100, "lease_ms": 700, "detector_ms": 1000}  # the defaults
REFS = 80_000
NAME = "refs/heads/" + "with-quite-a-few-letters-" * 4 + "%06d"
BITS_PER_SECOND = 8_000_000
NO_OBJECTS = b"PACK" + struct.pack(">II", 2, 0)


@unittest.skipIf(network.missing(), network.missing())
class LargeEntryTest(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.mkdtemp(prefix="vexor-entry-")
        self.addCleanup(shutil.rmtree, self.directory, True)
        self.network = network.Network((1, 2, 3, "etcd"))
        self.addCleanup(self.network.remove)
        self.cluster = Cluster(BINARIES, self.directory, {**CALM, **TIMERS}, network=self.network)
        self.addCleanup(self.cluster.stop)
        self.cluster.start()
        self.primary = self.cluster.add_demo()
        self.cluster.wait_for_all()
        self.cluster.wait_in_sync()
        self.client = RawClient(self.cluster.https_ports, "one", self.primary.number, timeout=120, hosts=self.cluster.hosts)
        self.addCleanup(self.client.forget_connections)
        self.client.push()

    def sent_to(self, number):
        told = network.run("tc", "-s", "qdisc", "show", "dev", self.network.outside(number))
        return int(re.search(r"Sent (\d+) bytes", told)[1])

    def push_refs(self):
        """So many refs on the commit that is there. Returns the octets that say so in the journal, roughly."""
        lines = [f"{ZERO} {self.client.tip} {NAME % number}".encode() for number in range(REFS)]
        lines[0] += b"\0 report-status"
        answer = self.client.request("git-receive-pack", b"".join(map(pkt, lines)) + b"0000" + NO_OBJECTS + hashlib.sha1(NO_OBJECTS).digest())
        self.assertIn(b"unpack ok", answer)
        self.assertEqual(answer.count(b"ok refs/"), REFS)
        return REFS * (len(NAME) + 20)

    def test_it_reaches_the_off_site_member_over_a_slow_link(self):
        self.network.limit(3, BITS_PER_SECOND)
        before, began = self.sent_to(3), time.monotonic()
        octets = self.push_refs()
        takes = octets * 8 / BITS_PER_SECOND
        self.assertGreater(takes, 8, "longer than any silence that is put up with")
        wanted = self.primary.status()["appended"]
        wait_until(lambda: (self.cluster.nodes[3].status() or {"applied": 0})["applied"] >= wanted, 3 * takes + 20, "it is off-site")
        print(f"{octets} octets in {time.monotonic() - began:.1f} s, {takes:.1f} at least; {self.sent_to(3) - before} crossed the link", flush=True)
        self.assertLess(self.sent_to(3) - before, 3 * octets)

    def test_nobody_takes_over_while_it_goes_to_the_standby(self):
        other = self.cluster.nodes[3 - self.primary.number]
        self.network.limit(other.number, BITS_PER_SECOND)
        epoch = self.primary.status()["epoch"]
        self.push_refs()
        wanted = self.primary.status()["appended"]
        wait_until(lambda: (other.status() or {"applied": 0})["applied"] >= wanted, 120, "the standby has it")
        self.cluster.wait_in_sync()
        self.assertEqual(self.primary.status()["epoch"], epoch)
        self.client.push()


unittest.main(verbosity=2)
