// Data sets: what a network learns from. Readers for IDX and CSV files, data sets that come with
// Soma, and the copying of rows into a batch.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "soma/table.h"
#include "soma/tensor.h"

namespace soma {

/// An array with a name: a further input or target of a data set.
struct NamedTensor {
  std::string name;
  Tensor values{Shape{0}};
};

/// Examples, one per row. The number a network sees is `element * input_scale + input_shift`:
/// images stay bytes in memory (a quarter of the size) and become fractions when a batch is
/// gathered.
struct Dataset {
  std::string name;
  /// [n, …], any element type. NaN in a table is a missing value.
  Tensor inputs{Shape{0}};
  /// classes: i32 [n], or [n, …] per step, where a negative label counts for nothing; numbers: f32
  /// [n, k]
  Tensor targets{Shape{0}};
  std::vector<std::string> class_names;  ///< by label; may be empty
  Schema schema = {};                    ///< of a table; else without columns
  /// f32 [n]: how often each row counts in training and in the loss; empty: all the same.
  Tensor weights{Shape{0}};
  double input_scale = 1;
  double input_shift = 0;
  std::string origin;  ///< The file or folder it was read from; "" for one that was made
  /// For networks of several inputs or results: f32 [n, …] by the name of the input; f32 or i32
  /// [n, …] by a name of your own (see OutputLoss in soma/train.h).
  std::vector<NamedTensor> more_inputs = {}, more_targets = {};
  /// What is needed to read further rows as these were read, and so belongs into the notes of a
  /// model: "tokenizer" (soma/text.h), "images" (soma/images.h).
  std::map<std::string, std::string> notes = {};

  /// The number of rows.
  int64_t size() const { return inputs.shape().empty() ? 0 : inputs.shape()[0]; }
  /// The shape of one row: [28, 28] for images, [4] for a table of four columns.
  Shape input_shape() const;
  Shape target_shape() const;
  /// Numbers in one input row.
  int64_t features() const { return input_shape().elements(); }
  bool is_classification() const { return targets.type() == i32; }
  /// The number of classes: that of the names, else the largest label + 1; 0 for regression.
  int64_t classes() const;

  /// The rows from `begin` up to, not including, `end`.
  Dataset subset(int64_t begin, int64_t end) const;
  /// Those rows, in that order; a row may occur more than once.
  Dataset rows(std::span<const int64_t> indices) const;
  /// Shuffles, then cuts: the first part holds `fraction` of the rows (rounded), the second the
  /// rest. The same seed gives the same parts on every machine.
  std::pair<Dataset, Dataset> split(double fraction, uint64_t seed) const;

  /// Copies rows into the front of preallocated buffers, converted and scaled. Allocates nothing.
  /// `out` must hold rows.size() rows; throws ArgumentError when it is too small or a row does not
  /// exist.
  void gather_inputs(std::span<const int64_t> rows, std::span<float> out) const;
  void gather_inputs(std::span<const int64_t> rows, std::span<double> out) const;
  void gather_inputs(std::span<const int64_t> rows, std::span<int32_t> out) const;
  void gather_targets(std::span<const int64_t> rows, std::span<float> out) const;
  void gather_targets(std::span<const int64_t> rows, std::span<double> out) const;
  void gather_targets(std::span<const int64_t> rows, std::span<int32_t> out) const;
  /// The further input or target of that name; throws ArgumentError, naming the nearest.
  const Tensor& more_input(std::string_view input) const;
  const Tensor& more_target(std::string_view target) const;
  /// Both at once, into tensors of type f32, f64 or i32.
  void gather_batch(std::span<const int64_t> rows, Tensor& batch_inputs,
                    Tensor& batch_targets) const;
};

/// A training set and the test set that belongs to it. The test set is empty (size() == 0) where
/// the source defines none: split() makes one.
struct TrainTest {
  Dataset train;
  Dataset test;
};

namespace data {

/// A data set from arrays. Integer targets [n] are class labels (0, 1, …); of several for each row,
/// [n, …], negative ones count for nothing. Floating targets [n] or [n, k] are numbers. Throws
/// ShapeError, TypeError or ArgumentError when rows differ in number, a label is negative or
/// unnamed, or a number is not finite.
Dataset in_memory(Tensor inputs, Tensor targets, std::vector<std::string> class_names = {});

/// The numbers 0 … n-1 in a random order that depends on seed and round alone.
std::vector<int64_t> permutation(int64_t n, uint64_t seed, uint64_t round = 0);

/// What to subtract from and divide each feature by: mean 0 and deviation 1 afterwards. Take it
/// from the training rows only and apply the same to all others; a model stores it with its
/// weights.
struct Standardization {
  std::vector<float> mean;       ///< one per feature
  std::vector<float> deviation;  ///< one per feature; 1 for a feature that never changes
};
Standardization measure_standardization(const Dataset& dataset);
/// Replaces the inputs by f32 ones: (value - mean) / deviation. Scale and shift become 1 and 0.
void standardize(Dataset& dataset, const Standardization& standardization);
/// Measures and applies.
Standardization standardize(Dataset& dataset);

/// A series as examples: row i has the steps i … i + steps - 1, [steps, columns], and as targets
/// the numbers of `column` at the `horizon` steps after them, [horizon]. `series` is [time] or
/// [time, columns]. To test on the future, keep the last rows: subset(), not split(), which
/// shuffles. Throws ShapeError, TypeError or ArgumentError for a series that is too short, or not
/// of floating, finite numbers.
Dataset windows(const Tensor& series, int64_t steps, int64_t horizon = 1, int64_t column = 0);

inline constexpr uint64_t default_max_bytes = uint64_t{1} << 30;

/// An array from an IDX file (the format of MNIST: http://yann.lecun.com/exdb/mnist/), compressed
/// with gzip or not. Bytes stay u8; i8, i16 and i32 become i32. `max_bytes` bounds the uncompressed
/// size. Throws FileError for anything malformed.
Tensor load_idx(const std::string& path, uint64_t max_bytes = default_max_bytes);

enum class CsvHeader {
  automatic,  ///< the first line is a header when none of its cells is a number
  present,
  absent
};
enum class CsvTarget {
  automatic,  ///< classes when the values are text, or integers of few kinds
  classes,
  numbers,
  none  ///< the table has no target column: every column is an input
};
struct CsvOptions {
  std::string target = {};  ///< a column's name or its number from 0; "" is the last column
  CsvTarget target_kind = CsvTarget::automatic;
  CsvHeader header = CsvHeader::automatic;
  char delimiter = 0;  ///< 0: comma, semicolon, tab or bar, whichever the first line has most of
  char decimal = '.';
  /// Integers count as classes up to this many kinds, if each occurs twice on average.
  int max_integer_classes = 20;
  std::vector<std::string> drop = {};  ///< columns to leave out, by name or number
  /// What columns are, where the rules find something else: {"zip", "category"}, {"day",
  /// "date(d/m/y)"}.
  std::vector<std::pair<std::string, std::string>> kinds = {};
  std::string weight = {};  ///< a column that says how often each row counts; "" for none
  /// Words for a missing value; an empty cell always is one.
  std::vector<std::string> missing = {"NA", "N/A", "na", "n/a", "NaN", "nan", "null", "NULL", "?"};
  int64_t limit = 0;       ///< only that many rows; 0 takes all
  bool drop_text = false;  ///< columns of text are dropped, with a note, and not refused
  int threads = 0;         ///< that read; 0: every core. The result is the same.
};
/// What the columns of a CSV file are (RFC 4180, compressed with gzip or not), by reading all of it
/// once in constant memory. Columns that are always the same, that equal another or that number the
/// rows are dropped, with a note. Categories are in sorted order, text by letters and integers by
/// value; beyond 1,000 only the most frequent are kept. Throws FileError naming file, line and
/// column for anything ragged or not a number among numbers, and for text columns, and
/// ArgumentError for columns that do not exist.
Schema read_schema(const std::string& path, const CsvOptions& options = {});

/// The rows of a CSV file as a schema has them: inputs f32 [n, inputs], targets i32 [n] for classes
/// or f32 [n, 1]. Columns are found by name, in any order, without the ones that are not needed.
/// Rows without a target are left out; a file without the column has targets [n, 0]. `notes`
/// receives a sentence for each column with categories that the schema does not know. Read by that
/// many threads (0: every core), with the same result for any number. Throws FileError.
Dataset load_csv(const std::string& path, const Schema& schema,
                 std::vector<std::string>* notes = nullptr, int threads = 0);
/// The same in parts, as stratified_split() cuts them, of which each is in memory once. Parts that
/// together take more than `memory` bytes are kept in a temporary file that goes away with them.
std::vector<Dataset> load_csv(const std::string& path, const Schema& schema,
                              std::span<const double> fractions, uint64_t seed,
                              uint64_t memory = uint64_t{4} << 30, int threads = 0);
/// Both steps at once.
Dataset load_csv(const std::string& path, const CsvOptions& options = {});

/// The rows of a CSV file one after the other, in constant memory.
class CsvRows {
 public:
  /// `path` "-" is the standard input.
  CsvRows(const std::string& path, const Schema& schema);
  /// Rows of a text; `name` stands for the file in messages.
  CsvRows(std::string_view text, const std::string& name, const Schema& schema);
  ~CsvRows();
  CsvRows(CsvRows&&) noexcept;

  /// Reads the numbers of the next row into `inputs`, one for each input of the schema; false at
  /// the end. Throws FileError.
  bool next(std::span<float> inputs);
  /// Of the row that was read: the number, or the label; NaN when it is missing.
  float target() const;
  float weight() const;
  bool has_target() const;
  /// A sentence for each column with categories that the schema does not know.
  std::vector<std::string> notes() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

/// Cuts into one part for each fraction, shuffled, with every class in each part as often as in
/// all. The fractions add up to 1. The same seed gives the same parts on every machine.
std::vector<Dataset> stratified_split(const Dataset& dataset, std::span<const double> fractions,
                                      uint64_t seed);

/// 60,000 training and 10,000 test images of clothes, 28 x 28 grey values in ten classes (Xiao,
/// Rasul and Vollgraf, 2017). Looks in `folder` if given, else in $SOMA_DATA and where Debian's
/// package dataset-fashion-mnist puts it.
TrainTest fashion_mnist(const std::string& folder = "");

/// 150 flowers, four lengths in cm, three species (Fisher, 1936), as printed in the article. Part
/// of the library: needs no file.
Dataset iris();

/// 344 penguins of three species: island, four lengths and weights, sex, with 19 values missing
/// (Gorman, Williams and Fraser, 2014). Part of the library: needs no file.
Dataset penguins();

/// Monthly means of the number of sunspots from January 1749 to September 2013, f32 [3177]
/// (WDC-SILSO, Royal Observatory of Belgium). Part of the library: needs no file.
Tensor sunspots();

/// The four rows of the exclusive or: inputs [4, 2], targets f32 [4, 1]. No net of one layer learns
/// it.
Dataset xor_gate();

/// `n` points on two spirals that wind around each other 1.5 times; inputs [n, 2], two classes.
Dataset two_spirals(int64_t n = 400, uint64_t seed = 1);

/// `n` points on two interlocking half circles, with normal noise of that deviation; inputs [n, 2].
Dataset two_moons(int64_t n = 400, double noise = 0.1, uint64_t seed = 1);

/// One row of the table of data sets that have a name.
struct NamedDataset {
  std::string_view name;
  std::string_view description;
  std::string_view rows;   ///< "60,000 + 10,000"
  std::string_view shape;  ///< of one row: "28 x 28"
  std::string_view source;
  std::string_view licence;
  TrainTest (*load)(const std::string& folder);
};
std::span<const NamedDataset> registry();
/// The data set of that name, with default sizes. Throws ArgumentError for an unknown name.
TrainTest named(std::string_view name, const std::string& folder = "");

}  // namespace data
}  // namespace soma
