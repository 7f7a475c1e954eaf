#!/usr/bin/env python3
"""Draws the ratios of a bench/compare run as an SVG bar chart with a logarithmic axis.

    bench/chart.py FILE.jsonl > chart.svg                       the last run in the file
    bench/chart.py FILE.jsonl --works clone,push1 --title TEXT

One group for each work and each state of stock Git: server CPU and wall time, stock / vexord. Right of the line at 1
vexord is better."""
import argparse, json, math
from xml.sax.saxutils import escape

LEFT, RIGHT, TOP, GROUP, BAR = 430, 70, 76, 30, 10
WIDTH = 980
COLORS = {"server CPU": "#1f6f8b", "wall time": "#e0a030"}
KEYS = {"server CPU": "cpu_ratio", "wall time": "wall_ratio"}


def last_run(path):
    run, lines = None, []
    with open(path) as source:
        for text in source:
            line = json.loads(text)
            if line["kind"] == "run":
                run, lines = line, []
            elif line["kind"] == "summary":
                lines.append(line)
    if not lines:
        raise SystemExit(f"{path} holds no summary of a finished run")
    return run, lines


def draw(run, lines, title):
    ratios = [line[key] for line in lines for key in KEYS.values() if line.get(key)]
    low = min(-1, math.floor(math.log10(min(ratios))))
    high = max(1, math.ceil(math.log10(max(ratios))))
    height = TOP + GROUP * len(lines) + 50

    def x(value):
        return LEFT + (math.log10(value) - low) / (high - low) * (WIDTH - LEFT - RIGHT)

    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" font-family="sans-serif" font-size="12">',
           f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>', f'<text x="16" y="26" font-size="16" font-weight="bold">{escape(title)}</text>']
    if run:
        repository = run["repository"]
        text = f"{repository['name']}: {repository['objects']:,} objects, {repository['refs']:,} refs; git {run['git']}; {run['machine']['cores']} cores; commit {run['commit']}"
        out.append(f'<text x="16" y="44" fill="#555555">{escape(text)}</text>')
    for i, (name, color) in enumerate(COLORS.items()):
        out.append(f'<rect x="{LEFT + i * 120}" y="54" width="10" height="10" fill="{color}"/><text x="{LEFT + i * 120 + 15}" y="63">{name}</text>')
    for exponent in range(low, high + 1):
        for step in (1, 2, 5) if exponent < high else (1,):
            at, value = x(step * 10**exponent), step * 10.0**exponent
            strong = step == 1 and exponent == 0
            out.append(f'<line x1="{at:.1f}" x2="{at:.1f}" y1="{TOP - 4}" y2="{height - 40}" stroke="{"#333333" if strong else "#dddddd"}" stroke-width="{1.5 if strong else 1}"/>')
            out.append(f'<text x="{at:.1f}" y="{height - 26}" text-anchor="middle" fill="#555555" font-size="10">{value:g}</text>')
    out.append(f'<text x="{LEFT}" y="{height - 8}" fill="#555555" font-size="11">stock Git / vexord, logarithmic; right of 1: vexord needs less</text>')
    for i, line in enumerate(lines):
        y = TOP + i * GROUP
        out.append(f'<text x="{LEFT - 10}" y="{y + 10}" text-anchor="end">{escape(line["title"])}</text>')
        out.append(f'<text x="{LEFT - 10}" y="{y + 21}" text-anchor="end" fill="#777777" font-size="9.5">{escape(line["against"])}</text>')
        for j, (name, key) in enumerate(KEYS.items()):
            value = line.get(key)
            if not value:
                continue
            begin, end = sorted((x(1), x(value)))
            top = y + 1 + j * (BAR + 1)
            label = end + 4 if value >= 1 else begin - 4
            out.append(f'<rect x="{begin:.1f}" y="{top}" width="{max(end - begin, 0.5):.1f}" height="{BAR}" fill="{COLORS[name]}"/>')
            out.append(f'<text x="{label:.1f}" y="{top + 9}" font-size="9.5" text-anchor="{"start" if value >= 1 else "end"}">{value:.3g}</text>')
    return "\n".join(out + ["</svg>"])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("figures")
    parser.add_argument("--works", help="only these works, by name")
    parser.add_argument("--title", default="Stock Git against vexord, the same work on the same machine")
    options = parser.parse_args()
    run, lines = last_run(options.figures)
    if options.works:
        lines = [line for line in lines if line["work"] in options.works.split(",")]
    print(draw(run, lines, options.title))


if __name__ == "__main__":
    main()
