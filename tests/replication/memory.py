"""Memory of the members of a replica set over time: resident, without what has bounds of its own (caches, rows not yet in files)."""
import re, statistics, threading, time, urllib.request

PERIOD_SECONDS = 2
ALLOCATED = 1.3  # what many small sets take of the allocator, for each octet of theirs


class Memory:
    """Looks at every member that runs and answers, until stop()."""

    def __init__(self, cluster):
        self.cluster, self.samples, self.stopping = cluster, {number: [] for number in cluster.nodes}, threading.Event()
        self.thread = threading.Thread(target=self.watch)
        self.thread.start()

    def watch(self):
        while not self.stopping.wait(PERIOD_SECONDS):
            for number, node in self.cluster.nodes.items():
                sample = self.look(number, node)
                if sample:
                    self.samples[number].append(sample)

    def look(self, number, node):
        """MiB resident, and those of them that are bounded; None: it does not run, or does not answer."""
        process = node.process
        try:
            with urllib.request.urlopen(f"http://{self.cluster.hosts[number]}:{self.cluster.monitor_ports[number]}/metrics", timeout=1) as answer:
                told = dict(re.findall(r'vexor_memory_bytes\{for="(\w+)"\} ([0-9.e+]+)', answer.read().decode()))
            with open(f"/proc/{process.pid}/status") as status:
                resident = int(re.search(r"VmRSS:\s+(\d+) kB", status.read())[1]) / 1024
            bounded = float(told["cached_blocks"]) + float(told["unwritten_rows"]) + ALLOCATED * float(told["cached_sets"])
            return resident, bounded / 2**20
        except (OSError, AttributeError, TypeError, KeyError):  # a server that has just started says nothing of its store yet
            return None

    def stop(self):
        self.stopping.set()
        self.thread.join()

    def report(self):
        """For each member a sentence, and the median without what is bounded of the last quarter over that of the first."""
        for number, samples in self.samples.items():
            quarter = len(samples) // 4
            if quarter == 0:
                continue
            parts = samples[:quarter], samples[-quarter:]
            resident = [statistics.median(all for all, _ in part) for part in parts]
            rest = [statistics.median(all - bounded for all, bounded in part) for part in parts]
            most = max(all for all, _ in samples)
            yield (f"member {number}: resident median {resident[0]:.0f} MiB in the first quarter, {resident[1]:.0f} MiB in the last, at most {most:.0f} MiB; "
                   f"without caches and rows not yet in files {rest[0]:.0f} and {rest[1]:.0f} MiB; {len(samples)} samples"), rest[1] / max(rest[0], 1)
