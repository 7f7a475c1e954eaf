#!/usr/bin/env python3
"""Three real servers and an etcd: pushes with receipts, kill -9 of the primary, hand-over. Usage: cluster_test.py BINARIES"""
import base64, json, os, pathlib, re, shutil, signal, subprocess, sys, tempfile, time, unittest, urllib.request

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from cluster import PASSWORD, Cluster, free_ports, wait_until

BINARIES = sys.argv.pop(1)


def git(*args, cwd=None, check=True):
    environment = dict(os.environ, GIT_SSL_NO_VERIFY="1", GIT_TERMINAL_PROMPT="0", GIT_CONFIG_NOSYSTEM="1", GIT_AUTHOR_NAME="a", GIT_AUTHOR_EMAIL="a@b", GIT_COMMITTER_NAME="a", GIT_COMMITTER_EMAIL="a@b")
    done = subprocess.run(["git", *args], cwd=cwd, env=environment, capture_output=True, text=True, timeout=120)
    if check and done.returncode != 0:
        raise AssertionError(f"git {args}: {done.stderr}")
    return done


class ClusterTest(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.mkdtemp(prefix="vexor-cluster-")
        self.cluster = Cluster(BINARIES, self.directory)
        self.addCleanup(shutil.rmtree, self.directory, True)
        self.addCleanup(self.cluster.stop)
        self.cluster.start()
        self.work = os.path.join(self.directory, "work")
        git("init", "-q", "-b", "main", self.work)
        self.cluster.add_demo()
        self.cluster.wait_for_all()
        self.cluster.wait_in_sync()

    def commit(self, text):
        with open(os.path.join(self.work, "file"), "a") as out:
            out.write(text + "\n")
        git("add", ".", cwd=self.work)
        git("commit", "-qm", text, cwd=self.work)
        return git("rev-parse", "HEAD", cwd=self.work).stdout.strip()

    def push(self, node, check=True):
        return git("push", "-q", node.url("demo/r"), "main", cwd=self.work, check=check)

    def test_push_kill_and_hand_over(self):
        said = self.cluster.until_on_all(lambda: (self.commit("one"), git("push", "--progress", self.cluster.leader().url("demo/r"), "main", cwd=self.work).stderr)[1])
        self.assertRegex(said, r"sequence \d+")
        tip = git("rev-parse", "HEAD", cwd=self.work).stdout.strip()
        for number in (1, 2):  # a read anywhere shows it
            self.assertIn(tip, git("ls-remote", self.cluster.nodes[number].url("demo/r")).stdout)
        waits = []
        for round_number in range(3):
            self.cluster.wait_in_sync()
            primary = self.cluster.leader()
            other = self.cluster.nodes[3 - primary.number]
            tip = self.commit(f"before {round_number}")
            self.push(primary)
            self.cluster.wait_in_sync()
            primary.stop(signal.SIGKILL)
            began = time.monotonic()
            wait_until(lambda: other.role() == "primary", 60, "the standby leads")
            waits.append(time.monotonic() - began)
            self.assertIn(tip, git("ls-remote", other.url("demo/r")).stdout)
            self.commit(f"after {round_number}")
            self.push(other)
            primary.start()
            self.cluster.wait_for_all()
        print("the standby led after", ", ".join(f"{wait * 1000:.0f} ms" for wait in waits))
        # Planned: the other one leads, nobody was killed.
        self.cluster.wait_in_sync()
        primary = self.cluster.leader()
        other = self.cluster.nodes[3 - primary.number]
        self.cluster.hand_over(other.number)
        tip = self.commit("after the hand-over")
        self.push(other)
        self.cluster.wait_for_all()
        # All three hold the same, and it is sound.
        for node in self.cluster.nodes.values():
            node.stop()
            refs = subprocess.run([f"{BINARIES}/vexorctl", "--data", node.data, "refs", "demo/r"], capture_output=True, text=True, timeout=60)
            self.assertIn(tip, refs.stdout, refs.stderr)
            checked = subprocess.run([f"{BINARIES}/vexorctl", "--data", node.data, "fsck", "--all"], capture_output=True, text=True, timeout=60)
            self.assertEqual(checked.returncode, 0, checked.stdout + checked.stderr)

    def check_receipt(self, node, command):
        """The receipt of a command, as fields, and that it is true."""
        done = json.loads(node.ctl("--json", *command, stdin=PASSWORD + "\n"))
        receipt = done["receipt"]
        self.assertEqual(receipt["servers"], 3, command)
        self.assertIn(receipt["copies"], (2, 3), command)
        self.assertFalse(receipt["short"], command)
        off_site = "included" if receipt["off_site"] else "follows"
        self.assertEqual(receipt["text"], f"stored on {receipt['copies']} of 3 servers, off-site {off_site}, sequence {receipt['sequence']}", command)
        self.assertEqual(done.get("sequence", receipt["sequence"]), receipt["sequence"], command)
        last = json.loads(node.ctl("--json", "journal", "--after", str(receipt["sequence"] - 1)))["rows"]
        self.assertEqual([row["sequence"] for row in last], [receipt["sequence"]], command)  # nobody else changes anything

    def test_changes_by_an_operator_and_by_users_have_receipts(self):
        primary = self.cluster.leader()
        source, bare, key = (os.path.join(self.directory, name) for name in ("source", "source.git", "key"))
        git("init", "-q", "-b", "main", source)
        git("commit", "-q", "--allow-empty", "-m", "one", cwd=source)
        git("clone", "-q", "--mirror", source, bare)
        subprocess.run(["ssh-keygen", "-q", "-N", "", "-t", "ed25519", "-f", key], check=True)
        fingerprint = subprocess.run(["ssh-keygen", "-lf", key + ".pub"], capture_output=True, text=True, check=True).stdout.split()[1]
        for command in [("user", "add", "ann", "--password-stdin"), ("user", "passwd", "ann", "--password-stdin"), ("user", "disable", "ann"), ("user", "enable", "ann"),
                        ("key", "add", "ann", key + ".pub"),
                        ("repo", "create", "ann/one"), ("repo", "set", "ann/one", "--public"), ("grant", "ann/one", "demo", "write"), ("protect", "ann/one", "main"), ("hide", "ann/one", "refs/pull/*"),
                        ("import", "ann/one", bare), ("repo", "fork", "ann/one", "ann/two"), ("repo", "rename", "ann/two", "ann/three"), ("repo", "delete", "ann/three"), ("repo", "restore", "ann/three")]:
            self.check_receipt(primary, command)
        then = json.loads(primary.ctl("--json", "stats"))["fields"]["last_sequence"]
        git("commit", "-q", "--allow-empty", "-m", "two", cwd=source)
        git("remote", "update", cwd=bare)
        for command in [("import", "ann/one", bare), ("ref", "undo", "ann/one", "main"), ("repo", "restore", "ann/one", "--at", str(then), "--as", "ann/then")]:
            self.check_receipt(primary, command)
        ssh = ["ssh", "-F", "none", "-i", key, *(part for option in ("IdentitiesOnly=yes", "StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR", "BatchMode=yes") for part in ("-o", option))]
        for command in (("repo", "create", "ann/mine"), ("repo", "delete", "ann/mine"), ("key", "remove", fingerprint)):
            told = subprocess.run([*ssh, "-p", str(self.cluster.ssh_ports[primary.number]), "git@127.0.0.1", *command], capture_output=True, text=True, timeout=60)
            self.assertEqual(told.returncode, 0, told.stderr)
            self.assertRegex(told.stdout, r"\nstored on [23] of 3 servers, off-site (included|follows), sequence \d+\n$")
        self.assertRegex(primary.ctl("repo", "create", "demo/printed"), r"^created demo/printed\nstored on [23] of 3 servers, off-site (included|follows), sequence \d+\n$")
        for command in (("repo", "list"), ("refs", "ann/one"), ("journal", "--count", "1"), ("stats",)):
            self.assertNotIn("receipt", json.loads(primary.ctl("--json", *command)))

    def check_figures(self, node, primary, lag):
        """Health and gauges of a member are of its role, and agree; lag: of these members, none or some."""
        health, gauges = wait_until(node.status, 60, "it serves"), node.metrics()
        self.assertEqual(health["node"], node.number)
        self.assertEqual(health["role"], "primary" if node is primary else "follower")
        self.assertEqual(health["takes_pushes"], node is primary)
        self.assertEqual(health["primary"], primary.number)
        self.assertEqual(health["members"], 3)
        self.assertEqual(sorted(health["in_sync"]), [1, 2])
        self.assertFalse(health["damaged"])
        self.assertLessEqual(health["applied"], health["committed"])
        self.assertLessEqual(health["committed"], health["appended"])
        if node is not primary:
            self.assertEqual(health["compared"], health["appended"])
        self.assertGreater(health["appended_at_ms"], (time.time() - 600) * 1000)
        self.assertEqual(gauges["vexor_replica_leads"], node is primary)
        self.assertEqual(gauges["vexor_replica_epoch"], health["epoch"])
        self.assertEqual(gauges["vexor_replica_in_sync"], node.number != 3)
        self.assertEqual(gauges["vexor_replica_damaged"], 0)
        told = {other["node"]: other for other in health["others"]} if node is primary else {node.number: health}
        self.assertEqual(sorted(told), sorted(set(self.cluster.nodes) - {node.number}) if node is primary else [node.number])
        self.assertEqual({name for name in gauges if name.startswith("vexor_replica_lag_")},
                         {f'vexor_replica_lag_{what}{{node="{number}"}}' for what in ("records", "bytes", "seconds") for number in told})
        for number, figures in told.items():
            for what in ("records", "bytes", "seconds"):
                both = figures[f"lag_{what}"], gauges[f'vexor_replica_lag_{what}{{node="{number}"}}']
                (self.assertGreater if number in lag else self.assertEqual)(min(both), 0, (node.number, number, what))
                (self.assertGreater if number in lag else self.assertEqual)(max(both), 0, (node.number, number, what))

    def test_health_and_gauges_tell_of_roles_and_lag(self):
        self.commit("one")
        self.push(self.cluster.leader())
        self.cluster.wait_for_all()
        self.cluster.wait_in_sync()
        primary = self.cluster.leader()
        other, far = self.cluster.nodes[3 - primary.number], self.cluster.nodes[3]
        caught_up = lambda: all(one["lag_records"] == 0 for one in (primary.status() or {}).get("others", [{"lag_records": 1}]))
        wait_until(caught_up, 60, "the primary knows that all have all")
        for node in self.cluster.nodes.values():
            self.check_figures(node, primary, lag=())
        far.process.send_signal(signal.SIGSTOP)
        try:
            self.commit("two")
            self.push(primary)
            wait_until(lambda: [one["lag_records"] for one in primary.status()["others"] if one["node"] == other.number] == [0], 60, "the standby has it")
            self.check_figures(primary, primary, lag=(3,))
        finally:
            far.process.send_signal(signal.SIGCONT)
        self.cluster.wait_for_all()
        wait_until(caught_up, 60, "the primary knows that all have all")
        self.check_figures(primary, primary, lag=())
        before = primary.status()["epoch"]
        self.cluster.hand_over(other.number)  # whose series are those of the others now; the old primary's are gone
        primary, other = other, primary
        self.cluster.wait_in_sync()
        self.cluster.wait_for_all()
        wait_until(caught_up, 60, "the primary knows that all have all")
        wait_until(lambda: other.status()["primary"] == primary.number and far.status()["primary"] == primary.number, 60, "all follow")
        for node in self.cluster.nodes.values():
            self.check_figures(node, primary, lag=())
        self.assertGreater(primary.metrics()["vexor_replica_epoch"], before)

    def test_a_push_to_the_standby_goes_to_the_primary(self):
        other = self.cluster.nodes[3 - self.cluster.leader().number]
        for size in (1, 9_000_000):  # the second one's rows go apart
            with open(os.path.join(self.work, "large"), "wb") as out:
                out.write(os.urandom(size))
            tip = self.commit(f"size {size}")
            said = git("push", "--progress", other.url("demo/r"), "main", cwd=self.work).stderr
            self.assertRegex(said, r"stored on \d of 3 servers, .*sequence \d+")
            self.assertIn(tip, git("ls-remote", other.url("demo/r")).stdout)
        # Refused there as here: not a fast-forward, no permission.
        git("reset", "-q", "--hard", "HEAD~1", cwd=self.work)
        self.commit("another")
        self.assertIn("non-fast-forward", self.push(other, check=False).stderr)
        self.cluster.leader().ctl("grant", "demo/r", "demo", "read")
        self.assertNotEqual(self.push(other, check=False).returncode, 0)

    def test_any_member_takes_changes_of_operators_and_users(self):
        """They are made at the primary, and are refused as there."""
        primary = self.cluster.leader()
        standby, off_site = self.cluster.nodes[3 - primary.number], self.cluster.nodes[3]
        self.assertIn("added ann", standby.ctl("user", "add", "ann", "--password-stdin", stdin=PASSWORD + "\n"))
        self.assertIn("created ann/one", off_site.ctl("repo", "create", "ann/one"))
        standby.ctl("grant", "demo/r", "ann", "read")
        key = os.path.join(self.directory, "key")
        subprocess.run(["ssh-keygen", "-q", "-N", "", "-t", "ed25519", "-f", key], check=True)
        self.assertIn("for ann", off_site.ctl("key", "add", "ann", key + ".pub"))
        with self.assertRaisesRegex(AssertionError, "ann"):
            standby.ctl("user", "add", "ann", "--password-stdin", stdin=PASSWORD + "\n")
        self.cluster.wait_for_all()

        def user(*words, check=True):
            port, host = self.cluster.ssh_ports[standby.number], self.cluster.hosts[standby.number]
            options = ["-F", "none", "-i", key, "-o", "IdentitiesOnly=yes", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "BatchMode=yes", "-o", "LogLevel=ERROR"]
            done = subprocess.run(["ssh", *options, "-p", str(port), f"git@{host}", *words], capture_output=True, text=True, timeout=60)
            self.assertEqual(done.returncode == 0, check, (words, done.stdout, done.stderr))
            return done.stdout + done.stderr

        self.assertIn("repo create", user("help"))
        self.assertIn("created ann/two", user("repo", "create", "ann/two"))
        self.assertIn("ann/two", user("repo", "list"))  # made through another server a moment ago
        self.assertIn("demo/r", user("repo", "list"))
        user("repo", "create", "demo/mine", check=False)
        user("repo", "delete", "demo/r", check=False)
        self.cluster.wait_for_all()
        told = {node.number: node.ctl("repo", "list") for node in self.cluster.nodes.values()}
        for number, rows in told.items():
            self.assertEqual(sorted(re.findall(r"^\S+/\S+", rows, re.M)), ["ann/one", "ann/two", "demo/r"], (number, rows))
        self.cluster.wait_in_sync()
        primary.stop(signal.SIGKILL)
        wait_until(lambda: (standby.status() or {}).get("takes_pushes"), 60, "the standby leads")
        self.assertIn("created ann/three", off_site.ctl("repo", "create", "ann/three"))
        with open(standby.log_path) as log:
            self.assertNotIn(PASSWORD, log.read())
        with open(primary.log_path) as log:
            text = log.read()
        self.assertNotIn(PASSWORD, text)
        self.assertIn('"event":"forwarded"', text)

    def test_pushes_go_on_while_primaries_die(self):
        """A client of one member: the other one dies. Of what was acknowledged nothing is missing."""
        self.commit("begin")
        self.push(self.cluster.leader())
        acknowledged, failed = [], 0
        for round_number in range(4):
            self.cluster.wait_in_sync()
            primary = self.cluster.leader()
            other = self.cluster.nodes[3 - primary.number]
            for i in range(3):
                branch = f"r{round_number}-{i}"
                tip = self.commit(branch)
                if i == 1:
                    primary.stop(signal.SIGKILL)
                done = git("push", "-q", other.url("demo/r"), f"HEAD:refs/heads/{branch}", cwd=self.work, check=False)
                if done.returncode == 0:
                    acknowledged.append((branch, tip))
                else:
                    failed += 1
            primary.start()
            self.cluster.wait_for_all()
        self.assertGreaterEqual(len(acknowledged), 8)
        for number in (1, 2):
            listed = git("ls-remote", self.cluster.nodes[number].url("demo/r")).stdout
            for branch, tip in acknowledged:
                self.assertIn(f"{tip}\trefs/heads/{branch}\n", listed)
        print(f"{len(acknowledged)} pushes acknowledged, {failed} failed")


    def test_what_is_known_of_the_record_is_told(self):
        """Health, the metrics and the log say when etcd is away, and who leads."""
        node = self.cluster.nodes[1]
        watched = lambda: ((node.status() or {}).get("record"), node.metrics()["vexor_replica_watches_record"])
        wait_until(lambda: watched() == ("watched", 1), 60, "the record is watched")
        self.cluster.stop_etcd()
        wait_until(lambda: watched() == ("etcd does not answer", 0), 60, "it is told that etcd is away")
        lines = lambda: [json.loads(line) for line in pathlib.Path(node.log_path).read_text().splitlines() if '"event":"replica"' in line]
        wait_until(lambda: lines()[-1]["record"] == "etcd does not answer", 60, "the log has it")
        self.cluster.start_etcd()
        wait_until(lambda: watched() == ("watched", 1), 60, "the record is watched again")
        wait_until(lambda: lines()[-1]["record"] == "watched", 60, "the log has that")
        primary, epoch = self.cluster.leader().number, node.status()["epoch"]
        self.cluster.ctl("handover", str(3 - primary))
        wait_until(lambda: (lines()[-1]["primary"], lines()[-1]["epoch"]) == (3 - primary, epoch + 1), 60, "the log has who leads")


class QuorumTest(unittest.TestCase):
    """Three etcds of which two end: the one that a member's watch is with answers nothing of its own accord."""

    def start_etcd(self, number):
        self.stop_etcd(number)
        (client, peer), where = self.ports[number], os.path.join(self.directory, f"etcd{number}")
        url, peer_url = f"http://127.0.0.1:{client}", f"http://127.0.0.1:{peer}"
        everybody = ",".join(f"e{n}=http://127.0.0.1:{port}" for n, (_, port) in self.ports.items())
        with open(where + ".log", "ab") as log:
            self.etcds[number] = subprocess.Popen(["etcd", "--name", f"e{number}", "--data-dir", where, "--listen-client-urls", url, "--advertise-client-urls", url,
                                                   "--listen-peer-urls", peer_url, "--initial-advertise-peer-urls", peer_url, "--initial-cluster", everybody], stdout=log, stderr=log)

    def stop_etcd(self, number):
        if number in self.etcds:
            etcd = self.etcds.pop(number)
            etcd.kill()
            etcd.wait()

    def test_an_etcd_that_lost_the_others_is_not_taken_for_one_that_tells_of_changes(self):
        self.directory = tempfile.mkdtemp(prefix="vexor-quorum-")
        self.addCleanup(shutil.rmtree, self.directory, True)
        ports, self.etcds = free_ports(6), {}
        self.ports = {number: (ports[2 * number], ports[2 * number + 1]) for number in range(3)}
        for number in self.ports:
            self.start_etcd(number)
            self.addCleanup(self.stop_etcd, number)
        cluster = Cluster(BINARIES, self.directory)
        self.addCleanup(cluster.stop)
        cluster.etcd_address = ",".join(f"127.0.0.1:{client}" for client, _ in self.ports.values())
        cluster.make_record("--copies", "local")
        node = cluster.nodes[1]
        node.start()
        watched = lambda: ((node.status() or {}).get("record"), node.metrics()["vexor_replica_watches_record"])
        wait_until(lambda: watched() == ("watched", 1), 60, "the record is watched")
        for lives in self.ports:  # each in its turn, so also the one of the watch
            for number in self.ports:
                if number != lives:
                    self.stop_etcd(number)
            wait_until(lambda: watched() == ("etcd does not answer", 0), 60, "it is told that etcd is away")
            for number in self.ports:
                if number != lives:
                    self.start_etcd(number)
            wait_until(lambda: watched() == ("watched", 1), 60, "the record is watched again")


class AlarmTest(unittest.TestCase):
    def test_an_alarm_that_comes_again_is_told_again(self):
        directory = tempfile.mkdtemp(prefix="vexor-alarm-")
        self.addCleanup(shutil.rmtree, directory, True)
        cluster = Cluster(BINARIES, directory)
        self.addCleanup(cluster.stop)
        cluster.start_etcd()
        cluster.make_record("--copies", "local")
        node = cluster.nodes[1]
        node.start()
        cluster.leader()
        record = wait_until(cluster.record, 60, "etcd answers")
        record.pop("inSyncNames", None)
        encoded = lambda text: base64.b64encode(text.encode()).decode()
        body = {"key": encoded("/vexorstore/replica-set"), "value": encoded(json.dumps(record | {"inSync": ["2"]}))}  # without its primary
        urllib.request.urlopen(urllib.request.Request(f"http://{cluster.etcd_address}/v3/kv/put", json.dumps(body).encode()), timeout=10).close()
        alarms = lambda: [json.loads(line) for line in pathlib.Path(node.log_path).read_text().splitlines() if '"event":"alarm"' in line]
        wait_until(lambda: len(alarms()) >= 3, 60, "it is told each time")
        self.assertEqual({alarm["kind"] for alarm in alarms()}, {"record_unsound"})
        counts = [alarm["count"] for alarm in alarms()]
        self.assertEqual(counts, sorted(set(counts)))
        self.assertGreaterEqual(node.metrics()['vexor_alarms_total{kind="record_unsound"}'], 3)


class UnmarkedTest(unittest.TestCase):
    def test_a_store_without_mark_promises_the_epoch_of_the_record(self):
        """As it is after a newcomer ended between joining and its first promise, or when a store of before was put there."""
        directory = tempfile.mkdtemp(prefix="vexor-unmarked-")
        self.addCleanup(shutil.rmtree, directory, True)
        cluster = Cluster(BINARIES, directory)
        self.addCleanup(cluster.stop)
        cluster.start()
        cluster.add_demo()
        cluster.wait_for_all()
        cluster.wait_in_sync()
        far = cluster.nodes[3]
        promised = far.status()["epoch"]
        far.stop()
        first = cluster.leader()
        cluster.hand_over(3 - first.number)
        for number in (1, 2):  # nobody tells it of their epoch
            cluster.nodes[number].stop()
        epoch = int(cluster.record()["epoch"])
        self.assertGreater(epoch, promised)
        os.remove(os.path.join(far.data, "store", "vexor-mark"))
        far.start()
        self.assertEqual(wait_until(far.health, 60, "it answers")[1]["epoch"], epoch)


class FirstChangeTest(unittest.TestCase):
    def test_a_first_change_that_only_one_member_has_does_not_end_the_set(self):
        """It is in the journal, and nothing is applied yet, when that member is killed."""
        directory = tempfile.mkdtemp(prefix="vexor-first-")
        self.addCleanup(shutil.rmtree, directory, True)
        cluster = Cluster(BINARIES, directory)
        self.addCleanup(cluster.stop)
        cluster.start_etcd()
        cluster.make_record("--copies", "two")
        first = cluster.nodes[1]
        first.start()
        wait_until(lambda: (first.status() or {}).get("takes_pushes"), 60, "it leads")
        adding = subprocess.Popen([f"{BINARIES}/vexorctl", "--data", first.data, "user", "add", "demo", "--password-stdin"],
                                  stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, text=True)
        adding.stdin.write(PASSWORD + "\n")
        adding.stdin.close()
        wait_until(lambda: (first.status() or {}).get("appended") == 1, 60, "it is appended")
        self.assertEqual(first.status()["applied"], 0)
        first.stop(signal.SIGKILL)
        adding.wait()
        for node in cluster.nodes.values():
            node.start()
        cluster.wait_for_all()
        self.assertEqual(cluster.leader().status()["applied"], 1)


if __name__ == "__main__":
    unittest.main(verbosity=2)
