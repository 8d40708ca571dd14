// One sample through ONNX Runtime on one thread, with inputs and results bound beforehand. The
// models are those of onnx_models.py, in the folder $MODELS.
#include <onnxruntime_cxx_api.h>

#include "rivals.h"

int main(int count, char** values) {
  const rivals::Arguments arguments(count, values);
  Ort::Env environment(ORT_LOGGING_LEVEL_ERROR, "rivals");
  Ort::SessionOptions options;
  options.SetIntraOpNumThreads(1);
  options.SetInterOpNumThreads(1);
  options.SetGraphOptimizationLevel(ORT_ENABLE_ALL);
  const std::string path = std::string(std::getenv("MODELS")) + "/" + arguments.workload + ".onnx";
  Ort::Session session(environment, path.c_str(), options);
  const auto memory = Ort::MemoryInfo::CreateCpu(OrtArenaAllocator, OrtMemTypeDefault);

  std::vector<std::vector<float>> arrays;
  std::vector<Ort::Value> bound;
  const auto make = [&](const Ort::TypeInfo& type) -> Ort::Value& {
    const auto shape = type.GetTensorTypeAndShapeInfo().GetShape();
    size_t size = 1;
    for (const int64_t extent : shape) size *= size_t(extent);
    arrays.push_back(rivals::random_floats(size, 0.5f));
    bound.push_back(Ort::Value::CreateTensor<float>(memory, arrays.back().data(), size,
                                                    shape.data(), shape.size()));
    return bound.back();
  };
  Ort::AllocatorWithDefaultOptions allocator;
  Ort::IoBinding binding(session);
  for (size_t i = 0; i < session.GetInputCount(); ++i) {
    binding.BindInput(session.GetInputNameAllocated(i, allocator).get(),
                      make(session.GetInputTypeInfo(i)));
  }
  for (size_t i = 0; i < session.GetOutputCount(); ++i) {
    binding.BindOutput(session.GetOutputNameAllocated(i, allocator).get(),
                       make(session.GetOutputTypeInfo(i)));
  }
  std::vector<float>& input = arrays[0];
  const auto samples = rivals::random_floats(64 * input.size(), 0.5f);
  size_t turn = 0;
  Ort::RunOptions run;
  rivals::measure_calls(arguments.seconds, [&] {
    std::copy_n(&samples[(turn++ % 64) * input.size()], input.size(), input.data());
    session.Run(run, binding);
  });
}
