// Model files: what is saved is loaded, bit for bit; whatever is malformed is refused.
#include "soma/model.h"

#include <gmock/gmock.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <functional>

#include "soma/error.h"
#include "soma/io.h"

namespace soma {
namespace {

using ::testing::HasSubstr;
namespace fs = std::filesystem;

class ModelFile : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "soma-model-XXXXXX").string();
    folder_ = mkdtemp(pattern.data());
  }
  void TearDown() override { fs::remove_all(folder_); }
  std::string path(const std::string& name = "m.soma") const { return (folder_ / name).string(); }

  static Network network() {
    Network net{input({2, 2}), dense({relu, prelu("learned"), tanh}).named("h"),
                dense(2).from({"h", "input"}), activation(softmax)};
    net.initialize(3);
    net.freeze("h", 1);
    return net;
  }

  /// What loading says after the container was changed; the digest is made to fit again.
  std::string said_after(const std::function<void(Container&)>& change, bool fix_digest = true) {
    save(network(), path());
    Container file = read_safetensors(path());
    change(file);
    if (fix_digest) {
      Tensors tensors;
      for (const auto& [name, tensor] : file.tensors) tensors.emplace(name, tensor);
      file.metadata["weights_sha256"] = weights_sha256(tensors);
    }
    write_safetensors(path("bad.soma"), file);
    return said(path("bad.soma"));
  }
  static std::string said(const std::string& file) {
    try {
      load_model(file);
    } catch (const FileError& error) {
      EXPECT_THAT(error.what(), HasSubstr(file));
      return error.what();
    } catch (const std::exception& error) {
      return std::string("another exception: ") + error.what();
    }
    return "no exception";
  }
  std::string bytes(const std::string& file) const {
    std::ifstream in(file, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }

  fs::path folder_;
};

TEST_F(ModelFile, WhatIsSavedIsLoaded) {
  const Network net = network();
  ModelInfo info;
  info.class_names = {"cat", "dög"};
  info.input_scale = 1.0 / 255;
  info.table.delimiter = ';';
  info.table.missing = {"NA"};
  info.table.columns = {{.name = "size", .missing = 3, .least = -1.5},
                        {.name = "c", .note = "why", .date = "y-m-d"},
                        {.name = "kind",
                         .kind = ColumnKind::category,
                         .use = ColumnUse::target,
                         .categories = {"a", "b"},
                         .counts = {3, 4}}};
  info.dataset = "pets";
  info.loss = "cross_entropy";
  info.training = "soma train pets --epochs 3";
  info.notes = {{"author", "me"}};
  save(net, path(), info);
  const Model model = load_model(path());
  EXPECT_EQ(model.network, net);
  EXPECT_EQ(model.network.text(), net.text());
  EXPECT_EQ(model.network.masks(), net.masks());
  EXPECT_EQ(model.info, info);
  EXPECT_FALSE(model.network.fresh());
  EXPECT_EQ(load(path()), net);
}

TEST_F(ModelFile, TheSameModelGivesTheSameBytes) {
  save(network(), path("a"));
  save(load(path("a")), path("b"));
  EXPECT_EQ(bytes(path("a")), bytes(path("b")));
}

TEST_F(ModelFile, StrangeWeightsKeepTheirBits) {
  Network net{input({4}), dense(1)};
  net.tensors().at("output/weights") =
      Tensor::of(Shape{4, 1}, {-0.0f, 1e-45f, std::numeric_limits<float>::quiet_NaN(), INFINITY});
  save(net, path());
  EXPECT_EQ(load(path()).tensors(), net.tensors());
}

TEST_F(ModelFile, HoldsAProgramThatRunsWithoutTheNetwork) {
  const Network net = network();
  save(net, path());
  ModelProgram program = load_program(path());
  Plan plan = compile(program.graph, Device::reference());
  plan.bind(program.tensors);
  Tensor sample = Tensor::of(Shape{1, 2, 2}, {1, -2, 3, 0.5f});
  plan.bind("input", sample);
  plan.run();
  const Tensor wanted = net.predict(sample, Device::reference());
  EXPECT_EQ(plan.output("output").copy(), wanted);
}

TEST_F(ModelFile, DigestDependsOnNamesShapesAndBits) {
  Network net{input({2}), dense(2)};
  const std::string before = weights_sha256(net);
  EXPECT_EQ(before.size(), 64u);
  EXPECT_EQ(weights_sha256(Network(net)), before);
  net.neuron("output", 0).set_bias(1e-45f);
  EXPECT_NE(weights_sha256(net), before);
  EXPECT_NE(weights_sha256(Tensors{{"a", Tensor(Shape{2, 3})}}),
            weights_sha256(Tensors{{"a", Tensor(Shape{3, 2})}}));
  EXPECT_NE(weights_sha256(Tensors{{"a", Tensor(Shape{2})}}),
            weights_sha256(Tensors{{"b", Tensor(Shape{2})}}));
}

TEST_F(ModelFile, RefusesNonsenseAsInformation) {
  ModelInfo info;
  info.dataset = "\xff\xfe";
  EXPECT_THROW(save(network(), path(), info), ArgumentError);
  EXPECT_FALSE(fs::exists(path()));
}

// ---- malformed files

TEST_F(ModelFile, MissingMetadata) {
  for (const char* key : {"format", "version", "network", "graph", "info"}) {
    EXPECT_THAT(said_after([&](Container& f) { f.metadata.erase(key); }),
                AllOf(HasSubstr("no Soma model"), HasSubstr(key)));
  }
  EXPECT_THAT(said_after([](Container& f) { f.metadata.erase("weights_sha256"); }, false),
              HasSubstr("weights_sha256"));
}

TEST_F(ModelFile, OtherFormatsAndVersions) {
  EXPECT_THAT(said_after([](Container& f) { f.metadata["format"] = "pt"; }),
              HasSubstr("its format is \"pt\""));
  EXPECT_THAT(said_after([](Container& f) { f.metadata["version"] = "99"; }),
              HasSubstr("version 99"));
}

TEST_F(ModelFile, TensorsThatDoNotFit) {
  EXPECT_THAT(said_after([](Container& f) { f.tensors.erase("h/bias"); }),
              HasSubstr("\"h/bias\" f32[3] is missing"));
  EXPECT_THAT(said_after([](Container& f) { f.tensors.emplace("h/extra", Tensor(Shape{1})); }),
              HasSubstr("no tensor \"h/extra\""));
  EXPECT_THAT(said_after([](Container& f) { f.tensors.at("h/bias") = Tensor(Shape{4}); }),
              HasSubstr("f32[4], but the network needs f32[3]"));
  EXPECT_THAT(said_after([](Container& f) { f.tensors.at("h/bias") = Tensor(Shape{3}, f64); }),
              HasSubstr("f64[3]"));
  EXPECT_THAT(said_after([](Container& f) {
                f.tensors.at("h/weights") = f.tensors.at("h/weights").reshaped({3, 4});
              }),
              HasSubstr("h/weights"));
  EXPECT_THAT(said_after([](Container& f) { f.tensors.clear(); }), HasSubstr("missing"));
}

TEST_F(ModelFile, DamagedWeights) {
  EXPECT_THAT(said_after([](Container& f) { f.tensors.at("h/bias").set(0, 123); }, false),
              HasSubstr("SHA-256"));
}

TEST_F(ModelFile, HostileNetworkText) {
  const auto with = [&](std::string text) {
    return said_after([&](Container& f) { f.metadata["network"] = text; });
  };
  EXPECT_THAT(with(""), HasSubstr("empty"));
  EXPECT_THAT(with("128 relu, 10"), HasSubstr("what a sample looks like"));
  EXPECT_THAT(with("input 2x2"), HasSubstr("no tensor"));
  EXPECT_THAT(with("input 2x2, 1000000000000 relu"), HasSubstr("no memory"));
  EXPECT_THAT(with("input 2x2, 100000000000 relu"), HasSubstr("but the network needs"));
  EXPECT_THAT(with("input 9223372036854775807x9223372036854775807, 2"), HasSubstr("input"));
  EXPECT_THAT(with("input 2x2, 3 relu from=nowhere"), HasSubstr("nowhere"));
  EXPECT_THAT(with("input 2x2, 3 relu name=a from=a"), HasSubstr("not linked to each other"));
  EXPECT_THAT(with("input 2x2, 3 system('ls')"), HasSubstr("layer 2"));
  EXPECT_THAT(with("input 2x2, 3 name=../../etc"), HasSubstr("no name"));
  EXPECT_THAT(with("input 2x2, [relu*99999999]"), HasSubstr("'*'"));
  EXPECT_THAT(with("input 2x2, 3 frozen=77"), HasSubstr("77"));
  EXPECT_THAT(with(std::string(100'000, '(')), HasSubstr("layer 1"));
  EXPECT_THAT(with("input 2x2" + std::string(2'000'000, ',') + "3"), HasSubstr("at most"));
  std::string many = "input 2x2";
  for (int i = 0; i < 20'000; ++i) many += ",1";
  EXPECT_THAT(with(many), HasSubstr("at most 10000"));
  EXPECT_THAT(with(std::string("input 2x2, 3\0relu", 17)), HasSubstr("layer 2"));
}

TEST_F(ModelFile, HostileGraphText) {
  const auto with = [&](std::string text) {
    return said_after([&](Container& f) { f.metadata["graph"] = text; });
  };
  EXPECT_NE(with(""), "no exception");
  EXPECT_NE(with("not a graph"), "no exception");
  EXPECT_NE(with("%0 = f32[99999999999999999999] input"), "no exception");
  save(Network{input({2, 2}), dense(3)}, path("other"));
  const std::string other = read_safetensors(path("other")).metadata["graph"];
  EXPECT_THAT(with(other), HasSubstr("tensor"));
}

TEST_F(ModelFile, HostileInformation) {
  const auto with = [&](std::string text) {
    return said_after([&](Container& f) { f.metadata["info"] = text; });
  };
  EXPECT_THAT(with("[1]"), HasSubstr("no JSON object"));
  EXPECT_THAT(with("{"), HasSubstr("no JSON object"));
  EXPECT_THAT(with(R"({"class_names": 5})"), HasSubstr("class_names"));
  EXPECT_THAT(with(R"({"input_scale": "x"})"), HasSubstr("input_scale"));
  EXPECT_THAT(with(R"({"virus": 1})"), HasSubstr("not known"));
  EXPECT_THAT(with(R"({"table": {"columns": [{"name": "a"}]}})"), HasSubstr("a sample is [2, 2]"));
  EXPECT_THAT(with(R"({"table": {"columns": [{"kind": "dog"}]}})"), HasSubstr("dog"));
  EXPECT_THAT(with(R"({"table": {"columns": [{"kind": 5}]}})"), HasSubstr("kind"));
  EXPECT_THAT(with(R"({"table": {"delimiter": ""}})"), HasSubstr("one character"));
  EXPECT_THAT(with(R"({"table": 5})"), HasSubstr("JSON object"));
  EXPECT_NE(with(std::string(100'000, '[')), "no exception");
}

TEST_F(ModelFile, TruncatedAtEveryLength) {
  save(Network{input({2}), dense(1)}, path());
  const std::string whole = bytes(path());
  for (size_t length = 0; length < whole.size(); length += 17) {
    std::ofstream(path("cut"), std::ios::binary) << whole.substr(0, length);
    ASSERT_THAT(said(path("cut")), Not(HasSubstr("exception"))) << length;
  }
}

TEST_F(ModelFile, AnyChangedByteIsRefused) {
  save(Network{input({2}), dense(1)}, path());
  const std::string whole = bytes(path());
  const Network original = load(path());
  for (size_t at = 0; at < whole.size(); at += 5) {
    std::string changed = whole;
    changed[at] = static_cast<char>(changed[at] ^ 0x10);
    std::ofstream(path("bad"), std::ios::binary) << changed;
    try {
      // A change of the text may give another valid network of the same arrays, never other arrays.
      const Network net = load(path("bad"));
      ASSERT_EQ(net.tensors(), original.tensors()) << at;
    } catch (const FileError&) {
    }
  }
}

TEST_F(ModelFile, MissingFile) {
  EXPECT_THAT(said(path("nothing")), HasSubstr("nothing"));
  EXPECT_THROW(save(network(), path("no/folder/m.soma")), FileError);
}

}  // namespace
}  // namespace soma
