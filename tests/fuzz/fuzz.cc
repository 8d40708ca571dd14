// What reads bytes from outside must read them or refuse them with an Error, whatever they are.
// Compiled once for each reader (CMakeLists.txt), for libFuzzer
// (https://llvm.org/docs/LibFuzzer.html); scripts/fuzz.sh builds and runs all.
#include <sys/mman.h>
#include <unistd.h>

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "soma/soma.h"

namespace {

using Bytes = std::string_view;

/// The bytes as a file that is never on a disk.
class MemoryFile {
 public:
  explicit MemoryFile(Bytes bytes) : descriptor_(memfd_create("input", 0)) {
    const auto size = static_cast<ssize_t>(bytes.size());
    if (descriptor_ < 0 || ::write(descriptor_, bytes.data(), bytes.size()) != size) std::abort();
  }
  ~MemoryFile() { ::close(descriptor_); }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;
  std::string path() const { return "/proc/self/fd/" + std::to_string(descriptor_); }

 private:
  int descriptor_;
};

void require(bool holds) {
  if (!holds) std::abort();
}

// The first byte chooses among the options.
[[maybe_unused]] void csv(Bytes bytes) {
  if (bytes.empty()) return;
  using namespace soma::data;
  const auto choice = static_cast<unsigned char>(bytes[0]);
  CsvOptions options;
  options.header = static_cast<CsvHeader>(choice % 3);
  options.target_kind = static_cast<CsvTarget>(choice / 3 % 3);
  options.decimal = choice & 64 ? ',' : '.';
  if (choice & 128) options.delimiter = ';';
  const MemoryFile file(bytes.substr(1));
  const soma::Dataset dataset = load_csv(file.path(), options);
  for (const float number : dataset.inputs.data<float>()) require(std::isfinite(number));
}

[[maybe_unused]] void image(Bytes bytes) {
  const MemoryFile file(bytes);
  const soma::Tensor pixels = soma::data::load_image(file.path(), 0, 1 << 22);
  require(pixels.shape().size() == 3);
}

[[maybe_unused]] void idx(Bytes bytes) {
  const MemoryFile file(bytes);
  soma::data::load_idx(file.path(), 1 << 22);
}

[[maybe_unused]] void npy(Bytes bytes) {
  const MemoryFile file(bytes);
  soma::read_npy(file.path());
}

[[maybe_unused]] void safetensors(Bytes bytes) {
  const MemoryFile file(bytes);
  soma::read_safetensors(file.path());
}

[[maybe_unused]] void model(Bytes bytes) {
  const MemoryFile file(bytes);
  soma::load_model(file.path());
}

/// Layers as one types them. Their sizes may ask for more memory than there is: only small ones.
[[maybe_unused]] void network(Bytes bytes) {
  int digits = 0;
  for (const char c : bytes) {
    digits = c >= '0' && c <= '9' ? digits + 1 : 0;
    if (digits > 2) return;
  }
  soma::Network::parse(std::string(bytes));
}

[[maybe_unused]] void tokenizer(Bytes bytes) {
  for (const char* kind : {"bytes", "characters", "words", "bpe(size=300)"}) {
    const auto learned = soma::Tokenizer::learn(kind, bytes);
    const auto tokens = learned.encode(bytes);
    if (std::string_view(kind) != "words") require(learned.decode(tokens) == bytes);
    require(soma::Tokenizer::parse(learned.text()).encode(bytes) == tokens);
  }
}

/// What a model's notes say of its tokenizer.
[[maybe_unused]] void saved_tokenizer(Bytes bytes) { soma::Tokenizer::parse(bytes); }

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    SOMA_READER({reinterpret_cast<const char*>(data), size});
  } catch (const soma::Error& error) {
    require(!std::string_view(error.what()).empty());
  }
  return 0;
}
