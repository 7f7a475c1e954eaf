"""Resident memory of the members of a replica set over time."""
import re, statistics, threading, time

PERIOD_SECONDS = 2


class Memory:
    """Looks at every member that runs, until stop()."""

    def __init__(self, cluster):
        self.cluster, self.samples, self.stopping = cluster, {number: [] for number in cluster.nodes}, threading.Event()
        self.thread = threading.Thread(target=self.watch)
        self.thread.start()

    def watch(self):
        while not self.stopping.wait(PERIOD_SECONDS):
            for number, node in self.cluster.nodes.items():
                process = node.process
                try:
                    with open(f"/proc/{process.pid}/status") as status:
                        found = re.search(r"VmRSS:\s+(\d+) kB", status.read())
                except (OSError, AttributeError):
                    continue
                if found:
                    self.samples[number].append((time.monotonic(), int(found[1]) // 1024))

    def stop(self):
        self.stopping.set()
        self.thread.join()

    def report(self):
        """For each member a sentence, and the median of the last quarter over that of the first."""
        for number, samples in self.samples.items():
            quarter = len(samples) // 4
            if quarter == 0:
                continue
            first, last = (statistics.median(mib for _, mib in part) for part in (samples[:quarter], samples[-quarter:]))
            most = max(mib for _, mib in samples)
            yield f"member {number}: resident median {first:.0f} MiB in the first quarter, {last:.0f} MiB in the last, at most {most} MiB, {len(samples)} samples", last / max(first, 1)
