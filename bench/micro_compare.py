#!/usr/bin/env python3
"""Runs the micro benchmarks and compares them with a stored baseline: ratios of CPU time, above 1 is faster now.

    bench/micro_compare.py build/release/bench/vexor_micro_bench                 compare with bench/results/micro.json
    bench/micro_compare.py build/release/bench/vexor_micro_bench --store         make this run the baseline

Each figure is the fastest of several repetitions, so that other work on the machine disturbs little. A baseline of another
kind of machine says nothing: store one of your own first."""
import argparse, json, os, subprocess, sys

HERE = os.path.dirname(os.path.abspath(__file__))


def measure(binary, repetitions, pattern):
    command = [binary, "--benchmark_format=json", f"--benchmark_repetitions={repetitions}", "--benchmark_min_time=0.05", "--benchmark_enable_random_interleaving=true", f"--benchmark_filter={pattern}"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(done.stderr)
    report = json.loads(done.stdout)
    fastest = {}
    for run in report["benchmarks"]:
        if run["run_type"] == "iteration":
            if run.get("error_occurred"):
                raise SystemExit(f"{run['name']}: {run['error_message']}")
            nanoseconds = run["cpu_time"] * {"ns": 1, "us": 1e3, "ms": 1e6, "s": 1e9}[run["time_unit"]]
            fastest[run["name"]] = min(nanoseconds, fastest.get(run["name"], float("inf")))
    return {name: round(value, 2) for name, value in sorted(fastest.items())}


def machine():
    with open("/proc/cpuinfo") as lines:
        model = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), "unknown")
    return {"cpu": model, "cores": os.cpu_count()}


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("binary")
parser.add_argument("--baseline", default=HERE + "/results/micro.json")
parser.add_argument("--store", action="store_true", help="write the baseline instead of comparing")
parser.add_argument("--repetitions", type=int, default=7)
parser.add_argument("--filter", default=".", help="only benchmarks that match")
parser.add_argument("--fail-below", type=float, help="exit status 1 if a ratio is below this")
options = parser.parse_args()

now = measure(options.binary, options.repetitions, options.filter)
if options.store:
    commit = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=HERE, capture_output=True, text=True).stdout.strip()
    with open(options.baseline, "w") as out:
        json.dump({"commit": commit, "machine": machine(), "cpu_nanoseconds": now}, out, indent=1)
        out.write("\n")
    print(f"stored {len(now)} figures")
    sys.exit()
with open(options.baseline) as stored:
    baseline = json.load(stored)
if baseline["machine"] != machine():
    print(f"note: the baseline is of another machine: {baseline['machine']}", file=sys.stderr)
then = baseline["cpu_nanoseconds"]
print(f"{'benchmark':36} {'baseline ns':>14} {'now ns':>14} {'ratio':>7}")
worst = float("inf")
for name, value in now.items():
    ratio = then[name] / value if name in then else None
    worst = min(worst, ratio) if ratio else worst
    print(f"{name:36} {then.get(name, '-'):>14} {value:>14} {f'{ratio:.2f}' if ratio else 'new':>7}")
for name in then.keys() - now.keys() if options.filter == "." else ():
    print(f"{name:36} {then[name]:>14} {'gone':>14}")
sys.exit(bool(options.fail_below and worst < options.fail_below))
