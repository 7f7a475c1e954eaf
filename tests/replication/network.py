"""A network of its own for each member of a replica set: namespaces on one bridge, with rules that lose packets without a word, and limits of rate.

Needs root, Linux, iproute2 and nftables. Names and addresses follow from the process id, so that runs do not meet."""
import os, shutil, subprocess

PROGRAMS = {"ip": "iproute2", "tc": "iproute2", "nft": "nftables", "nsenter": "util-linux"}


def run(*command, stdin=None):
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=30)
    if done.returncode != 0:
        raise OSError(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout


def missing():
    """Why there can be no such network here, as a sentence; None: there can."""
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    absent = sorted({package for program, package in PROGRAMS.items() if shutil.which(program) is None})
    if absent:
        return f"not installed: {', '.join(absent)}"
    try:
        Network(("probe",)).remove()
    except OSError as error:
        return f"network namespaces are not permitted here: {error}"
    return None


class Network:
    """One namespace for each of `names`; the process itself reaches all of them from the bridge. remove() must be called."""

    def __init__(self, names):
        self.tag = f"vx{os.getpid() % 1000000}"
        self.subnet = f"10.{200 + os.getpid() // 250 % 50}.{os.getpid() % 250}"
        self.numbers = {name: at + 1 for at, name in enumerate(names)}
        self.bridge = f"{self.tag}-br"
        self.made = []
        try:
            run("ip", "link", "add", self.bridge, "type", "bridge")
            run("ip", "address", "add", f"{self.subnet}.254/24", "dev", self.bridge)
            run("ip", "link", "set", self.bridge, "up")
            for name in names:
                self.add(name)
        except OSError:
            self.remove()
            raise

    def add(self, name):
        space, outside = self.space(name), self.outside(name)
        run("ip", "netns", "add", space)
        self.made.append(space)
        run("ip", "link", "add", outside, "type", "veth", "peer", "name", "eth0", "netns", space)
        run("ip", "link", "set", outside, "master", self.bridge, "up")
        for words in (("address", "add", f"{self.address(name)}/24", "dev", "eth0"), ("link", "set", "eth0", "up"), ("link", "set", "lo", "up")):
            run("ip", "-n", space, *words)
        run(*self.enter(name), "nft", "-f", "-", stdin="table ip faults { chain in { type filter hook input priority 0; policy accept; }; }")

    def space(self, name):
        return f"{self.tag}-{self.numbers[name]}"

    def outside(self, name):
        return f"{self.tag}-v{self.numbers[name]}"

    def address(self, name):
        return f"{self.subnet}.{self.numbers[name]}"

    def enter(self, name):
        """What goes before a command that is to run at `name`."""
        return ["nsenter", f"--net=/run/netns/{self.space(name)}"]

    def lose(self, source, target):
        """From now on nothing arrives at `target` that comes from `source` (None: from this process's side). The other direction stays."""
        address = f"{self.subnet}.254" if source is None else self.address(source)
        run(*self.enter(target), "nft", "add", "rule", "ip", "faults", "in", "ip", "saddr", address, "drop")

    def limit(self, name, bits_per_second):
        """What goes to `name` and what comes from it, each."""
        words = ("root", "tbf", "rate", f"{bits_per_second}bit", "burst", "16kb", "latency", "300ms")
        run("tc", "qdisc", "replace", "dev", self.outside(name), *words)
        run("tc", "-n", self.space(name), "qdisc", "replace", "dev", "eth0", *words)

    def heal(self):
        for name in self.numbers:
            run(*self.enter(name), "nft", "flush", "chain", "ip", "faults", "in")
            for words in (("-n", self.space(name), "qdisc", "del", "dev", "eth0", "root"), ("qdisc", "del", "dev", self.outside(name), "root")):
                subprocess.run(("tc", *words), capture_output=True, timeout=30)  # there may be none

    def remove(self):
        for name in self.numbers:  # at once: with its namespace it would go some time later, and the next network here has the same names
            subprocess.run(["ip", "link", "del", self.outside(name)], capture_output=True, timeout=30)
        for space in self.made:
            subprocess.run(["ip", "netns", "del", space], capture_output=True, timeout=30)
        subprocess.run(["ip", "link", "del", self.bridge], capture_output=True, timeout=30)
