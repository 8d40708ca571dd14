"""Runs Soma and its rivals in turn and writes what each took: `run` starts this, README.md explains.

A round runs Soma before each rival, A B A C A D, in processes of their own on the same processors;
a ratio compares two neighbours. Disturbed runs (others used the processors) are repeated.
"""
import argparse
import datetime
import fnmatch
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

here = Path(__file__).resolve().parent
training = ["mlp-*", "lenet", "cnn", "lstm", "gru"]
cxx = ["g++", "-std=c++20", "-O3", "-march=native", "-DNDEBUG"]
torch_flags = ["-I/usr/include/torch/csrc/api/include", "-ltorch", "-ltorch_cpu", "-lc10"]


@dataclass
class Rival:
    """A program beside Soma: what it is for, the Debian package it needs, and how it is run."""
    name: str
    covers: list  # patterns of workloads
    package: str
    source: str  # a C++ program of this folder, or a Python script
    flags: list = field(default_factory=list)  # for the compiler, or arguments of the script

    def compiled(self):
        return self.source.endswith(".cc")

    def program(self):
        if self.compiled():
            return [f"{options.work}/{self.source[:-3]}"]
        return ["python3", f"{options.inside}/{self.source}", *self.flags]

    def build(self):
        binary = Path(f"{options.root}/{self.program()[0]}")
        sources = [here / self.source, here / "rivals.h"]
        if not self.compiled() or (binary.exists() and
                                   binary.stat().st_mtime > max(s.stat().st_mtime for s in sources)):
            return
        say(f"building {self.source}")
        inside([*cxx, f"{options.inside}/{self.source}", "-o", self.program()[0], *self.flags])


rivals = [
    Rival("PyTorch, eager", [*training, "transformer", "start-up"], "python3-torch", "pytorch.py",
          ["eager"]),
    Rival("PyTorch, fused optimizer", [*training, "transformer", "fashion-mnist"], "python3-torch",
          "pytorch.py", ["fused"]),
    Rival("PyTorch, channels last", ["lenet", "cnn"], "python3-torch", "pytorch.py",
          ["channels_last"]),
    Rival("PyTorch, compiled", [*training, "transformer"], "python3-torch", "pytorch.py",
          ["compile"]),
    Rival("libtorch C++", training, "libtorch-dev", "libtorch.cc", torch_flags),
    Rival("C++ over OpenBLAS", ["mlp-*", "gemm-*"], "libopenblas-openmp-dev", "openblas.cc",
          ["-ffast-math", "-fopenmp", "-lopenblas"]),
    Rival("oneDNN", ["gemm-*"], "libdnnl-dev", "onednn.cc", ["-ldnnl"]),
    Rival("hand-written C++", ["predict-*"], "g++", "handwritten.cc", ["-ffast-math"]),
    Rival("ONNX Runtime C++", ["predict-*"], "libonnxruntime-dev", "onnxruntime.cc",
          ["-I/usr/include/onnxruntime", "-lonnxruntime"]),
]

# Workloads whose rivals are whole processes, timed from outside: what Soma runs, and the rivals.
recipe = "--epochs 5 --batch 128 --optimizer adam --lr 1e-3 --seed 1 --json".split()
processes = {
    "start-up": (["bench", "start-up", "--json"], lambda rival: ["python3", "-c", "import torch"]),
    "fashion-mnist": (["train", "fashion-mnist", "--net", "512 relu, 512 relu, 10", *recipe],
                      lambda rival: [*rival.program(), "fashion-mnist", "0"]),
}


def say(text):
    print(text, file=sys.stderr, flush=True)


def environment(threads):
    """The same for all. Libraries with pools of their own get as many threads as Soma."""
    libraries = f"{options.root}/usr/lib/x86_64-linux-gnu/libsleef.so.3"
    count = str(threads)
    return {
        "PATH": "/usr/bin:/bin", "HOME": "/root", "LC_ALL": "C", "MODELS": options.work,
        "OMP_NUM_THREADS": count, "OPENBLAS_NUM_THREADS": count, "MKL_NUM_THREADS": count,
        "TORCHINDUCTOR_CACHE_DIR": f"{options.work}/inductor",
        # torch.compile of Debian emits scalar code unless it finds this library loaded.
        **({"LD_PRELOAD": libraries[len(options.root.rstrip("/")):]}
           if os.path.exists(libraries) else {}),
    }


def soma_environment():
    return {**os.environ, "SOMA_DATA": f"{options.root}/usr/share/datasets/fashion-mnist"}


def enter_root():
    if options.root != "/":
        os.chroot(options.root)
        os.chdir("/")


def inside(command, threads=1):
    """The output of a command in the rivals' file system."""
    return subprocess.run(command, preexec_fn=enter_root, env=environment(threads), check=True,
                          stdout=subprocess.PIPE, text=True).stdout


def busy_seconds():
    """Of all processors, by anyone: user, nice, system, interrupts and what a host took."""
    with open("/proc/stat") as stat:
        v = [int(x) for x in stat.readline().split()[1:]]
    return (v[0] + v[1] + v[2] + v[5] + v[6] + v[7]) / os.sysconf("SC_CLK_TCK")


def run_once(command, processors, threads, rival):
    """Runs a program; its line of JSON with "seconds" and the share of the machine others took."""
    def prepare():
        os.sched_setaffinity(0, processors)
        if rival:
            enter_root()
    before, start = busy_seconds(), time.monotonic()
    complaints = tempfile.TemporaryFile("w+")  # some libraries complain more than a pipe holds
    process = subprocess.Popen(command, preexec_fn=prepare, stdout=subprocess.PIPE,
                               stderr=complaints, text=True,
                               env=environment(threads) if rival else soma_environment())
    out = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.monotonic() - start
    process.returncode = status
    if status != 0:
        complaints.seek(0)
        raise RuntimeError(f"{' '.join(command)} failed: {complaints.read().strip()[-600:]}")
    own = usage.ru_utime + usage.ru_stime
    lines = [json.loads(line) for line in out.splitlines() if line.startswith("{")]
    result = lines[-1] if lines else {}
    if "median_seconds" not in result:  # a whole process
        result = {"seconds": wall, "peak_bytes": usage.ru_maxrss * 1024,
                  "test_accuracy": result.get("test_accuracy")}
    elif "loss" in result:  # what happens now and then (shuffling, checks) counts as well
        result["seconds"] = result["mean_seconds"]
    else:
        result["seconds"] = result["median_seconds"]
    result["others"] = max(0, busy_seconds() - before - own) / (wall * os.cpu_count())
    return result


def run(command, processors, threads, rival=None):
    """The least disturbed of up to three tries."""
    tries = []
    for _ in range(3):
        tries.append(run_once(command, processors, threads, rival))
        if tries[-1]["others"] < 0.05:
            break
    return min(tries, key=lambda result: result["others"])


def covering(workload):
    return [rival for rival in rivals
            if any(fnmatch.fnmatch(workload, pattern) for pattern in rival.covers)]


def version_of(package):
    result = subprocess.run(["dpkg-query", "-W", "-f", "${db:Status-Status} ${Version}", package],
                            preexec_fn=enter_root, stdout=subprocess.PIPE,
                            stderr=subprocess.DEVNULL, text=True)
    status, _, version = result.stdout.partition(" ")
    return version if status == "installed" else None


def compare(workload, what):
    threads = 1 if workload.startswith("predict-") else options.threads
    processors = set(sorted(os.sched_getaffinity(0))[-threads:])
    own, theirs = processes.get(workload, (
        ["bench", workload, "--seconds", str(options.seconds), "--json", "--threads", str(threads)],
        lambda rival: [*rival.program(), workload, str(options.seconds)]))
    present = []
    for rival in covering(workload):
        if version_of(rival.package):
            rival.build()
            present.append(rival)
        else:
            where = ("bench/rivals/setup" if options.root != "/" else
                     f"bench/rivals/setup, or apt-get install {rival.package}")
            say(f"{workload}: {rival.name} is not installed and left out; to install it: {where}")
    runs = {"Soma": []} | {rival.name: [] for rival in present}
    ratios = {rival.name: [] for rival in present}
    for round_number in range(options.rounds):
        say(f"{workload}: round {round_number + 1} of {options.rounds}")
        for rival in list(present) or [None]:
            soma = run([options.soma, *own], processors, threads)
            runs["Soma"].append(soma)
            if rival is None:
                continue
            try:
                other = run(theirs(rival), processors, threads, rival)
            except RuntimeError as error:
                say(f"{rival.name} is left out: {error}")
                present.remove(rival)
                continue
            runs[rival.name].append(other)
            ratios[rival.name].append(other["seconds"] / soma["seconds"])
    runs = {name: results for name, results in runs.items() if results}
    return {
        "workload": workload, "what": what, "threads": threads, "seconds": options.seconds,
        "date": datetime.date.today().isoformat(), "machine": machine(),
        "versions": {rival.package: version_of(rival.package) for rival in present},
        "programs": {name: summary(results, ratios.get(name)) for name, results in runs.items()},
    }


def machine():
    with open("/proc/cpuinfo") as info:
        fields = dict(line.split(":", 1) for line in info if ":" in line)
    fields = {name.strip(): value.strip() for name, value in fields.items()}
    return (f"{fields.get('model name', platform.machine())} (family {fields.get('cpu family')}, "
            f"model {fields.get('model')}), {os.cpu_count()} cores")


def summary(results, ratios):
    seconds = [result["seconds"] for result in results]
    found = {"median": statistics.median(seconds), "least": min(seconds), "most": max(seconds),
             "others": max(result["others"] for result in results), "runs": seconds}
    for key in ("peak_bytes", "first_loss", "loss", "test_accuracy", "p9999_seconds"):
        values = [result[key] for result in results if result.get(key) is not None]
        if values:
            found[key] = statistics.median(values)
    if ratios:
        found |= {"ratio": statistics.median(ratios), "least_ratio": min(ratios),
                  "most_ratio": max(ratios)}
    return found


def time_text(seconds):
    for unit, scale in (("s", 1), ("ms", 1e3), ("µs", 1e6)):
        if seconds * scale >= 1:
            return f"{seconds * scale:.3g} {unit}"
    return f"{seconds * 1e9:.3g} ns"


def row(cells):
    return "| " + " | ".join(cells) + " |"


def tables(results):
    """Two tables in Markdown: against the fastest rival of each workload, and against all."""
    short = [row(["workload", "Soma", "fastest rival", "its time", "ratio (spread)", "memory, MB"]),
             row(["---"] * 6)]
    full = [row(["workload", "program", "median (least to most)", "ratio (spread)", "memory, MB",
                 "", "others' load"]), row(["---"] * 7)]
    for result in results:
        soma = result["programs"]["Soma"]
        name = f"{result['workload']}: {result['what']}"
        megabytes = lambda p: f"{p['peak_bytes'] / 1e6:.3g}" if p.get("peak_bytes") else ""
        others = [(n, p) for n, p in result["programs"].items() if n != "Soma"]
        ratio_text = lambda p: (f"{p['ratio']:.2f} ({p['least_ratio']:.2f} to "
                                f"{p['most_ratio']:.2f})" if "ratio" in p else "")
        if others:
            best, p = min(others, key=lambda item: item[1]["median"])
            short.append(row([name, time_text(soma["median"]), best, time_text(p["median"]),
                              ratio_text(p), f"{megabytes(soma)} / {megabytes(p)}"]))
        for program, p in result["programs"].items():
            more = ""
            if "first_loss" in p:
                more = f"loss {p['first_loss']:.2f} to {p['loss']:.2f}"
            if "test_accuracy" in p:
                more = f"test accuracy {100 * p['test_accuracy']:.1f} %"
            if "p9999_seconds" in p:
                more = f"99.99 % within {time_text(p['p9999_seconds'])}"
            full.append(row([result["workload"], program,
                             f"{time_text(p['median'])} ({time_text(p['least'])} to "
                             f"{time_text(p['most'])})", ratio_text(p), megabytes(p), more,
                             f"{100 * p['others']:.0f} %"]))
    versions = {name: version for result in results for name, version in result["versions"].items()}
    about = [f"{results[-1]['date']}, {results[-1]['machine']}, "
             f"{max(r['threads'] for r in results)} threads (predictions: 1), 32-bit floats.",
             ", ".join(f"{name} {version}" for name, version in versions.items()) + "."]
    return "\n".join([*about, "", *short, "", *full, ""])


def check(result):
    """Says when a program did not learn: its time would mean nothing."""
    for name, p in result["programs"].items():
        if "first_loss" in p and not p["loss"] < p["first_loss"]:
            say(f"{result['workload']}: {name} did not learn: its loss went from "
                f"{p['first_loss']:.3f} to {p['loss']:.3f}")


def main():
    listed = subprocess.run([options.soma, "bench", "--list", "--json"], check=True,
                            stdout=subprocess.PIPE, text=True).stdout
    known = {line["workload"]: line["what"] for line in map(json.loads, listed.splitlines())}
    known["fashion-mnist"] = "784-512-512-10, 5 epochs, the whole process"
    out = Path(options.out)
    out.mkdir(parents=True, exist_ok=True)
    chosen = [name for name in known if covering(name) and
              any(fnmatch.fnmatch(name, pattern) for pattern in options.workloads or ["*"])]
    if not chosen:
        sys.exit(f"run: no workload matches; there are {', '.join(filter(covering, known))}")
    os.makedirs(f"{options.root}/{options.work}", exist_ok=True)
    if version_of("python3-onnx") and any(name.startswith("predict-") for name in chosen):
        inside(["python3", f"{options.inside}/onnx_models.py", options.work])
    for name in chosen:
        result = compare(name, known[name])
        check(result)
        (out / f"{name}.json").write_text(json.dumps(result, indent=1) + "\n")
    results = [json.loads((out / f"{name}.json").read_text()) for name in known
               if (out / f"{name}.json").exists()]
    (out / "table.md").write_text(tables(results))
    print(tables(results))


parser = argparse.ArgumentParser(prog="run", description="Soma and its rivals in turn, in one table.")
parser.add_argument("--root", default="/", help="the rivals' file system, made by setup")
parser.add_argument("--soma", default=str(here.parent.parent / "build/cli/soma"))
parser.add_argument("--out", default=str(here / "results"), help="a file for each workload, table.md")
parser.add_argument("--rounds", type=int, default=5)
parser.add_argument("--seconds", type=float, default=1, help="of each run of each program")
parser.add_argument("--threads", type=int, default=os.cpu_count())
parser.add_argument("workloads", nargs="*", help="names or patterns, 'mlp-*' (default: all)")
options = parser.parse_args()
options.work = "/var/tmp/rivals-build"
options.inside = "/rivals" if options.root != "/" else str(here)
if __name__ == "__main__":
    main()
