#!/usr/bin/env python3
"""Repositories with copies of their own, while servers are away: what goes through, what is refused, what receipts say. Usage: policy_test.py BINARIES"""
import json, os, shutil, signal, sys, tempfile, time, unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from cluster import CALM, Cluster, wait_until
from load import ZERO, git

BINARIES = sys.argv.pop(1)
AWAY_SECONDS = 3  # after its process died a member counts as away, also if nobody has evidence of it


class PolicyTest(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.mkdtemp(prefix="vexor-policy-")
        self.addCleanup(shutil.rmtree, self.directory, True)
        self.cluster = Cluster(BINARIES, self.directory, {**CALM, "all_wait_ms": 10000})
        self.addCleanup(self.cluster.stop)
        self.cluster.start()
        self.primary = self.cluster.add_demo(("plain", "ledger", "scratch"))
        self.cluster.wait_for_all()
        self.cluster.wait_in_sync()
        self.standby, self.far = self.cluster.nodes[3 - self.primary.number], self.cluster.nodes[3]
        self.work = os.path.join(self.directory, "work")
        git("init", "-q", "-b", "main", self.work)
        self.pushes = 0
        self.set_copies("ledger", "all")
        self.set_copies("scratch", "local")

    def set_copies(self, name, copies):
        self.primary.ctl("repo", "set", f"demo/{name}", "--copies", copies)
        told = json.loads(self.primary.ctl("--json", "repo", "describe", f"demo/{name}"))
        self.assertEqual(told["fields"]["copies"], copies)

    def push(self, name, check=True):
        self.pushes += 1
        git("commit", "-q", "--allow-empty", "-m", f"push {self.pushes}", cwd=self.work)
        return git("push", "--progress", self.primary.url(f"demo/{name}"), "HEAD:refs/heads/main", cwd=self.work, check=check)

    def refused(self, name, why):
        """Whether the next push is refused so, and leaves the branch where it was."""
        before = self.tip(self.primary, name)
        done = self.push(name, check=False)
        if done.returncode == 0 or why not in done.stderr:
            return False
        self.assertIn("nothing was changed", done.stderr)
        self.assertNotIn("stored on", done.stderr)
        self.assertEqual(self.tip(self.primary, name), before)
        return True

    def tip(self, node, name):
        listed = git("ls-remote", node.url(f"demo/{name}"), "refs/heads/main").stdout
        return listed.split()[0] if listed else ZERO

    def head(self):
        return git("rev-parse", "HEAD", cwd=self.work).stdout.strip()

    def test_all_is_refused_while_a_server_is_away_and_others_go_on(self):
        self.cluster.until_on_all(lambda: self.push("ledger").stderr)
        self.far.stop(signal.SIGKILL)
        wait_until(lambda: self.refused("ledger", "copies = all"), 60, "a push to the repository with copies of all is refused")
        kept = self.tip(self.primary, "ledger")
        self.assertIn("stored on 2 of 3 servers, off-site follows", self.push("plain").stderr)
        self.assertTrue(self.refused("ledger", "not all of them answer"))
        self.assertIn("stored on 2 of 3 servers, off-site follows", self.push("scratch").stderr)  # the standby is in sync
        self.assertEqual(self.tip(self.standby, "ledger"), kept)
        # An operator may relax it now, and cannot ask for more than can be had.
        self.set_copies("ledger", "cluster")
        self.assertIn("stored on 2 of 3 servers, off-site follows", self.push("ledger").stderr)
        with self.assertRaisesRegex(AssertionError, "not all of them answer"):
            self.set_copies("ledger", "all")
        self.far.start()
        self.cluster.wait_for_all(60)
        wait_until(lambda: self.push("plain", check=False).returncode == 0, 60, "the primary takes pushes")
        wait_until(lambda: not self.refused("ledger", "nothing"), 60, "all of them answer")
        self.set_copies("ledger", "all")
        self.cluster.until_on_all(lambda: self.push("ledger").stderr)

    def test_local_goes_on_with_the_primary_alone(self):
        for name in ("plain", "scratch"):
            self.cluster.until_on_all(lambda: self.push(name).stderr)
        self.standby.stop(signal.SIGKILL)
        wait_until(lambda: len(self.cluster.in_sync()) == 1, 60, "the standby is out of the set")
        self.assertIn("stored on 2 of 3 servers, off-site included", self.push("scratch").stderr)
        self.far.stop(signal.SIGKILL)
        time.sleep(AWAY_SECONDS)
        kept = self.tip(self.primary, "plain")
        for _ in range(3):
            self.assertIn("stored on 1 of 3 servers, off-site follows", self.push("scratch").stderr)
            self.assertEqual(self.tip(self.primary, "scratch"), self.head())
            self.assertTrue(self.refused("plain", "no other one answers"))
            self.assertTrue(self.refused("ledger", "not all of them answer"))
        self.assertEqual(self.tip(self.primary, "plain"), kept)
        # What the others missed they get, and all is as before.
        kept = self.tip(self.primary, "scratch")
        self.far.start()
        wait_until(lambda: self.push("plain", check=False).returncode == 0, 60, "a second server is there")
        self.assertIn("stored on 2 of 3 servers", self.push("plain").stderr)
        self.standby.start()
        self.cluster.wait_for_all(60)
        self.cluster.wait_in_sync()
        self.assertEqual(self.tip(self.standby, "scratch"), kept)
        self.cluster.until_on_all(lambda: self.push("plain").stderr)
        self.cluster.until_on_all(lambda: self.push("ledger").stderr)
        for node in self.cluster.nodes.values():
            node.stop(signal.SIGTERM)
            node.ctl("fsck", "--all")

    def test_a_policy_outlives_its_primary(self):
        self.cluster.until_on_all(lambda: self.push("ledger").stderr)
        self.far.stop(signal.SIGKILL)
        self.primary.stop(signal.SIGKILL)
        self.primary.start()
        self.primary = self.cluster.leader()
        wait_until(lambda: self.refused("ledger", "not all of them answer"), 60, "the next primary refuses as well")
        told = json.loads(self.primary.ctl("--json", "repo", "describe", "demo/ledger"))
        self.assertEqual(told["fields"]["copies"], "all")
        wait_until(lambda: self.push("plain", check=False).returncode == 0, 60, "others go on")


if __name__ == "__main__":
    unittest.main(verbosity=2)
