"""The history of a replica set's clients, and what it must fulfil: acknowledged pushes stay, reads are never older than what was known before they
began, nobody sees half of an atomic push.

Threads: History may be shared; a client belongs to one thread."""
import http.client, os, threading, time

from load import ZERO, RawClient, pkt

CLIENT_SECONDS = 5     # that a client waits for an answer before it turns to the other member
PUSHES_AWAY = 10       # there, before it goes back
LARGE_SECONDS = 20     # for a large push
LARGE_BYTES = 5 << 20  # rows of their own, ahead of the record


class History:
    def __init__(self):
        self.lock = threading.Lock()
        self.sent = {ZERO: (0, None)}  # tip: its number in its client's order, its parent
        self.floors = {}               # client: the least number that a read may show
        self.acknowledged = {}         # client: tips
        self.times = []                # of acknowledgements, monotonic seconds
        self.faults = []               # what must not be, as sentences
        self.failures = self.reads = 0

    def send(self, tip, number, parent):
        with self.lock:
            self.sent[tip] = (number, parent)

    def acknowledge(self, name, tip):
        with self.lock:
            self.acknowledged.setdefault(name, []).append(tip)
            self.floors[name] = max(self.floors.get(name, 0), self.sent[tip][0])
            self.times.append(time.monotonic())

    def before_read(self):
        with self.lock:
            return dict(self.floors)

    def saw(self, floors, pairs, where):
        """A read showed these pairs of refs; `floors` is what before_read() gave before it began."""
        with self.lock:
            self.reads += 1
            for name in floors.keys() | pairs.keys():
                left, right = pairs.get(name, (ZERO, ZERO))
                if left != right:
                    self.faults.append(f"{where}: half of an atomic push of client {name}: {left} and {right}")
                elif left not in self.sent:
                    self.faults.append(f"{where}: client {name} never sent {left}")
                elif self.sent[left][0] < floors.get(name, 0):
                    self.faults.append(f"{where}: push {self.sent[left][0]} of client {name}, after push {floors[name]} was acknowledged or read")
                else:
                    self.floors[name] = max(self.floors.get(name, 0), self.sent[left][0])

    def lost(self, pairs):
        """How many acknowledged pushes are not among the ancestors of these final refs."""
        count = 0
        for name, tips in self.acknowledged.items():
            kept, tip = set(), pairs.get(name, (ZERO, ZERO))[0]
            while tip is not None and tip in self.sent:
                kept.add(tip)
                tip = self.sent[tip][1]
            count += sum(tip not in kept for tip in tips)
        return count

    def total(self):
        with self.lock:
            return len(self.times)

    def longest_pause(self, since, until):
        """Seconds without an acknowledgement between two moments."""
        with self.lock:
            moments = [since, *(at for at in self.times if since < at < until), until]
        return max(later - earlier for earlier, later in zip(moments, moments[1:]))


def pairs_of(lines):
    """{client: (tip, tip)} of lines that hold an object id and a ref's name."""
    out = {}
    for line in lines:
        words = line.split()
        for word in words:
            if not word.startswith("refs/heads/load"):
                continue
            name, side = word.removeprefix("refs/heads/load").rsplit("-", 1)
            tip = next(id[-40:] for id in words if len(id) >= 40)  # the length of a packet may stand before it
            left, right = out.get(name, (ZERO, ZERO))
            out[name] = (tip, right) if side == "a" else (left, tip)
    return out


class Client(RawClient):
    """What pushers and readers have in common."""

    def __init__(self, cluster, name, member, history, pause):
        super().__init__(cluster.https_ports, name, member, timeout=CLIENT_SECONDS, hosts=cluster.hosts)
        self.history, self.pause = history, pause

    def read_all(self):
        floors = self.history.before_read()
        body = pkt(b"command=ls-refs") + b"0001" + pkt(b"ref-prefix refs/heads/load") + b"0000"
        answer = self.request("git-upload-pack", body, {"Git-Protocol": "version=2"})
        pairs = pairs_of(answer.decode().split("\n"))
        self.history.saw(floors, pairs, f"member {self.member}")
        return pairs

    def failed(self):
        with self.history.lock:
            self.history.failures += 1


class Reader(Client):
    """Reads the refs of all pushers at one member."""

    def run(self, stopping):
        while not stopping.wait(self.pause):
            try:
                self.read_all()
            except (OSError, http.client.HTTPException):
                self.failed()
            self.times.clear()
        self.forget_connections()


class Pusher(Client):
    """Moves two refs in one atomic push, over and over; at the other member for a while after a failure."""

    def __init__(self, cluster, name, member, history, pause):
        super().__init__(cluster, name, member, history, pause)
        self.home, self.away = member, 0
        self.refs = [f"refs/heads/load{name}-a", f"refs/heads/load{name}-b"]

    def commands(self, tip):
        self.history.send(tip, self.count, self.tip)
        return [f"{self.tip} {tip} {ref}" for ref in self.refs], " atomic"

    def run(self, stopping):
        while not stopping.wait(self.pause):
            try:
                self.push()
                self.history.acknowledge(self.name, self.tip)
                self.go_home()
            except (OSError, http.client.HTTPException):
                self.failed()
                self.look(stopping)
            self.times.clear()
        self.forget_connections()

    def go_home(self):
        """Else all would be at one member before long, and hang together when it is silent."""
        self.away += self.member != self.home
        if self.away == PUSHES_AWAY:
            self.member, self.away = self.home, 0

    def look(self, stopping):
        """What became of the last push?"""
        while not stopping.is_set():
            self.member = 3 - self.member
            try:
                self.tip = self.read_all().get(self.name, (ZERO, ZERO))[0]
                return
            except (OSError, http.client.HTTPException):
                stopping.wait(0.05)


class LargePusher(Pusher):
    """Its pushes are too large for a record: their rows go apart."""

    def __init__(self, *args):
        super().__init__(*args)
        self.timeout = LARGE_SECONDS

    def content(self):
        return os.urandom(LARGE_BYTES)
