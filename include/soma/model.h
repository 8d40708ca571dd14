// Model files: a network with its weights and all that is needed to use it.
//
// A model file is a safetensors container, whose weights any tool can read. Its metadata holds the
// network as text, its computational graph (for one sample) as text, and what belongs to the model
// beside the weights: class names, the scale of the inputs, where it was trained on. Loading
// executes nothing, and checks everything against the text before it is used.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "soma/graph.h"
#include "soma/network.h"
#include "soma/table.h"

namespace soma {

/// What belongs to a model beside its network. All of it is optional.
struct ModelInfo {
  std::vector<std::string> class_names = {};  ///< By label.
  /// What the columns of a table are: data::load_csv() and CsvRows read the rows of a file by it.
  Schema table = {};
  /// A network sees raw · input_scale + input_shift.
  double input_scale = 1, input_shift = 0;
  std::string dataset = {};
  std::string loss = {};      ///< "cross_entropy": reads back with loss_named().
  std::string training = {};  ///< How it was trained: a command, options, results.
  std::map<std::string, std::string> notes = {};  ///< Anything else, by a name of the user's.
  friend bool operator==(const ModelInfo&, const ModelInfo&) = default;
};

struct Model {
  Network network;
  ModelInfo info;
};

/// Writes a model file, completely or not at all; an older file is replaced. The same model gives
/// the same bytes. Throws FileError.
void save(const Network& network, const std::string& path, const ModelInfo& info = {});

/// Reads a model file. Throws FileError, saying what is wrong and where, for a file that cannot be
/// read, is no model, was damaged, or whose arrays do not fit its network.
Model load_model(const std::string& path);
/// The network alone.
Network load(const std::string& path);

/// The program of a model: the graph from "input" [1, …] to "output" and its arrays. It runs (bind
/// the tensors to a compiled plan) also where the network's own layer kinds are unknown.
struct ModelProgram {
  Graph graph;
  Tensors tensors;
  ModelInfo info;
};
ModelProgram load_program(const std::string& path);

/// SHA-256 over names, types, shapes and bytes of all tensors in the order of their names: equal
/// for equal weights, 64 hexadecimal digits.
std::string weights_sha256(const Tensors& tensors);
std::string weights_sha256(const Network& network);

}  // namespace soma
