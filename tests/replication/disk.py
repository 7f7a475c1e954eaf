"""A file system of its own for a member, in a file: it can become full, and lose its power.

Needs root, Linux, e2fsprogs and loop devices."""
import fcntl, os, shutil, struct, subprocess, tempfile

SHUTDOWN = 0x8004587D  # EXT4_IOC_SHUTDOWN: _IOR('X', 125, __u32)
NO_FLUSH = 2           # not even the journal of the file system


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    if done.returncode != 0:
        raise OSError(f"{' '.join(command)}: {done.stderr.strip()}")


def missing():
    """Why there can be no such disk here, as a sentence; None: there can."""
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    if shutil.which("mkfs.ext4") is None:
        return "not installed: e2fsprogs"
    directory = tempfile.mkdtemp(prefix="vexor-disk-")
    try:
        disk = Disk(directory, 16)
        try:
            disk.lose_power()
        finally:
            disk.remove()
    except OSError as error:
        return f"mounting a file system is not permitted here: {error}"
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    return None


class Disk:
    """Mounted at `directory`/disk, `mib` large; the image has holes. remove() must be called."""

    def __init__(self, directory, mib):
        self.image, self.path = directory + "/disk.img", directory + "/disk"
        with open(self.image, "wb") as out:
            out.truncate(mib << 20)
        os.mkdir(self.path)
        run("mkfs.ext4", "-q", "-m", "0", self.image)
        self.mount()

    def mount(self):
        run("mount", "-o", "loop", self.image, self.path)

    def fill(self):
        """All of it but what files have already."""
        with open(self.path + "/filler", "ab") as out:
            size = 0
            for step in (64 << 20, 1 << 20, 4096):  # one file cannot be told to take what there is
                while True:
                    try:
                        os.posix_fallocate(out.fileno(), size, step)
                        size += step
                    except OSError:
                        break

    def free(self):
        os.unlink(self.path + "/filler")

    def lose_power(self):
        """What was not synced is gone, and nothing works until restore_power(). Nobody may have a file of it open then."""
        fd = os.open(self.path, os.O_RDONLY)
        try:
            fcntl.ioctl(fd, SHUTDOWN, struct.pack("=I", NO_FLUSH))
        finally:
            os.close(fd)

    def restore_power(self):
        run("umount", self.path)
        self.mount()

    def remove(self):
        subprocess.run(["umount", self.path], capture_output=True, timeout=60)
        os.unlink(self.image)
