// soma bench: how fast this machine multiplies matrices, trains and predicts, and which share of
// its peak that is. The peak is measured in the same run.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "cli/bench_workloads.h"
#include "cli/command.h"
#include "cli/device.h"
#include "src/backends/cpu/isa.h"
#include "src/backends/cpu/peak.h"
#include "src/base/text.h"

namespace soma::cli {
namespace {

/// "1.23 ms", in the unit that suits.
std::string time_text(double seconds) {
  if (seconds >= 1e-3) return cat(fixed(seconds * 1e3, 3), " ms");
  return cat(fixed(seconds * 1e6, seconds < 1e-5 ? 3 : 1), " us");
}

std::string megabytes(size_t bytes) { return fixed(static_cast<double>(bytes) * 1e-6, 1); }

bool is_of_kind(std::string_view name, std::string_view kind) {
  return name == kind || (name.substr(0, kind.size()) == kind && name[kind.size()] == '-');
}

class Bench : public Command {
 public:
  std::string_view name() const override { return "bench"; }
  std::string_view summary() const override {
    return "Measure products, training steps and predictions against the machine's peak";
  }
  std::string_view examples() const override {
    return "  soma bench\n"
           "  soma bench --list\n"
           "  soma bench gemm --threads 1\n"
           "  soma bench mlp-128 --json\n"
           "  soma bench mlp-wide --precision bf16\n"
           "  soma bench lenet --plan\n";
  }
  void options(Options& o) override {
    o.positional("workload", what_, "One of --list, or all of a kind: gemm, mlp, predict",
                 Need::optional);
    device_.add_to(o);
    o.real("--seconds", seconds_, 0, 3600, "Time for each workload");
    o.flag("--list", list_, "List the workloads and measure nothing");
    o.flag("--plan", plan_, "List the instructions of each step with their times, too");
  }

  int run(Console& console) override {
    std::vector<const Workload*> chosen;
    for (const Workload& workload : workloads()) {
      if (what_.empty() || is_of_kind(workload.name, what_)) chosen.push_back(&workload);
    }
    if (chosen.empty()) {
      const std::string guess = did_you_mean(what_, names_and_kinds());
      throw UsageError(cat("there is no workload \"", what_, "\"",
                           guess.empty() ? "; soma bench --list shows all of them" : guess));
    }
    if (list_) return list(console, chosen);
    const Device device = device_.device();
    measure_peak(console, device);
    Rows rows = {{"workload", "what a step is", "median", "least", "samples/s", "GFLOP/s",
                  "of peak", "all cores", "arena MB", "process MB"}};
    std::string plans;
    for (const Workload* workload : chosen) {
      console.status(cat("measuring ", workload->name));
      const Figures figures = measure(*workload, {device, seconds_});
      const std::string listing = plan_ && figures.plan ? figures.plan() : "";
      if (console.json()) {
        console.event(object_of(*workload, figures, listing));
      } else {
        rows.push_back(row_of(*workload, figures));
        if (!listing.empty()) plans += cat("\n", workload->name, "\n", listing);
      }
    }
    if (console.json()) return exit_ok;
    console.line(table(rows) + plans);
    console.note(
        "\nA training step gathers a shuffled batch and runs forward, backward and update; \"all "
        "cores\" is the\nprocessor time of all threads. GFLOP/s count products and convolutions.");
    return exit_ok;
  }

 private:
  using Rows = std::vector<std::vector<std::string>>;
  using Json = nlohmann::ordered_json;

  static std::vector<std::string> names_and_kinds() {
    std::vector<std::string> all;
    for (const Workload& workload : workloads()) {
      all.push_back(workload.name);
      all.push_back(workload.name.substr(0, workload.name.find('-')));
    }
    return all;
  }

  static int list(Console& console, const std::vector<const Workload*>& chosen) {
    Rows rows = {{"workload", "what a step is"}};
    for (const Workload* workload : chosen) {
      rows.push_back({workload->name, workload->what});
      if (console.json()) {
        console.event(
            {{"event", "workload"}, {"workload", workload->name}, {"what", workload->what}});
      }
    }
    if (!console.json()) console.line(table(rows));
    return exit_ok;
  }

  void measure_peak(Console& console, const Device& device) {
    Team team(device.threads());
    peak_ = cpu::measure_peak(team, cpu::isa()) * 1e9;
    const std::string isa(cpu::isa().name);
    if (console.json()) {
      console.event({{"event", "machine"},
                     {"isa", isa},
                     {"threads", device.threads()},
                     {"precision", device_.precision},
                     {"peak_gflops", peak_ * 1e-9}});
    } else {
      console.line(cat("instruction set ", isa, ", ", device.threads(), " threads: at most ",
                       fixed(peak_ * 1e-9, 0), " GFLOP/s of fp32 multiply-adds",
                       device_.precision == "fp32" ? "" : "; products in " + device_.precision,
                       "\n"));
    }
  }

  /// Of products and convolutions, a second.
  static double rate(const Figures& f) { return static_cast<double>(f.operations) / f.median; }
  static double samples_per_second(const Figures& f) {
    return static_cast<double>(f.samples) / f.median;
  }

  Json object_of(const Workload& workload, const Figures& f, const std::string& listing) const {
    Json object{{"event", "bench"},
                {"workload", workload.name},
                {"what", workload.what},
                {"steps", f.steps},
                {"median_seconds", f.median},
                {"least_seconds", f.least},
                {"mean_seconds", f.mean},
                {"processor_seconds", f.processor},
                {"samples_per_second", samples_per_second(f)},
                {"gflops", rate(f) * 1e-9},
                {"share", peak_ > 0 ? Json(rate(f) / peak_) : Json(nullptr)},
                {"arena_bytes", f.arena_bytes},
                {"peak_bytes", f.peak_bytes}};
    if (f.p9999) object["p9999_seconds"] = *f.p9999;
    if (f.first_loss) object["first_loss"] = *f.first_loss;
    if (f.loss) object["loss"] = *f.loss;
    if (!listing.empty()) object["plan"] = listing;
    return object;
  }

  std::vector<std::string> row_of(const Workload& workload, const Figures& f) const {
    const bool works = f.operations > 0;
    return {workload.name,
            workload.what,
            time_text(f.median),
            time_text(f.least),
            f.samples ? fixed(samples_per_second(f), 0) : "",
            works ? fixed(rate(f) * 1e-9, 1) : "",
            works && peak_ > 0 ? cat(fixed(100 * rate(f) / peak_, 0), " %") : "",
            time_text(f.processor),
            works ? megabytes(f.arena_bytes) : "",
            f.peak_bytes ? megabytes(f.peak_bytes) : ""};
  }

  std::string what_;
  DeviceOptions device_;
  double seconds_ = 1, peak_ = 0;
  bool list_ = false, plan_ = false;
};

}  // namespace

std::unique_ptr<Command> make_bench() { return std::make_unique<Bench>(); }

}  // namespace soma::cli
