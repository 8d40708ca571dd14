// Data sets with a name, and the table of them.
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <numbers>
#include <numeric>

#include "data/embedded.h"
#include "soma/data.h"
#include "soma/error.h"
#include "src/base/philox.h"
#include "src/base/text.h"
#include "src/data/csv.h"

namespace soma::data {

namespace {

/// Each maker of random points has a stream of its own, so that equal seeds do not repeat numbers.
enum Stream : uint32_t { shuffle_stream = 100, spiral_stream = 101, moon_stream = 102 };

constexpr const char* debian_folder = "/usr/share/datasets/fashion-mnist";

/// The folders to look in, the user's own word first and alone.
std::vector<std::string> fashion_folders(const std::string& folder) {
  if (!folder.empty()) return {folder};
  std::vector<std::string> folders;
  if (const char* own = std::getenv("SOMA_DATA"); own && *own)
    folders = {own, cat(own, "/fashion-mnist")};
  folders.push_back(debian_folder);
  return folders;
}

std::string find_fashion_file(const std::string& folder, const std::string& name) {
  const auto folders = fashion_folders(folder);
  for (const auto& place : folders) {
    for (const char* ending : {".gz", ""}) {
      const std::string path = cat(place, "/", name, ending);
      std::error_code ignored;
      if (std::filesystem::exists(path, ignored)) return path;
    }
  }
  throw FileError(cat("Fashion-MNIST is not here: no file \"", name, "\" or \"", name, ".gz\" in ",
                      join(folders, ", "),
                      "; install it (apt-get install dataset-fashion-mnist), "
                      "or pass the folder or set SOMA_DATA to it"));
}

Dataset fashion_part(const std::string& folder, const std::string& part, int64_t rows) {
  const std::string images = find_fashion_file(folder, part + "-images-idx3-ubyte");
  const std::string labels = find_fashion_file(folder, part + "-labels-idx1-ubyte");
  Dataset dataset;
  dataset.name = "fashion-mnist";
  dataset.origin = std::filesystem::path(images).parent_path().string();
  dataset.inputs = load_idx(images);
  const Tensor bytes = load_idx(labels);
  if (dataset.inputs.shape() != Shape{rows, 28, 28} || dataset.inputs.type() != u8) {
    throw FileError(cat("\"", images, "\" holds ", dataset.inputs.type(), " of shape ",
                        dataset.inputs.shape(), ", not bytes of shape ", Shape{rows, 28, 28},
                        "; it is another data set: load_idx() reads it"));
  }
  if (bytes.shape() != Shape{rows} || bytes.type() != u8 ||
      std::ranges::any_of(bytes.data<uint8_t>(), [](uint8_t label) { return label > 9; })) {
    throw FileError(cat("\"", labels, "\" does not hold ", rows,
                        " labels from 0 to 9; it is another data set: load_idx() reads it"));
  }
  dataset.targets = bytes.cast(i32);
  dataset.class_names = {"T-shirt/top", "trouser", "pullover", "dress", "coat",
                         "sandal",      "shirt",   "sneaker",  "bag",   "ankle boot"};
  dataset.input_scale = 1.0 / 255;
  return dataset;
}

/// An empty data set of `n` points in the plane and two classes, to be filled.
Dataset plane(std::string name, int64_t n) {
  if (n < 2) {
    throw ArgumentError(cat("data set \"", name, "\" needs at least 2 points, one per class; ", n,
                            " were asked for"));
  }
  Dataset dataset;
  dataset.name = std::move(name);
  dataset.inputs = Tensor({n, 2});
  dataset.targets = Tensor({n}, i32);
  dataset.schema.columns = {{.name = "x"}, {.name = "y"}};
  dataset.class_names = {"first", "second"};
  return dataset;
}

}  // namespace

std::vector<int64_t> permutation(int64_t n, uint64_t seed, uint64_t round) {
  if (n < 0) throw ArgumentError(cat("there is no permutation of ", n, " numbers; give 0 or more"));
  std::vector<int64_t> order(static_cast<size_t>(n));
  std::iota(order.begin(), order.end(), int64_t{0});
  // A new key per round; the odd factor spreads neighbouring rounds over all bits.
  Random random(seed + round * 0x9E3779B97F4A7C15u, shuffle_stream);
  random.shuffle(std::span(order));
  return order;
}

TrainTest fashion_mnist(const std::string& folder) {
  return {fashion_part(folder, "train", 60000), fashion_part(folder, "t10k", 10000)};
}

Dataset iris() {
  Dataset dataset = parse_csv(iris_csv, "iris.csv");
  dataset.name = "iris";
  return dataset;
}

Dataset penguins() {
  Dataset dataset = parse_csv(penguins_csv, "penguins.csv");
  dataset.name = "penguins";
  return dataset;
}

Tensor sunspots() {
  const Dataset table =
      parse_csv(sunspots_csv, "sunspots.csv", {.target_kind = CsvTarget::none, .drop = {"month"}});
  return table.inputs.reshaped({table.size()});
}

Dataset xor_gate() {
  Dataset dataset =
      in_memory(Tensor::of({4, 2}, {0, 0, 0, 1, 1, 0, 1, 1}), Tensor::of({4, 1}, {0, 1, 1, 0}));
  dataset.name = "xor";
  dataset.schema.columns = {{.name = "a"}, {.name = "b"}};
  return dataset;
}

Dataset two_spirals(int64_t n, uint64_t seed) {
  Dataset dataset = plane("spirals", n);
  auto points = dataset.inputs.data<float>();
  auto labels = dataset.targets.data<int32_t>();
  Random random(seed, spiral_stream);
  for (size_t i = 0; i < labels.size(); ++i) {
    labels[i] = static_cast<int32_t>(i % 2);
    const double t = std::sqrt(random.uniform_double());  // the root spreads points evenly
    const double angle = (3 * t + labels[i]) * std::numbers::pi;
    points[2 * i] = static_cast<float>(t * std::cos(angle));
    points[2 * i + 1] = static_cast<float>(t * std::sin(angle));
  }
  return dataset;
}

Dataset two_moons(int64_t n, double noise, uint64_t seed) {
  if (!(noise >= 0 && std::isfinite(noise))) {
    throw ArgumentError(
        cat("the noise of two_moons() is ", number(noise), "; give a deviation of 0 or more"));
  }
  Dataset dataset = plane("moons", n);
  auto points = dataset.inputs.data<float>();
  auto labels = dataset.targets.data<int32_t>();
  Random random(seed, moon_stream);
  for (size_t i = 0; i < labels.size(); ++i) {
    labels[i] = static_cast<int32_t>(i % 2);
    const double angle = random.uniform_double() * std::numbers::pi;
    const bool upper = labels[i] == 0;
    const double x = upper ? std::cos(angle) : 1 - std::cos(angle);
    const double y = upper ? std::sin(angle) : 0.5 - std::sin(angle);
    points[2 * i] = static_cast<float>(x + noise * random.normal());
    points[2 * i + 1] = static_cast<float>(y + noise * random.normal());
  }
  return dataset;
}

std::span<const NamedDataset> registry() {
  using Folder = const std::string&;
  static constexpr NamedDataset rows[] = {
      {"fashion-mnist", "images of clothes in ten classes", "60,000 + 10,000", "28 x 28",
       "Xiao, Rasul, Vollgraf (2017); Debian package dataset-fashion-mnist", "MIT",
       [](Folder folder) { return fashion_mnist(folder); }},
      {"iris", "three species of iris flowers by four lengths", "150", "4",
       "Fisher (1936), as distributed with R and scikit-learn", "BSD-3-Clause (that copy)",
       [](Folder) {
         return TrainTest{iris(), {}};
       }},
      {"penguins", "three species of penguins by island, sizes and sex; values are missing", "344",
       "6", "Gorman, Williams, Fraser (2014), Palmer Station LTER", "CC0-1.0",
       [](Folder) {
         return TrainTest{penguins(), {}};
       }},
      {"sunspots", "the number of sunspots in the next 12 months, from that in 132", "2,399 + 624",
       "132 x 1", "WDC-SILSO, Royal Observatory of Belgium, 1749 to 2013, as in R's datasets",
       "numbers that were counted",
       [](Folder) {
         // The last fifth of the months is to be predicted; no row for training sees any of it.
         Dataset all = windows(sunspots(), 132, 12);
         all.name = "sunspots";
         const int64_t test = all.size() - 3177 / 5 + 11;
         return TrainTest{all.subset(0, test - 11), all.subset(test, all.size())};
       }},
      {"xor", "the exclusive or, which no single layer learns", "4", "2", "Minsky, Papert (1969)",
       "generated",
       [](Folder) {
         return TrainTest{xor_gate(), {}};
       }},
      {"spirals", "two spirals that wind around each other", "400", "2", "Lang, Witbrock (1988)",
       "generated",
       [](Folder) {
         return TrainTest{two_spirals(), {}};
       }},
      {"moons", "two interlocking half circles with noise", "400", "2", "generated", "generated",
       [](Folder) {
         return TrainTest{two_moons(), {}};
       }},
  };
  return rows;
}

TrainTest named(std::string_view name, const std::string& folder) {
  std::vector<std::string> names;
  for (const NamedDataset& row : registry()) {
    if (row.name == name) return row.load(folder);
    names.emplace_back(row.name);
  }
  throw ArgumentError(cat("there is no data set \"", name, "\"", did_you_mean(name, names),
                          "; the names are ", join(names, ", ")));
}

}  // namespace soma::data
