// Images and texts through the program: train, evaluate, predict, generate.
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>

#include "soma/data.h"
#include "src/base/philox.h"
#include "tests/cli/program.h"

#ifdef SOMA_IMAGES
#include <png.h>
#endif

namespace soma {
namespace {

namespace fs = std::filesystem;

const std::string files = SOMA_SOURCE_DIR "/tests/data/images/";

nlohmann::json last_line(const Finished& run) {
  EXPECT_EQ(run.code, 0) << run.err;
  return run.json().empty() ? nlohmann::json::object() : run.json().back();
}

#ifdef SOMA_IMAGES

void write_png(const std::string& path, int64_t height, int64_t width, int channels,
               const std::vector<uint8_t>& pixels) {
  fs::create_directories(fs::path(path).parent_path());
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  image.height = static_cast<uint32_t>(height);
  image.width = static_cast<uint32_t>(width);
  image.format = channels == 1 ? PNG_FORMAT_GRAY : PNG_FORMAT_RGB;
  ASSERT_TRUE(png_image_write_to_file(&image, path.c_str(), 0, pixels.data(), 0, nullptr)) << path;
}

/// Fashion-MNIST's first images as PNG files, in folders named by their classes.
void write_fashion(const Dataset& part, const std::string& folder) {
  const auto pixels = part.inputs.data<uint8_t>();
  for (int64_t i = 0; i < part.size(); ++i) {
    std::string name = part.class_names[static_cast<size_t>(part.targets.at(i))];
    std::ranges::replace(name, '/', '-');
    const auto row = pixels.subspan(static_cast<size_t>(i * 784), 784);
    write_png(folder + "/" + name + "/" + std::to_string(i) + ".png", 28, 28, 1,
              {row.begin(), row.end()});
  }
}

TEST(Images, OfFashionMnistLearnAsFromItsOwnFiles) {
  const bool here = fs::exists("/usr/share/datasets/fashion-mnist") || std::getenv("SOMA_DATA");
  if (!here) GTEST_SKIP() << "dataset-fashion-mnist is not installed";
  const TemporaryFolder folder;
  const auto [train, test] = data::fashion_mnist();
  write_fashion(train.subset(0, 1500), folder / "clothes/train");
  write_fashion(test.subset(0, 300), folder / "clothes/test");
  const std::string clothes = folder / "clothes", out = folder / "run", model = out + "/model.soma";
  const auto done = last_line(soma_run({"train", clothes, "--net", "64 relu, classes", "--epochs",
                                        "6", "--out", out, "--seed", "1", "--json"}));
  EXPECT_GT(done["test_accuracy"], 0.72);

  const auto evaluated = last_line(soma_run({"evaluate", model, clothes, "--json"}));
  EXPECT_EQ(evaluated["rows"], 300);
  EXPECT_EQ(evaluated["accuracy"], done["test_accuracy"]);

  // Files by name, each answered for itself; and most rightly.
  std::vector<std::string> command{"predict", model, "--json"};
  for (const auto& entry : fs::directory_iterator(folder / "clothes/test/trouser")) {
    command.push_back(entry.path());
  }
  const Finished predicted = soma_run(command);
  ASSERT_EQ(predicted.code, 0) << predicted.err;
  size_t right = 0;
  for (const auto& line : predicted.json()) {
    EXPECT_EQ(line["file"], command[3 + line["row"].get<size_t>()]);
    right += line["name"] == "trouser";
  }
  EXPECT_EQ(predicted.json().size(), command.size() - 3);
  EXPECT_GT(right, (command.size() - 3) / 2);
  EXPECT_NE(soma_run({"predict", model, command[3]}).out.find(command[3]), std::string::npos);
}

/// Noise of a colour, in frames of several sizes.
void write_colours(const std::string& folder) {
  Random random(1);
  for (int i = 0; i < 60; ++i) {
    const int64_t height = 9 + i % 5, width = 8 + i % 7;
    const bool red = i % 2;
    std::vector<uint8_t> pixels;
    for (int64_t p = 0; p < height * width; ++p) {
      for (int c = 0; c < 3; ++c) {
        const bool strong = c == (red ? 0 : 2);
        pixels.push_back(static_cast<uint8_t>(random.below(120) + (strong ? 100 : 60)));
      }
    }
    write_png(folder + (red ? "/red/" : "/blue/") + std::to_string(i) + ".png", height, width, 3,
              pixels);
  }
}

TEST(Images, InColourAreScaledWithinTheModel) {
  const TemporaryFolder folder;
  const std::string colours = folder / "colours", out = folder / "run", model = out + "/model.soma";
  write_colours(colours);
  const Finished train = soma_run(
      {"train", colours, "--epochs", "8", "--out", out, "--augment", "flip + crop(1)", "--json"});
  EXPECT_EQ(last_line(train)["test_accuracy"], 1);
  const std::string net = train.json()[0]["net"];
  EXPECT_EQ(net.rfind("input 3x10x10, rescaling", 0), 0u) << net;
  const auto red = last_line(soma_run({"predict", model, colours + "/red/1.png", "--json"}));
  EXPECT_EQ(red["name"], "red");
  EXPECT_EQ(last_line(soma_run({"evaluate", model, colours, "--json"}))["accuracy"], 1);
  // A JPEG of another size and a grey PNG fit, too.
  const Finished others = soma_run({"predict", model, files + "colour.jpg", files + "grey.png"});
  EXPECT_EQ(others.code, 0) << others.err;
  EXPECT_EQ(others.lines().size(), 2u);
}

TEST(Images, AreChangedAlikeForAnyNumberOfThreads) {
  const TemporaryFolder folder;
  const std::string colours = folder / "colours";
  write_colours(colours);
  const auto digest = [&](const std::string& threads, const std::string& augment) {
    return last_line(
        soma_run({"train", colours, "--net", "conv2d 4 3 relu, classes", "--epochs", "2",
                  "--threads", threads, "--augment", augment, "--json"}))["weights_sha256"];
  };
  const std::string all = "flip + crop(2) + shift + rotate + cutout(3) + mixup";
  const auto one = digest("1", all);
  EXPECT_EQ(one, digest("3", all));
  EXPECT_NE(one, digest("1", "flip"));
}

TEST(Images, ThatAreBadAreRefusedOrLeftOut) {
  const TemporaryFolder folder;
  const std::string colours = folder / "colours";
  write_colours(colours);
  folder.write("colours/red/zz.png", "no image");
  const Finished refused = soma_run({"train", colours, "--epochs", "1"});
  EXPECT_EQ(refused.code, 1);
  EXPECT_NE(refused.err.find("zz.png\" is neither a PNG nor a JPEG"), refused.err.npos)
      << refused.err;
  const Finished left_out = soma_run({"train", colours, "--epochs", "1", "--skip-bad", "--json"});
  EXPECT_EQ(left_out.code, 0) << left_out.err;
  EXPECT_NE(left_out.err.find("left out: the image"), left_out.err.npos) << left_out.err;
  EXPECT_EQ(left_out.json()[0]["rows"], 48);
}

#endif

std::string alphabet_text(int repetitions) {
  std::string text;
  for (int i = 0; i < repetitions; ++i) text += "abcdefghijklmnop.\n";
  return text;
}

TEST(Text, IsLearnedAndGoneOnWith) {
  const TemporaryFolder folder;
  const std::string text = folder.write("book.txt", alphabet_text(150));
  for (const std::string tokenizer : {"characters", "bytes", "bpe(size=262)", "words"}) {
    SCOPED_TRACE(tokenizer);
    const std::string out = folder / tokenizer.substr(0, 3), model = out + "/model.soma";
    const Finished train = soma_run(
        {"train", text, "--tokenizer", tokenizer, "--context", "16", "--net",
         "embedding vocabulary 16 name=e, lstm 48 returns=all, dense(vocabulary per_step=true)",
         "--epochs", tokenizer == "words" ? "60" : "12", "--lr", "0.02", "--batch", "8", "--out",
         out, "--json"});
    ASSERT_EQ(train.code, 0) << train.err;
    const Finished evaluated = soma_run({"evaluate", model, text, "--json"});
    EXPECT_GT(last_line(evaluated)["accuracy"], 0.9);
    const Finished written =
        soma_run({"generate", model, "--prompt", "abc", "--length", "6", "--temperature", "0"});
    ASSERT_EQ(written.code, 0) << written.err;
    // The pieces of words and byte pairs do not end where the prompt does.
    const bool goes_on = tokenizer == "characters" || tokenizer == "bytes";
    const std::string wanted = goes_on ? "abcdefghi" : "abc";
    EXPECT_EQ(written.out.rfind(wanted, 0), 0u) << written.out;
  }
}

TEST(Text, IsGeneratedAsTheSeedSays) {
  const TemporaryFolder folder;
  const std::string text = folder.write("book.txt", alphabet_text(60) + "é€ " + alphabet_text(20));
  const std::string model = folder / "run/model.soma";
  const Finished train = soma_run({"train", text, "--net",
                                   "embedding vocabulary 8 name=e, decoder 2 positions=rotary "
                                   "context=context, layer_norm, unembedding vocabulary share=e",
                                   "--context", "12", "--epochs", "1", "--out", folder / "run"});
  ASSERT_EQ(train.code, 0) << train.err;
  const auto write = [&](std::vector<std::string> more) {
    std::vector<std::string> command{"generate", model, "--length", "40"};
    command.insert(command.end(), more.begin(), more.end());
    const Finished run = soma_run(command);
    EXPECT_EQ(run.code, 0) << run.err;
    return run.out;
  };
  EXPECT_EQ(write({"--seed", "1"}), write({"--seed", "1"}));
  EXPECT_NE(write({"--seed", "1"}), write({"--seed", "2"}));
  EXPECT_EQ(write({"--top-k", "1"}), write({"--temperature", "0"}));
  EXPECT_EQ(write({"--top-p", "0.9", "--min-p", "0.01", "--prompt", "\xff€z"}).rfind("\xff€z", 0),
            0u);
  const auto json =
      last_line(soma_run({"generate", model, "--length", "5", "--prompt", "ab", "--json"}));
  EXPECT_EQ(json["tokens"], 5);
  EXPECT_EQ(json["text"].get<std::string>().rfind("ab", 0), 0u);
}

TEST(Text, OfLinesIsToldApart) {
  const TemporaryFolder folder;
  Random random(1);
  const std::vector<std::string> good{"meet", "lunch", "report", "tomorrow", "thanks", "team"};
  const std::vector<std::string> bad{"free", "prize", "winner", "cash", "click", "offer"};
  std::string table = "kind\tmessage\n";
  for (int i = 0; i < 240; ++i) {
    table += i % 2 ? "spam\t" : "ham\t";
    for (int word = 0; word < 4; ++word) {
      const auto& own = random.below(4) ? (i % 2 ? bad : good) : (i % 2 ? good : bad);
      table += own[random.below(own.size())] + (word == 1 ? ", the " : " ");
    }
    table += "\n";
  }
  const std::string mails = folder.write("mails.tsv", table), model = folder / "run/model.soma";
  const auto done =
      last_line(soma_run({"train", mails, "--text", "message", "--target", "kind", "--epochs", "30",
                          "--lr", "0.01", "--out", folder / "run", "--json"}));
  EXPECT_GT(done["test_accuracy"], 0.8);
  const auto evaluated = last_line(soma_run({"evaluate", model, mails, "--json"}));
  EXPECT_GT(evaluated["accuracy"], 0.85);
  const Finished answers =
      soma_run({"predict", model, "--json"},
               "Free cash! Click, winner\nlunch with the team tomorrow\n\n\xff\n");
  ASSERT_EQ(answers.code, 0) << answers.err;
  ASSERT_EQ(answers.json().size(), 4u);
  EXPECT_EQ(answers.json()[0]["name"], "spam");
  EXPECT_EQ(answers.json()[1]["name"], "ham");
  const Finished file =
      soma_run({"predict", model, folder.write("new.txt", "free prize\n"), "--json"});
  EXPECT_EQ(last_line(file)["name"], "spam");
}

TEST(Text, OfFoldersIsToldApart) {
  const TemporaryFolder folder;
  for (int i = 0; i < 40; ++i) {
    const std::string name = i % 2 ? "texts/sea/" : "texts/land/";
    fs::create_directories(folder / name);
    folder.write(name + std::to_string(i),
                 i % 2 ? "the ship sails the waves" : "the horse eats the grass");
  }
  const auto done = last_line(soma_run({"train", folder / "texts", "--epochs", "30", "--lr", "0.02",
                                        "--out", folder / "run", "--json"}));
  EXPECT_EQ(done["test_accuracy"], 1);
  EXPECT_EQ(last_line(soma_run({"predict", folder / "run/model.soma", "--json"},
                               "waves and ship\n"))["name"],
            "sea");
}

/// A trend, a season of 12 and noise; a column that tells the next step; and one that is constant.
std::string series_table() {
  Random random(1);
  std::string table = "load,hint,constant\n";
  std::vector<double> load;
  for (int t = 0; t < 401; ++t) {
    load.push_back(100 + 0.1 * t + 20 * std::sin(t * 2 * 3.14159265 / 12) + 4 * random.normal());
  }
  for (size_t t = 0; t < 400; ++t) {
    table += std::to_string(load[t]) + "," + std::to_string(load[t + 1] - 100) + ",7\n";
  }
  return table;
}

TEST(Series, AreForecastBetterThanTheSeasonBefore) {
  const TemporaryFolder folder;
  const std::string table = folder.write("load.csv", series_table());
  const std::string model = folder / "run/model.soma";
  const std::vector<std::string> command{
      "train", table,       "--series",     "--target",     "load", "--window",
      "24",    "--horizon", "12",           "--season",     "12",   "--epochs",
      "40",    "--out",     folder / "run", "--validation", "0.1"};
  std::vector<std::string> as_json = command;
  as_json.push_back("--json");
  const Finished train = soma_run(as_json);
  const auto done = last_line(train);
  // 400 - 35 windows: the last fifth to test, 11 between; then a tenth to validate, 11 between.
  EXPECT_EQ(train.json()[0]["test_rows"], 73);
  EXPECT_EQ(train.json()[0]["validation_rows"], 28);
  EXPECT_EQ(train.json()[0]["rows"], 365 - 73 - 11 - 28 - 11);
  EXPECT_LT(done["test_mae"].get<double>(), 0.9 * done["naive_mae"].get<double>());
  // The same forecast, made here: each step as the one 12 before.
  std::vector<double> load;
  std::istringstream lines(series_table());
  for (std::string line; std::getline(lines, line);) {
    if (line[0] != 'l') load.push_back(std::stod(line));
  }
  double naive = 0;
  for (size_t row = 365 - 73; row < 365; ++row) {
    for (size_t ahead = 24; ahead < 36; ++ahead) {
      naive += std::abs(load[row + ahead] - load[row + ahead - 12]) / (73 * 12);
    }
  }
  EXPECT_NEAR(done["naive_mae"], naive, 1e-3);
  const std::string page = content_of(folder / "run/report.html");
  EXPECT_NE(page.find("Worst forecasts"), page.npos);
  EXPECT_NE(page.find("Answers and targets, step 2"), page.npos);
  EXPECT_NE(soma_run(command).out.find("12 steps ahead"), std::string::npos);
  EXPECT_NE(soma_run({"evaluate", model, table}).out.find("seasonal naive"), std::string::npos);

  // Columns are found by name; the next twelve months follow from the last window.
  std::string swapped = "hint,load,constant\n";
  std::istringstream again(series_table());
  for (std::string line; std::getline(again, line);) {
    const size_t comma = line.find(','), second = line.rfind(',');
    if (line[0] != 'l') {
      swapped += line.substr(comma + 1, second - comma - 1) + "," + line.substr(0, comma) + ",7\n";
    }
  }
  const auto forecast = last_line(soma_run({"predict", model, table, "--json"}));
  EXPECT_EQ(forecast,
            last_line(soma_run({"predict", model, folder.write("s.csv", swapped), "--json"})));
  ASSERT_EQ(forecast["outputs"].size(), 12u);
  for (size_t i = 0; i < 12; ++i) {
    const double t = 400.0 + static_cast<double>(i);
    EXPECT_NEAR(forecast["outputs"][i], 100 + 0.1 * t + 20 * std::sin(t * 2 * 3.14159265 / 12), 20);
  }
  const Finished short_one =
      soma_run({"predict", model, folder.write("n.csv", "load,hint,constant\n1,2,3\n1,2,4\n")});
  EXPECT_EQ(short_one.code, 1);
  EXPECT_NE(short_one.err.find("2 steps; the model looks back 24"), std::string::npos)
      << short_one.err;
  const Finished other =
      soma_run({"predict", model, folder.write("o.csv", "load,hit,constant\n1,2,3\n1,2,4\n")});
  EXPECT_NE(other.err.find("no column \"hint\"; did you mean \"hit\"?"), std::string::npos)
      << other.err;
}

struct Case {
  std::string name;
  std::vector<std::string> arguments;
  int code;
  std::vector<std::string> facts;
};

TEST(Media, BadInputGivesASentence) {
  const TemporaryFolder folder;
  const std::string text = folder.write("book.txt", alphabet_text(20)), none = folder / "none";
  const std::string table = folder.write("mails.csv", "text,kind\nhello,a\nyou,b\n");
  folder.write("short.txt", "abc");
  folder.write("series.csv", "a,c\n1,2\n2,3\n3,5\n1,2\n");
  folder.write("empty.txt", "");
  fs::create_directories(folder / "flat/one");
  folder.write("flat/one/a.png", "x");
  fs::create_directories(folder / "bad/one");
  fs::create_directories(folder / "bad/two");
  folder.write("bad/one/a.png", "x");
  folder.write("bad/two/a.png", "x");
  ASSERT_EQ(soma_run({"train", text, "--context", "8", "--epochs", "1", "--net",
                      "embedding vocabulary 4, rnn 4 returns=all, dense(vocabulary per_step=true)",
                      "--out", folder / "text"})
                .code,
            0);
  ASSERT_EQ(soma_run({"train", "iris", "--epochs", "1", "--out", folder / "iris"}).code, 0);
  const std::string writer = folder / "text/model.soma", iris = folder / "iris/model.soma";
  const std::vector<Case> cases = {
      {"folder without classes", {"train", folder / "flat"}, 1, {"1 folder", "two classes"}},
      {"folder of noise", {"train", folder / "bad"}, 1, {"bad/one/a.png"}},
      {"size", {"train", folder / "bad", "--size", "2x3x4"}, 2, {"--size", "2x3x4"}},
      {"size of zero", {"train", folder / "bad", "--size", "0"}, 2, {"--size", "\"0\""}},
      {"channels", {"train", folder / "bad", "--channels", "2"}, 1, {"1 channel", "not 2"}},
      {"short text", {"train", folder / "short.txt"}, 1, {"4 tokens", "longer text"}},
      {"empty text", {"train", folder / "empty.txt"}, 1, {"empty.txt", "is empty"}},
      {"missing text", {"train", none + ".txt"}, 1, {"none.txt"}},
      {"tokenizer", {"train", text, "--tokenizer", "letters"}, 2, {"--tokenizer", "letters"}},
      {"tokenizer size", {"train", text, "--tokenizer", "bpe(5)"}, 2, {"--tokenizer", "5"}},
      {"text without target", {"train", table, "--text", "text"}, 2, {"--text needs --target"}},
      {"text column", {"train", table, "--text", "txt", "--target", "kind"}, 1, {"txt", "text"}},
      {"augmentation",
       {"train", "fashion-mnist", "--augment", "flop"},
       2,
       {"--augment", "flop", "flip"}},
      {"augmentation of a table", {"train", "iris", "--augment", "flip"}, 1, {"flip", "images"}},
      {"augmentation of text", {"train", text, "--augment", "mixup"}, 1, {"mixup"}},
      {"series without such a column",
       {"train", folder / "series.csv", "--series", "--target", "b"},
       1,
       {"\"b\"", "a"}},
      {"short series",
       {"train", folder / "series.csv", "--series", "--window", "5"},
       1,
       {"series.csv", "4 steps", "windows of 5"}},
      {"long season",
       {"train", folder / "series.csv", "--series", "--window", "2", "--season", "3"},
       2,
       {"--season 3", "--window 2"}},
      {"generate without text", {"generate", iris}, 1, {"no text", "train"}},
      {"generate without model", {"generate"}, 2, {"model"}},
      {"temperature", {"generate", writer, "--temperature", "-1"}, 2, {"--temperature", "-1"}},
      {"top-p", {"generate", writer, "--top-p", "1.5"}, 2, {"--top-p", "1.5"}},
      {"top-p of zero", {"generate", writer, "--top-p", "0"}, 1, {"top_p"}},
      {"predict by a writer", {"predict", writer}, 1, {"soma generate"}},
      {"images for a table", {"predict", iris, files + "grey.png"}, 1, {"[4]", "no images"}},
      {"two files of rows", {"predict", iris, "a.csv", "b.csv"}, 2, {"b.csv"}},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    const Finished run = soma_run(c.arguments);
    EXPECT_EQ(run.code, c.code) << run.err;
    for (const auto& fact : c.facts) EXPECT_NE(run.err.find(fact), run.err.npos) << run.err;
  }
}

}  // namespace
}  // namespace soma
