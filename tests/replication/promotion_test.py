#!/usr/bin/env python3
"""An operator's changes of the record: the off-site member is promoted, etcd loses the record. Usage: promotion_test.py BINARIES"""
import json, os, shutil, signal, subprocess, sys, tempfile, time, unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from cluster import Cluster, wait_until
from load import git

BINARIES = sys.argv.pop(1)


class PromotionTest(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.mkdtemp(prefix="vexor-promotion-")
        self.addCleanup(shutil.rmtree, self.directory, True)
        self.cluster = Cluster(BINARIES, self.directory)
        self.addCleanup(self.cluster.stop)
        self.cluster.start()
        self.primary = self.cluster.add_demo()
        self.cluster.wait_for_all()
        self.cluster.wait_in_sync()
        self.work = os.path.join(self.directory, "work")
        git("init", "-q", "-b", "main", self.work)

    def push(self, node, text):
        git("commit", "-q", "--allow-empty", "-m", text, cwd=self.work)
        return git("push", "--progress", node.url("demo/r"), "HEAD:refs/heads/main", cwd=self.work).stderr

    def push_to_all(self, node, text):
        self.cluster.until_on_all(lambda: self.push(node, text))

    def tip(self, node):
        return git("ls-remote", node.url("demo/r"), "refs/heads/main", cwd=self.work).stdout.split()[0]

    def head(self):
        return git("rev-parse", "HEAD", cwd=self.work).stdout.strip()

    def fails(self, *args):
        done = wait_until(lambda: (lambda told: None if "does not answer" in told.stderr else told)(self.cluster.run_ctl(*args)), 30, "etcd answers")
        self.assertNotEqual(done.returncode, 0, done.stdout)
        return done.stderr

    def lose_the_record(self, *options):
        """An empty etcd, in which an operator makes a record while all members are down."""
        for node in self.cluster.nodes.values():
            node.stop()
        self.cluster.stop_etcd()
        shutil.rmtree(os.path.join(self.directory, "etcd"))
        self.cluster.start_etcd()
        self.cluster.make_record(*options)
        for node in self.cluster.nodes.values():
            node.start()

    def promote(self, *how):
        """Members 1 and 2 are gone; the off-site one gets frontends, and leads. `how`: the operator's words; by its number, without a report, if there are none. Returns it."""
        for number in (1, 2):
            self.cluster.nodes[number].stop(signal.SIGKILL)
        third = self.cluster.nodes[3]
        third.stop()
        third.program = "vexord"
        third.start()
        monitor = f"127.0.0.1:{self.cluster.monitor_ports[3]}"
        for words in (("3",), ("3", "--accept-loss"), ("--off-site", "--accept-loss")):  # what may be lost is told, or explicitly is not
            self.assertRegex(self.fails("promote", *words), "give --health HOST:PORT of the monitor of member 3.*--no-report")
        self.assertIn("--accept-loss", self.fails("promote", "3", "--no-report"))
        self.assertIn("Give its ID, or --off-site", self.fails("promote", "--no-report", "--accept-loss"))
        self.assertIn("--health", self.fails("promote", "--off-site", "--accept-loss-report"))
        for words in (("3", "--off-site", "--accept-loss", "--no-report"), ("3", "--accept-loss", "--no-report", "--health", monitor)):
            self.assertIn("excludes", self.fails("promote", *words))
        self.assertIn("monitor of member 3", self.fails("promote", "2", "--health", monitor, "--accept-loss"))
        report = self.fails("promote", "3", "--health", monitor)
        self.assertRegex(report, r"member 3 has the journal up to record \d+, made at 20\S+Z\n(its last \d+ records were not compared.*\n)?it has heard no primary since it was started")
        self.assertIn("--accept-loss", report)
        self.assertIn("no such member", self.fails("promote", "9", "--accept-loss", "--no-report"))
        told = self.cluster.ctl("promote", *(how or ("3", "--accept-loss", "--no-report")), "--copies", "local", *(("--health", monitor) if how else ()))
        self.assertIn("member 3 is to lead", told)
        (self.assertIn if how else self.assertNotIn)("member 3 has the journal up to record", told)
        wait_until(lambda: (third.status() or {}).get("takes_pushes"), 60, "the off-site member leads")
        return third

    def test_the_off_site_member_is_promoted_and_hands_back(self):
        self.push_to_all(self.primary, "before")
        third = self.promote("--off-site", "--accept-loss-report")
        self.assertEqual(self.tip(third), self.head())
        self.assertRegex(self.push(third, "after"), r"stored on 1 of 3 servers")
        self.assertEqual(self.tip(third), self.head())
        self.cluster.nodes[1].start()
        self.cluster.nodes[2].start()
        self.cluster.wait_in_sync(3)
        self.cluster.wait_for_all()
        self.cluster.ctl("copies", "two")
        self.cluster.hand_over(1)
        third.stop()
        third.program = "vexor-replicad"
        third.start()
        self.cluster.wait_for_all()
        self.push_to_all(self.cluster.nodes[1], "as before")
        for number in (1, 2):
            self.assertEqual(self.tip(self.cluster.nodes[number]), self.head())

    def test_commands_say_what_is_there_already(self):
        refused = self.cluster.run_ctl("init", *self.cluster.members())
        self.assertEqual(refused.returncode, 4)
        self.assertIn("there is a record already (cluster status): change it with join, remove, promote; for a new set give --etcd-key KEY", refused.stderr)
        refused = self.cluster.run_ctl("handover", str(self.primary.number))
        self.assertEqual((refused.returncode, refused.stderr), (2, f"vexorctl: member {self.primary.number} leads already\n"))
        told = json.loads(self.cluster.ctl("status", "--json"))
        self.assertGreater(told.pop("version"), 0)
        self.assertEqual(told, self.cluster.record())
        self.assertIn("copies", json.loads(self.cluster.ctl("copies", "two", "--json"))["message"])

    def test_a_member_that_was_removed_serves_nothing(self):
        self.push_to_all(self.primary, "before")
        kept, other = self.head(), self.cluster.nodes[3 - self.primary.number]
        self.cluster.ctl("remove", str(other.number))
        wait_until(lambda: (self.primary.status() or {}).get("members") == 2, 60, "the primary knows")
        git("commit", "-q", "--allow-empty", "-m", "by way of it", cwd=self.work)
        refused = git("push", other.url("demo/r"), "HEAD:refs/heads/main", cwd=self.work, check=False)
        self.assertNotEqual(refused.returncode, 0)
        self.assertIn("cannot tell whether it is up to date", refused.stderr)
        self.assertNotEqual(git("ls-remote", other.url("demo/r"), cwd=self.work, check=False).returncode, 0)
        self.assertEqual(self.tip(self.primary), kept)
        self.assertIn("2 of 2", self.push(self.primary, "without it"))

    def test_members_that_have_what_was_lost_stop_and_begin_anew(self):
        self.push_to_all(self.primary, "before")
        kept = self.head()
        self.cluster.nodes[3].stop(signal.SIGKILL)
        self.assertIn("2 of 3", self.push(self.primary, "lost"))
        self.cluster.wait_for_all(60)  # both know that it is committed
        self.lost = self.head()
        third = self.promote()
        self.assertEqual(self.tip(third), kept)
        git("reset", "-q", "--hard", kept, cwd=self.work)
        self.push(third, "after")
        for number in (1, 2):
            node = self.cluster.nodes[number]
            node.start()
            wait_until(lambda: (node.health()[1] or {}).get("alarm") == "divergence", 60, f"member {number} gives an alarm")
            self.assertEqual((node.health()[0], node.role()), (False, "stopped"))  # nobody is to be sent there
            node.stop(signal.SIGKILL)
            appended = third.status()["appended"]
            told = subprocess.run([f"{BINARIES}/vexorctl", "--data", node.data, "--json", "journal", "--count", "3"], capture_output=True, text=True, timeout=60)
            self.assertEqual(told.returncode, 0, told.stderr)
            self.assertTrue(any(f"refs/heads/main {kept} {self.lost}" in row["refs"] for row in json.loads(told.stdout)["rows"]), (appended, told.stdout))
            shutil.rmtree(os.path.join(node.data, "store"))
            node.start()
        self.cluster.wait_in_sync(3)
        self.cluster.wait_for_all()
        for number in (1, 2):
            self.assertEqual(self.tip(self.cluster.nodes[number]), self.head())

    def test_a_record_that_etcd_lost_is_made_anew(self):
        self.push_to_all(self.primary, "before")
        epochs = [wait_until(node.status, 60, "it serves")["epoch"] for node in self.cluster.nodes.values()]
        self.lose_the_record("--epoch", str(max(epochs) + 1))
        primary = self.cluster.leader()
        self.assertEqual(primary.number, 1)
        self.assertGreater(wait_until(primary.status, 60, "it serves")["epoch"], max(epochs) + 1)
        self.assertEqual(self.tip(primary), self.head())
        self.cluster.wait_in_sync()
        self.push_to_all(primary, "after")

    def test_no_member_runs_under_a_record_with_an_older_epoch(self):
        self.push_to_all(self.primary, "before")
        self.primary.stop(signal.SIGKILL)  # there is an epoch that a new record knows nothing of
        second = wait_until(lambda: self.cluster.primary(other_than=self.primary.number), 60, "the standby leads")
        self.push(second, "in a later epoch")
        self.primary.start()
        self.cluster.wait_for_all()
        self.lose_the_record()
        until = time.monotonic() + 12  # some detector times, and the promises of before
        while time.monotonic() < until:
            self.assertIsNone(self.cluster.primary())
            time.sleep(0.1)


unittest.main()
