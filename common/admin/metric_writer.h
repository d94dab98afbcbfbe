// Writes families of samples in Prometheus' text format. For metrics*.cc.
#pragma once

#include <charconv>
#include <concepts>
#include <cstdint>
#include <cstdio>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

namespace tandem::admin {

class metric_writer {
 public:
  using labels = std::initializer_list<std::pair<std::string_view, std::string_view>>;

  // The samples that follow are of this family; its samples must not be anywhere else.
  void family(std::string_view name, std::string_view type, std::string_view help) {
    name_ = name;
    text_.append("# HELP ").append(name).append(" ").append(help);
    text_.append("\n# TYPE ").append(name).append(" ").append(type).append("\n");
  }
  template <class Number>
  void sample(Number value, labels of = {}, std::string_view suffix = "") {
    text_.append(name_).append(suffix);
    bool first = true;
    for (const auto& [name, content] : of) {
      text_.append(first ? "{" : ",").append(name).append("=\"");
      escape(content);
      text_.push_back('"');
      first = false;
    }
    if (!first) text_.push_back('}');
    text_.push_back(' ');
    number(value);
    text_.push_back('\n');
  }
  // A family of one sample.
  template <class Number>
  void gauge(std::string_view name, std::string_view help, Number value) {
    family(name, "gauge", help);
    sample(value);
  }
  template <class Number>
  void counter(std::string_view name, std::string_view help, Number value) {
    family(name, "counter", help);
    sample(value);
  }
  std::string take() { return std::move(text_); }

 private:
  void number(bool value) { text_.push_back(value ? '1' : '0'); }
  void number(double value) {
    char digits[32];
    const int length = std::snprintf(digits, sizeof digits, "%.9g", value);
    text_.append(digits, static_cast<std::size_t>(length));
  }
  template <std::integral Integer>
  void number(Integer value) {
    char digits[24];
    text_.append(digits, std::to_chars(digits, digits + sizeof digits, value).ptr);
  }
  void escape(std::string_view content) {
    for (const char c : content) {
      if (c == '\\' || c == '"') text_.push_back('\\');
      if (c == '\n')
        text_.append("\\n");
      else
        text_.push_back(c);
    }
  }

  std::string text_;
  std::string_view name_;
};

// metrics_pair.cc: the families of the pair and of latency.
struct snapshot;
void add_pair_metrics(metric_writer& to, const snapshot& s);
void add_latency_metrics(metric_writer& to, const snapshot& s);

}  // namespace tandem::admin
