#include "config/yaml_tree.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <array>
#include <sstream>
#include <utility>

#include "config/text.h"

namespace tandem::config {
namespace {

// yaml-cpp's marks count from 0 and are -1 where it knows no place.
position from_mark(const YAML::Mark& mark) {
  const auto up = [](int zero_based) {
    return zero_based < 0 ? std::size_t{1} : static_cast<std::size_t>(zero_based) + 1;
  };
  return {.line = up(mark.line), .column = up(mark.column)};
}

// Thrown out of the event handler, whose interface has no other way to stop the parser.
struct refusal {
  yaml_error error;
};

class tree_builder final : public YAML::EventHandler {
 public:
  explicit tree_builder(const std::vector<std::string_view>& lines) : lines_(lines) {}

  yaml_node take() { return std::move(root_); }

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t) override {
    add(yaml_node::shape::null, mark, "");
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    throw refusal{{from_mark(mark), "aliases are not accepted: write the value out"}};
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t,
                const std::string& text) override {
    check_tag(mark, tag);
    if (tag == "!") check_quotation(from_mark(mark));
    add(yaml_node::shape::scalar, mark, text);
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t,
                       YAML::EmitterStyle::value) override {
    open(yaml_node::shape::list, mark, tag);
  }
  void OnSequenceEnd() override { close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t,
                  YAML::EmitterStyle::value) override {
    open(yaml_node::shape::map, mark, tag);
  }
  void OnMapEnd() override { close(); }

 private:
  void open(yaml_node::shape what, const YAML::Mark& mark, const std::string& tag) {
    check_tag(mark, tag);
    if (open_.size() >= yaml_depth_max) throw refusal{{from_mark(mark), "nested too deeply"}};
    open_.push_back({.what = what, .at = from_mark(mark), .text = {}, .children = {}});
  }
  void close() {
    yaml_node done = std::move(open_.back());
    open_.pop_back();
    place(std::move(done));
  }
  void add(yaml_node::shape what, const YAML::Mark& mark, const std::string& text) {
    place({.what = what, .at = from_mark(mark), .text = text, .children = {}});
  }
  void place(yaml_node&& done) {
    if (open_.empty())
      root_ = std::move(done);
    else
      open_.back().children.push_back(std::move(done));
  }

  // "?" stands for no tag, "!" for a quotation.
  static void check_tag(const YAML::Mark& mark, const std::string& tag) {
    if (!tag.empty() && tag != "?" && tag != "!")
      throw refusal{{from_mark(mark), "tags are not accepted"}};
  }

  // yaml-cpp ends an unclosed quotation silently with the file, swallowing the keys in between.
  void check_quotation(position at) const {
    const std::string_view line =
        at.line <= lines_.size() ? lines_[at.line - 1] : std::string_view{};
    std::size_t i = at.column - 1;
    if (i >= line.size() || (line[i] != '"' && line[i] != '\''))
      throw refusal{{at, "a text must stand on one line, plain or in quotes"}};
    const char quote = line[i];
    for (++i; i < line.size(); ++i) {
      if (quote == '"' && line[i] == '\\')
        ++i;
      else if (line[i] == quote && quote == '\'' && i + 1 < line.size() && line[i + 1] == quote)
        ++i;
      else if (line[i] == quote)
        return;
    }
    throw refusal{{at, "the quotation is not closed on its line"}};
  }

  const std::vector<std::string_view>& lines_;
  std::vector<yaml_node> open_;
  yaml_node root_;
};

std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    lines.push_back(text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  return lines;
}

// What would make yaml-cpp misread the text, or misplace its errors.
std::vector<yaml_error> check_lines(const std::vector<std::string_view>& lines) {
  std::vector<yaml_error> errors;
  for (std::size_t number = 1; number <= lines.size(); ++number) {
    std::string_view line = lines[number - 1];
    if (line.ends_with('\r')) line.remove_suffix(1);
    const std::size_t content = line.find_first_not_of(" \t");
    if (content != std::string_view::npos && line[content] != '#') {
      const std::size_t tab = line.substr(0, content).find('\t');
      if (tab != std::string_view::npos)
        errors.push_back({{number, tab + 1}, "a tab in the indentation: YAML takes spaces only"});
    }
    if (!is_utf8(line)) errors.push_back({{number, 1}, "the line is not UTF-8"});
    for (std::size_t i = 0; i < line.size(); ++i) {
      const auto byte = static_cast<unsigned char>(line[i]);
      if ((byte < 0x20 && byte != '\t') || byte == 0x7f) {
        errors.push_back({{number, i + 1}, "a control character"});
        break;
      }
    }
  }
  return errors;
}

// yaml-cpp's words for the common mistakes name its parser's state, not what to do.
std::string explained(const std::string& message) {
  using pair = std::pair<std::string_view, std::string_view>;
  static const std::array<pair, 7> explanations = {{
      {YAML::ErrorMsg::END_OF_MAP, "wrong indentation, or a line that is not 'key: value'"},
      {YAML::ErrorMsg::END_OF_SEQ, "wrong indentation, or a line that is not '- entry'"},
      {YAML::ErrorMsg::END_OF_SEQ_FLOW, "a list opened with '[' is not closed"},
      {YAML::ErrorMsg::END_OF_MAP_FLOW, "a map opened with '{' is not closed"},
      {YAML::ErrorMsg::MAP_VALUE, "a misplaced ':' (quote a value that contains one)"},
      {YAML::ErrorMsg::BLOCK_ENTRY, "a misplaced '-' (each entry of a list has its own line)"},
      {YAML::ErrorMsg::UNKNOWN_TOKEN, "no value may begin with this character: quote it"},
  }};
  for (const auto& [from, to] : explanations)
    if (message == from) return "not valid YAML: " + std::string(to);
  return "not valid YAML: " + message;
}

}  // namespace

yaml_document parse_yaml(std::string_view text) {
  yaml_document result;
  if (text.size() > yaml_bytes_max) {
    result.errors.push_back({{}, "larger than " + format_size(yaml_bytes_max)});
    return result;
  }
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
  const std::vector<std::string_view> lines = lines_of(text);
  result.errors = check_lines(lines);
  if (!result.errors.empty()) return result;
  try {
    std::istringstream in{std::string(text)};
    YAML::Parser parser(in);
    tree_builder builder(lines);
    if (parser.HandleNextDocument(builder)) result.root = builder.take();
    tree_builder next(lines);
    if (parser.HandleNextDocument(next))
      result.errors.push_back({next.take().at, "a second document: one is read"});
  } catch (const refusal& e) {
    result.errors.push_back(e.error);
  } catch (const YAML::Exception& e) {
    result.errors.push_back({from_mark(e.mark), explained(e.msg)});
  }
  return result;
}

}  // namespace tandem::config
