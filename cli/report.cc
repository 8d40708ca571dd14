// soma report: a page about a training.
#include "cli/report.h"

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/run_folder.h"
#include "cli/run_record.h"
#include "soma/error.h"
#include "soma/report.h"
#include "soma/version.h"
#include "src/base/file.h"
#include "src/base/text.h"

namespace soma::cli {
namespace {

/// More rows, or more numbers of results, tell a reader no more.
constexpr int64_t most_rows = 20'000, most_numbers = 1 << 26;

std::string introduction_of(const RunRecord& run, const ModelInfo& info) {
  const char* const end =
      run.end == "diverged" ? " The training diverged: the figures are those up to there."
      : run.end.empty()     ? " The training was cut off: the figures are those so far."
                            : "";
  return cat("Data: ", info.dataset, ". Network: ", excerpt(run.setting("net"), 200),
             ". Loss: ", info.loss, ". Optimizer: ", run.setting("optimizer"), ", batches of ",
             run.setting("batch"), ", seed ", run.setting("seed"), ".", end);
}

class ReportCommand : public Command {
 public:
  std::string_view name() const override { return "report"; }
  std::string_view summary() const override {
    return "Write the report of a training anew: one page, report.html";
  }
  std::string_view examples() const override {
    return "  soma train iris --epochs 60 --out run\n"
           "  soma report run\n";
  }
  void options(Options& o) override {
    o.positional("run", folder_, "The folder that soma train --out made");
    o.integer("--threads", threads_, 0, 1024, "Threads to compute with (0: every core)");
  }
  int run(Console& console) override {
    const std::string configuration = configuration_of_run(folder_);
    const Model model = load_model((std::filesystem::path(folder_) / "model.soma").string());
    const Judges judges = judges_of(configuration);
    const std::string path = write_report(folder_, model.network, model.info, judges.rows,
                                          judges.name, Device::cpu(static_cast<int>(threads_)));
    if (console.json()) {
      console.event({{"event", "report"}, {"file", path}});
    } else {
      console.line(cat("wrote ", path));
    }
    return exit_ok;
  }

 private:
  std::string folder_;
  int64_t threads_ = 0;
};

}  // namespace

std::string write_report(const std::string& folder, const Network& net, const ModelInfo& info,
                         const Dataset& rows, const std::string& rows_name, const Device& device) {
  RunRecord run = read_run(folder);
  Report report{.title = run.name,
                .introduction = introduction_of(run, info),
                .steps = std::move(run.steps),
                .epochs = std::move(run.epochs),
                .layers = std::move(run.layers),
                .seconds = run.seconds,
                .rows_name = rows_name};
  const Settings defaults = settings_of(*make_train());
  report.command = shell_line("train", run.settings, defaults);
  for (size_t i = 0; i < defaults.size(); ++i) {
    const auto& [name, value] = run.settings[i];
    const bool tells = name == "net" || name == "optimizer" || name == "epochs" ||
                       name == "batch" || name == "seed";
    if (tells || value != defaults[i].second) report.settings.emplace_back(name, shown(value));
  }
  report.settings.emplace_back("version of soma", version_text);
  report.settings.emplace_back("weights (SHA-256)", weights_sha256(net));
  const int64_t room =
      std::min(most_rows, std::max<int64_t>(1, most_numbers / net.output_shape().elements()));
  const bool all = rows.size() <= room;
  if (!all) report.rows_name = cat("first ", grouped(room), " ", rows_name);
  const std::string path = (std::filesystem::path(folder) / "report.html").string();
  write_file_atomic(path,
                    report_html(report, net, info, all ? rows : rows.subset(0, room), device));
  return path;
}

std::unique_ptr<Command> make_report() { return std::make_unique<ReportCommand>(); }

}  // namespace soma::cli
