// Files of named arrays: safetensors containers, which hold the weights of a model, and npy files.
#pragma once

#include <map>
#include <string>

#include "soma/tensor.h"

namespace soma {

/// Named tensors, and text about them.
struct Container {
  std::map<std::string, Tensor> tensors;
  std::map<std::string, std::string> metadata;
};

/// Reads a safetensors file (https://github.com/huggingface/safetensors). F16 and BF16 become f32;
/// F32, F64, I32, I64, U8 and BOOL stay what they are. Reading executes nothing. Throws FileError,
/// naming the tensor, for other element types and for anything malformed: a header that is not
/// strict JSON, duplicates, data that overlaps, has holes, or does not fill the file exactly.
Container read_safetensors(const std::string& path);

/// Writes a safetensors file, atomically. The same container gives the same bytes. Throws
/// ArgumentError for names that are not UTF-8 and FileError when the file cannot be written.
void write_safetensors(const std::string& path, const Container& container);

/// Reads an array from NumPy's npy format, versions 1 to 3, of either byte and axis order. f2
/// becomes f32; i1, i2 and u2 become i32; u4 becomes i64. Throws FileError for other types and
/// anything malformed.
Tensor read_npy(const std::string& path);

/// Writes an npy file of version 1.0, atomically.
void write_npy(const std::string& path, const Tensor& tensor);

}  // namespace soma
