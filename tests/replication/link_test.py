#!/usr/bin/env python3
"""The link to an off-site member 80 ms away, through a relay: what a push is told, and how long that takes. Usage: link_test.py BINARIES"""
import os, shutil, sys, tempfile, unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from cluster import Cluster, wait_until
from load import RawClient, git
from relay import start_relay

BINARIES = sys.argv.pop(1)
ROUND_TRIP_MS = 80


class LinkTest(unittest.TestCase):
    def start(self, timers, copies="two"):
        directory = tempfile.mkdtemp(prefix="vexor-link-")
        self.addCleanup(shutil.rmtree, directory, True)
        self.cluster = Cluster(BINARIES, directory, {"heartbeat_ms": 50, "lease_ms": 400, "detector_ms": 800, **timers})
        self.cluster.copies = copies
        relay = start_relay(self.cluster, ROUND_TRIP_MS / 2)
        self.addCleanup(relay.wait)
        self.addCleanup(relay.kill)
        self.addCleanup(self.cluster.stop)
        self.cluster.start()
        self.primary = self.cluster.primary()
        wait_until(lambda: self.far().get("round_trip_ms", 0) >= ROUND_TRIP_MS, 20, "the primary knows the round trip")
        self.cluster.add_demo()
        self.cluster.wait_for_all()
        self.work = os.path.join(directory, "work")
        git("init", "-q", "-b", "main", self.work)

    def far(self):
        """What the primary says of the off-site member."""
        return next(other for other in self.primary.status()["others"] if other["node"] == 3)

    def push(self, text):
        git("commit", "-q", "--allow-empty", "-m", text, cwd=self.work)
        return git("push", "--progress", self.primary.url("demo/r"), "HEAD:refs/heads/main", cwd=self.work).stderr

    def test_a_push_does_not_wait_for_the_far_copy_and_says_so(self):
        self.start({})
        self.assertRegex(self.push("one"), r"stored on 2 of 3 servers, off-site follows, sequence \d+")
        client = RawClient(self.cluster.https_ports, "far", self.primary.number)
        for _ in range(20):
            client.push()
        client.forget_connections()
        took = sorted(seconds for _, seconds, _ in client.times)
        self.assertLess(took[0], ROUND_TRIP_MS / 1000)
        self.cluster.wait_for_all()
        wait_until(lambda: self.far()["has"] == self.primary.status()["appended"], 10, "the primary knows that all is off-site")

    def test_a_push_waits_for_the_far_copy_if_it_is_to(self):
        self.start({"offsite_wait_ms": 5000})
        self.assertRegex(self.push("one"), r"stored on 3 of 3 servers, off-site included, sequence \d+")

    def test_with_copies_all_the_far_copy_is_waited_for(self):
        self.start({"all_wait_ms": 5000}, "all")
        for count in range(5):
            self.assertRegex(self.push(f"all {count}"), r"stored on 3 of 3 servers, off-site included, sequence \d+")


unittest.main()
