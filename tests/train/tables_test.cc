// Tables end to end: what the first and last layers measure, weights of rows, and models that take
// the rows people have.
#include <gmock/gmock.h>

#include <cmath>

#include "soma/model.h"
#include "soma/preprocess.h"
#include "soma/train.h"
#include "tests/expect_error.h"
#include "tests/temporary_folder.h"

namespace soma {
namespace {

using testing::HasSubstr;

/// price = 1000 area + 20000 for a garden, with a town that does not matter; some are missing.
std::string houses(int rows) {
  std::string text = "area,garden,town,price\n";
  for (int i = 0; i < rows; ++i) {
    const int area = 50 + i * 37 % 101;
    const bool garden = i % 3 == 0;
    text += (i % 20 == 7 ? "NA" : std::to_string(area)) + (garden ? ",yes," : ",no,") +
            (i % 7 < 3 ? "Ulm," : "Bonn,") + std::to_string(300000 + 1000 * area + 20000 * garden) +
            "\n";
  }
  return text;
}

TEST(Preprocess, MeasuresTheTrainingRows) {
  TemporaryFolder folder;
  const Dataset train = data::load_csv(folder.write("houses.csv", houses(100)));
  const std::string text = encode_inputs(train).text();
  EXPECT_THAT(text, HasSubstr("number(mean=9"));
  EXPECT_THAT(text, HasSubstr("missing=true"));
  EXPECT_THAT(text, HasSubstr("one_hot(categories=2)"));
  const auto [mean, deviation] = measure_targets(train);
  EXPECT_NEAR(mean, 406000, 3000);
  EXPECT_NEAR(deviation, 30500, 2000);
  const Network net{input({3}), encode_inputs(train)};
  const Tensor encoded = net.predict(train.inputs);
  double sum = 0, squares = 0;
  for (int64_t i = 0; i < 100; ++i) {
    sum += encoded.at(i * 5);
    squares += encoded.at(i * 5) * encoded.at(i * 5);
  }
  EXPECT_NEAR(sum, 0, 1e-2);
  EXPECT_NEAR(squares, 95, 1e-2) << "the five that are missing are at the mean";
  EXPECT_ERROR(ArgumentError, decode_targets(data::iris()), "classes");
  EXPECT_ERROR(ShapeError, encode_inputs(data::named("sunspots").train), "no table");
}

TEST(Preprocess, BalancesClasses) {
  Dataset d = data::iris().subset(0, 75);  // 50 and 25, and none
  EXPECT_THAT(balanced_class_weights(d), testing::ElementsAre(0.5, 1, 0));
}

TEST(Tables, LearnPricesInTheirUnits) {
  TemporaryFolder folder;
  const std::string path = folder.write("houses.csv", houses(400));
  const Schema schema = data::read_schema(path);
  const double fractions[] = {0.8, 0.2};
  const auto parts = data::load_csv(path, schema, fractions, 1);
  const Dataset& train = parts[0];
  // Steps of the same size as for targets of deviation 1, whatever the optimizer.
  for (const Optimizer& optimizer : {adam(0.01), sgd(0.05)}) {
    Network net{input(train.input_shape()), encode_inputs(train), dense(16, tanh), dense(1),
                decode_targets(train)};
    const double deviation = measure_targets(train).deviation;
    const History history = fit(net, train,
                                {.optimizer = optimizer,
                                 .epochs = 60,
                                 .batch = 16,
                                 .validation = &parts[1],
                                 .seed = 2,
                                 .loss_weight = 1 / (deviation * deviation)});
    const Evaluation result = evaluate(net, parts[1], mean_squared_error());
    EXPECT_GT(result["r2"], 0.9);
    EXPECT_NEAR(history.epochs.back().loss / result.loss, 1, 0.9) << "both in squared units";

    const std::string model = folder / "model.soma";
    save(net, model, {.table = schema});
    const Model read = load_model(model);
    EXPECT_EQ(read.info.table, schema);
    data::CsvRows rows(std::string_view("town,garden,area\nUlm,yes,100\nRom,no,?\n"), "new",
                       read.info.table);
    std::vector<float> row(3);
    ASSERT_TRUE(rows.next(row));
    EXPECT_NEAR(read.network.predict(Tensor::of({1, 3}, row)).at(0), 420000, 10000);
    ASSERT_TRUE(rows.next(row));
    EXPECT_NEAR(read.network.predict(Tensor::of({1, 3}, row)).at(0), 400000, 25000);
  }
}

TEST(Tables, WeightsCountRows) {
  // A row with the weight 2 counts as two rows.
  Dataset twice = data::two_moons(40);
  Dataset weighted = twice;
  std::vector<int64_t> rows;
  for (int64_t i = 0; i < 40; ++i) rows.insert(rows.end(), i < 10 ? 2u : 1u, i);
  twice = twice.rows(rows);
  weighted.weights = Tensor({40});
  for (int64_t i = 0; i < 40; ++i) weighted.weights.set(i, i < 10 ? 2 : 1);
  Network a{input({2}), dense(4, tanh), dense(2)};
  a.initialize(1);
  Network b = a;
  EXPECT_NEAR(evaluate(a, twice, cross_entropy()).loss, evaluate(b, weighted, cross_entropy()).loss,
              1e-5);
  fit(a, twice, {.loss = cross_entropy(), .optimizer = sgd(0.1), .epochs = 5, .batch = 1000});
  fit(b, weighted, {.loss = cross_entropy(), .optimizer = sgd(0.1), .epochs = 5, .batch = 1000});
  for (const auto& [name, tensor] : a.tensors()) {
    for (int64_t i = 0; i < tensor.elements(); ++i) {
      EXPECT_NEAR(tensor.at(i), b.tensors().at(name).at(i), 1e-5) << name;
    }
  }
  weighted.weights = Tensor({3});
  EXPECT_ERROR(ShapeError, evaluate(b, weighted, cross_entropy()), "weights", "40 rows");
}

TEST(Tables, PenguinsAreToldApart) {
  const double fractions[] = {0.8, 0.2};
  const auto parts = data::stratified_split(data::penguins(), fractions, 1);
  const Dataset& train = parts[0];
  Network net{input(train.input_shape()), encode_inputs(train), dense(16, relu), dense(3)};
  fit(net, train,
      {.loss = cross_entropy(), .optimizer = adam(0.01), .epochs = 30, .batch = 16, .seed = 1});
  EXPECT_GT(evaluate(net, parts[1], cross_entropy())["accuracy"], 0.97);
}

}  // namespace
}  // namespace soma
