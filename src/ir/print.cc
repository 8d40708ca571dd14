// print(): a graph as text, one node a line. All of it follows from the field lists of the
// attributes; parse.cc is its mirror.
//
//   %0 = input(name="x" kind=data shape=[32, 784] type=f32)
//   %2 = dot(%0, %1 transpose_b=true) : f32[32, 10]  # hidden
//   output "y" = %2
//   update %1 = %7
#include "src/base/text.h"
#include "src/ir/names.h"

namespace soma {

namespace {

class Printer {
 public:
  std::string text() && { return std::move(out_); }

  void graph(const Graph& graph) {
    for (Id id = 0; id < graph.size(); ++id) node(graph, id);
    for (const auto& [name, id] : graph.outputs()) {
      line();
      write("output ");
      value(name);
      write(cat(" = %", id, "\n"));
    }
    for (const auto& [state, id] : graph.updates()) {
      line();
      write(cat("update %", state, " = %", id, "\n"));
    }
  }

 private:
  void write(std::string_view text) { out_ += text; }
  void line() { out_.append(2 * indent_, ' '); }

  void node(const Graph& graph, Id id) {
    const Node& node = graph[id];
    line();
    write(cat("%", id, " = ", info(node.op).name, "("));
    std::string_view separator = "";
    for (const Id in : node.in) {
      write(cat(separator, "%", in));
      separator = ", ";
    }
    if (!node.in.empty()) separator = " ";
    std::visit(
        [&](const auto& attr) {
          attr.fields(attr, [&](const char* name, const auto& field) {
            using Field = std::decay_t<decltype(field)>;
            if constexpr (may_be_left_out<Field>) {
              if (field == Field{}) return;
            }
            write(cat(separator, name, "="));
            value(field);
            separator = " ";
          });
        },
        node.attr);
    write(")");
    if (shows_type(node)) write(cat(" : ", node.type, node.shape));
    if (const auto& scope = graph.scope_of(node).name; !scope.empty()) {
      write("  # ");
      escaped(scope);
    }
    write("\n");
  }

  void value(bool field) { write(field ? "true" : "false"); }
  void value(int64_t field) { write(std::to_string(field)); }
  void value(double field) { write(number(field)); }
  void value(DType field) { write(name_of(field)); }
  void value(const Dims& field) { write(field.text()); }
  void value(const std::string& field) {
    write("\"");
    escaped(field);
    write("\"");
  }
  template <class E>
  requires std::is_enum_v<E>
  void value(E field) { write(Names<E>::list[static_cast<size_t>(field)]); }
  void value(const std::shared_ptr<const Graph>& body) {
    write("{\n");
    ++indent_;
    graph(*body);
    --indent_;
    line();
    write("}");
  }

  // Quotes, backslashes and control characters are written \xHH (or shorter); the rest as it is.
  void escaped(std::string_view text) {
    for (const char c : text) {
      const auto byte = static_cast<unsigned char>(c);
      if (c == '"' || c == '\\') {
        out_ += '\\';
        out_ += c;
      } else if (c == '\n') {
        out_ += "\\n";
      } else if (byte < 0x20 || byte == 0x7f) {
        constexpr char digits[] = "0123456789abcdef";
        out_ += {'\\', 'x', digits[byte >> 4], digits[byte & 15]};
      } else {
        out_ += c;
      }
    }
  }

  std::string out_;
  size_t indent_ = 0;
};

}  // namespace

std::string print(const Graph& graph) {
  Printer printer;
  printer.graph(graph);
  return std::move(printer).text();
}

}  // namespace soma
