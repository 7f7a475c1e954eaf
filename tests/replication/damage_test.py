#!/usr/bin/env python3
"""Octets flip in the files of a member while clients push and clone: it is found and repaired by a copy, no client gets a wrong object, and no
acknowledged push is lost. Usage: damage_test.py BINARIES
VEXOR_DAMAGE_FLIPS: how many octets flip (6), so many at once: VEXOR_DAMAGE_AT_ONCE (1). VEXOR_DAMAGE_SEED: which."""
import os, random, shutil, signal, subprocess, sys, tempfile, threading, time, unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from cluster import Cluster, wait_until
from load import RawClient, git

BINARIES = sys.argv.pop(1)
FLIPS = int(os.environ.get("VEXOR_DAMAGE_FLIPS", "6"))
AT_ONCE = int(os.environ.get("VEXOR_DAMAGE_AT_ONCE", "1"))
SEED = int(os.environ.get("VEXOR_DAMAGE_SEED", "1"))
IN_FLIGHT_MAX = 1024  # kInFlightEntriesMax
MAINTENANCE = '[maintenance]\ntasks = "scrub"\npause_seconds = 1\nscrub_interval_seconds = 0\n'


def quiet(work):
    """What a check of a member that goes away meanwhile may fail with."""
    try:
        return work()
    except (OSError, AssertionError, subprocess.TimeoutExpired):
        return None


def size_of(path):
    """0 of a file that the server removed meanwhile."""
    try:
        return os.path.getsize(path)
    except FileNotFoundError:
        return 0


class DamageTest(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.mkdtemp(prefix="vexor-damage-")
        self.cluster = Cluster(BINARIES, self.directory, {"heartbeat_ms": 100, "lease_ms": 1500, "detector_ms": 3000}, server_options=MAINTENANCE)
        self.addCleanup(shutil.rmtree, self.directory, True)
        self.addCleanup(self.cluster.stop)
        self.cluster.start()
        primary = self.cluster.add_demo()
        self.random = random.Random(SEED)
        self.stopping, self.threads, self.errors = threading.Event(), [], []
        self.acknowledged, self.pushes, self.failures, self.clones, self.refusals = {}, 0, 0, 0, 0
        self.addCleanup(self.end_load)
        # Incompressible objects, so that the files of the store are more than indexes.
        self.work = os.path.join(self.directory, "work")
        git("init", "-q", "-b", "base", self.work)
        for number in range(100):
            with open(os.path.join(self.work, f"file{number}"), "wb") as out:
                out.write(self.random.randbytes(60_000))
        git("add", ".", cwd=self.work)
        git("commit", "-qm", "base", cwd=self.work)
        git("push", "-q", primary.url("demo/r"), "base", cwd=self.work)
        self.base = git("rev-parse", "HEAD", cwd=self.work).stdout.strip()
        self.objects = git("rev-list", "--objects", "--no-object-names", "HEAD", cwd=self.work).stdout
        self.cluster.wait_for_all()

    def spawn(self, work):
        self.threads.append(threading.Thread(target=work))
        self.threads[-1].start()

    def end_load(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join()
        self.threads = []

    def push_all_the_time(self, name, member):
        client = RawClient(self.cluster.https_ports, name, member)
        while not self.stopping.is_set():
            try:
                client.push()
                self.acknowledged[client.ref] = client.tip
                self.pushes += 1
            except OSError:  # refused, or told that the outcome is not known: it may have happened
                self.failures += 1
                client.forget_connections()
                client.member = 3 - client.member
                time.sleep(0.2)
                tip = quiet(client.read)
                if tip is not None:
                    client.tip = tip
            except Exception as error:
                self.errors.append(f"push: {type(error).__name__}: {error}")
                return
            time.sleep(0.02)
        client.forget_connections()

    def clone_all_the_time(self):
        """A clone that succeeds is checked by git, object by object; one that fails got nothing."""
        count = 0
        while not self.stopping.is_set():
            count += 1
            to = os.path.join(self.directory, f"clone{count}")
            done = git("-c", "transfer.fsckObjects=true", "clone", "-q", "--bare", self.cluster.nodes[1 + count % 2].url("demo/r"), to, check=False)
            if done.returncode != 0:
                self.refusals += 1
                time.sleep(0.2)
            else:
                checked = git("fsck", "--full", "--strict", cwd=to, check=False)
                if checked.returncode != 0 or git("rev-list", "--objects", "--no-object-names", self.base, cwd=to, check=False).stdout != self.objects:
                    self.errors.append(f"a wrong clone: {checked.stdout}{checked.stderr}")
                    return
                self.clones += 1
            shutil.rmtree(to, True)

    def copies(self, node):
        with open(node.data + ".log", "rb") as log:
            text = log.read()
        return text.count(b'"copy_taken"')

    def flip(self, node, kinds):
        """One octet of a random file of the kinds, in place; what kind it was, or None."""
        store = os.path.join(node.data, "store")
        names = [name for name in sorted(os.listdir(store)) if any(name.endswith(kind) or name.startswith(kind) for kind in kinds)]
        sizes = {name: size_of(os.path.join(store, name)) for name in names}
        names = [name for name in names if sizes[name] > 0]
        if not names:
            return None
        # Larger files are hit more often, as on a disk.
        name = self.random.choices(names, [sizes[n] for n in names])[0]
        place = self.random.randrange(sizes[name])
        try:
            with open(os.path.join(store, name), "r+b") as out:
                out.seek(place)
                octet = out.read(1)[0]
                out.seek(place)
                out.write(bytes([octet ^ (1 << self.random.randrange(8))]))
        except (FileNotFoundError, IndexError):
            return self.flip(node, kinds)
        return name

    def is_well(self, node):
        status = node.status()
        return bool(status) and status["role"] in ("primary", "follower") and not status["damaged"]

    def wait_until_settled(self, node):
        wait_until(lambda: self.is_well(node), 60, f"member {node.number} takes part again")
        self.cluster.wait_in_sync()
        self.cluster.wait_for_all_but_load(60)

    def scrubbed_since(self, node, began):
        """A pass of scrubbing that began after `began`, or a copy since."""
        def passes():
            with open(node.data + ".log", "rb") as log:
                return log.read().count(b'"event":"maintenance"') if os.path.exists(node.data + ".log") else 0
        return passes() - began

    def test_flips(self):
        self.spawn(lambda: self.push_all_the_time("a", 1))
        self.spawn(lambda: self.push_all_the_time("b", 2))
        self.spawn(self.clone_all_the_time)
        found, harmless, kinds, flips = 0, 0, {}, 0
        for number in range((FLIPS + AT_ONCE - 1) // AT_ONCE):
            primary = self.cluster.leader()
            node = self.cluster.nodes[self.random.choice([n for n in (1, 2, 3) if n != primary.number])]
            self.wait_until_settled(node)
            before = self.copies(node)
            # Two of three in sorted files, while the process runs; the others in what only a start reads.
            offline = number % 3 == 2
            if offline:
                node.stop(signal.SIGKILL)
            for _ in range(AT_ONCE):
                name = self.flip(node, self.random.choice([["MANIFEST"], ["CURRENT"], [".log"]]) if offline else [".sst"])
                if name is None:
                    name = self.flip(node, ["MANIFEST"])
                kind = "log" if name.endswith(".log") else "sst" if name.endswith(".sst") else name.split("-")[0]
                kinds[kind] = kinds.get(kind, 0) + 1
                flips += 1
            if offline:
                node.start()
                self.wait_until_settled(node)
            else:
                # Scrubbing reads every file in a pass; the second pass from now began after the flip.
                began = self.scrubbed_since(node, 0)
                wait_until(lambda: self.copies(node) > before or self.scrubbed_since(node, began) >= 2, 60, f"a whole pass after a flip in {name}")
                self.wait_until_settled(node)
            if self.copies(node) > before:
                found += 1
            else:
                harmless += 1  # in a part of a file that is not in use: the checks below tell
        self.end_load()
        self.assertEqual(self.errors, [])
        self.cluster.wait_for_all(60)
        for number in (1, 2):
            listed = git("ls-remote", self.cluster.nodes[number].url("demo/r")).stdout
            for ref, tip in self.acknowledged.items():
                self.assertIn(f"{ref}\n", listed)
                now = next(line.split()[0] for line in listed.splitlines() if line.endswith(f"\t{ref}"))
                if now != tip:  # a later push whose outcome nobody was told
                    full = os.path.join(self.directory, f"look{number}")
                    shutil.rmtree(full, True)
                    git("clone", "-q", "--bare", self.cluster.nodes[number].url("demo/r"), full)
                    git("merge-base", "--is-ancestor", tip, now, cwd=full)
        for node in self.cluster.nodes.values():
            node.stop()
            checked = subprocess.run([f"{BINARIES}/vexorctl", "--data", node.data, "fsck", "--all"], capture_output=True, text=True, timeout=120)
            self.assertEqual(checked.returncode, 0, f"member {node.number}: {checked.stdout}{checked.stderr}")
        print(f"seed {SEED}: {flips} octets flipped, {AT_ONCE} at once ({', '.join(f'{count} in {kind}' for kind, count in sorted(kinds.items()))}), {found} times found and repaired by a copy, "
              f"{harmless} times in no part that is in use; {self.pushes} pushes acknowledged, {self.failures} not, {self.clones} clones checked, {self.refusals} refused")
        self.assertGreater(found, 0)
        self.assertGreater(self.pushes, FLIPS)
        self.assertGreater(self.clones, 0)

    def test_a_damaged_primary_hands_over(self):
        self.cluster.wait_in_sync()
        primary = self.cluster.leader()
        other = self.cluster.nodes[3 - primary.number]
        self.flip_until_found(primary)
        wait_until(lambda: self.cluster.primary() is other, 60, "the standby leads")
        wait_until(lambda: self.copies(primary) > 0, 60, "the old primary took a copy")
        self.wait_until_settled(primary)

    def flip_until_found(self, node):
        before = self.copies(node)
        for _ in range(20):
            if self.flip(node, [".sst"]) is None:
                time.sleep(1)
                continue
            for _ in range(50):
                status = node.status()
                if self.copies(node) > before or (status and (status["damaged"] or status["role"] == "copying")):
                    return
                time.sleep(0.1)
        self.fail("no flip was found")

    def test_an_emptied_directory_counts_for_nothing(self):
        self.cluster.wait_in_sync()
        other = self.cluster.nodes[3 - self.cluster.leader().number]
        before = other.status()["store"]
        wait_until(lambda: before in self.cluster.stores_in_sync(), 30, "the store is named in the record")
        other.stop(signal.SIGKILL)
        shutil.rmtree(os.path.join(other.data, "store"))
        other.start()
        self.wait_until_settled(other)
        self.assertNotEqual(other.status()["store"], before)
        wait_until(lambda: sorted(self.cluster.stores_in_sync()) == sorted(self.cluster.nodes[n].status()["store"] for n in (1, 2)), 30, "the stores of now are named")
        self.assertIn(self.base, git("ls-remote", other.url("demo/r")).stdout)

    def test_a_late_member_takes_a_copy(self):
        self.cluster.timers["copy_lag_entries"] = 5
        for node in self.cluster.nodes.values():
            node.stop()
        for node in self.cluster.nodes.values():
            node.start()
        self.cluster.leader()
        self.wait_until_settled(self.cluster.nodes[1])
        other = self.cluster.nodes[3 - self.cluster.leader().number]
        other.stop()
        client = RawClient(self.cluster.https_ports, "late", self.cluster.leader().number)
        for _ in range(IN_FLIGHT_MAX + 300):  # what is in flight may reach it before it says how far behind it is
            client.push()
        client.forget_connections()
        other.start()
        wait_until(lambda: self.copies(other) == 1, 60, "the member took a copy")
        self.wait_until_settled(other)
        self.assertIn(client.tip, git("ls-remote", other.url("demo/r")).stdout)
        store = os.path.join(other.data, "store")  # now the copy
        for path in [store] + [os.path.join(store, name) for name in os.listdir(store)]:
            self.assertEqual(os.stat(path).st_mode & 0o077, 0, path)

    def test_a_copy_that_fails_is_no_burden_on_the_primary(self):
        """It lets the checkpoint go, and makes no other at once."""
        far, primary = self.cluster.nodes[3], self.cluster.leader()
        far.stop()
        with open(os.path.join(far.data, "store", "vexor-damaged"), "w") as out:
            out.write("by the test\n")
        in_the_way = os.path.join(far.data, "copy-in")
        shutil.rmtree(in_the_way, ignore_errors=True)
        with open(in_the_way, "w"):
            pass
        self.spawn(far.start)
        try:
            def fails():
                with open(far.log_path) as log:
                    return "cannot make the directory of a copy" in log.read()
            wait_until(fails, 60, "a copy fails")
            seen = []
            for _ in range(100):
                seen.append(os.path.exists(os.path.join(primary.data, "copy-out")))
                time.sleep(0.03)
            self.assertLess(sum(seen), 50)
        finally:
            os.remove(in_the_way)
        self.end_load()
        self.cluster.wait_for_all(60)

    def test_a_log_that_lost_its_end(self):
        self.cluster.wait_in_sync()
        other = self.cluster.nodes[3 - self.cluster.leader().number]
        other.stop(signal.SIGKILL)
        store = os.path.join(other.data, "store")
        log = max((name for name in os.listdir(store) if name.endswith(".log")), key=lambda name: os.path.getsize(os.path.join(store, name)))
        os.truncate(os.path.join(store, log), os.path.getsize(os.path.join(store, log)) // 2)
        other.start()
        self.assertEqual(self.copies(other), 1)
        self.wait_until_settled(other)


if __name__ == "__main__":
    unittest.main(verbosity=2)
