#include "config/yaml.h"

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <map>
#include <system_error>

#include "config/text.h"
#include "config/yaml_tree.h"

namespace tandem::config {
namespace {

using shape = yaml_node::shape;

std::string_view noun(const yaml_node& node) {
  switch (node.what) {
    case shape::null:
      return "nothing";
    case shape::scalar:
      return "a single value";
    case shape::list:
      return "a list";
    case shape::map:
      return "a map";
  }
  return {};
}

template <class Range>
std::string joined(const Range& names, std::string_view between, std::string_view last) {
  std::string result;
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (i > 0) result += i + 1 == names.size() ? last : between;
    result += names[i];
  }
  return result;
}

std::vector<std::string_view> section_names() {
  std::vector<std::string_view> names;
  for (const section& s : sections()) names.push_back(s.name);
  return names;
}

std::vector<std::string_view> key_names(std::string_view section_name) {
  std::vector<std::string_view> names;
  for (const key& k : schema())
    if (section_name.empty() || k.section == section_name) names.push_back(k.name);
  return names;
}

// "'listen' or 'replication'": the sections that have a key of this name.
std::string homes(std::string_view name) {
  std::vector<std::string> found;
  for (const section& s : sections())
    if (find_key(s.name, name) != nullptr) found.push_back("'" + std::string(s.name) + "'");
  return joined(found, ", ", " or ");
}

class reader {
 public:
  reader(const std::string& name, settings& into) : name_(name), into_(into) {}

  void read(const yaml_node& root) {
    if (root.what == shape::null) return;
    if (root.what != shape::map) {
      fail(root.at, "the file must consist of sections (" + joined(section_names(), ", ", ", ") +
                        "), not of " + std::string(noun(root)));
      return;
    }
    each_entry(root, "", [&](const yaml_node& label, const yaml_node& content) {
      const auto known = section_names();
      if (std::find(known.begin(), known.end(), label.text) != known.end())
        read_section(label, content);
      else
        fail(label.at, "unknown section '" + label.text + "'" +
                           (into_.full() ? "" : section_hint(label.text)));
    });
  }

 private:
  std::string place(position at) const {
    return name_ + ":" + std::to_string(at.line) + ":" + std::to_string(at.column);
  }
  void fail(position at, const std::string& text) { into_.fail(place(at) + ": " + text); }

  // Calls `use` for each key of the map that is a name and appears for the first time.
  template <class Use>
  void each_entry(const yaml_node& map, const std::string& inside, const Use& use) {
    std::map<std::string_view, std::size_t> lines;
    for (std::size_t i = 0; i + 1 < map.children.size(); i += 2) {
      const yaml_node& label = map.children[i];
      if (label.what != shape::scalar) {
        fail(label.at, "a key must be a name, not " + std::string(noun(label)));
        continue;
      }
      const auto [first, fresh] = lines.emplace(label.text, label.at.line);
      if (fresh)
        use(label, map.children[i + 1]);
      else
        fail(label.at, "duplicate key '" + label.text + "'" + inside + " (the first is on line " +
                           std::to_string(first->second) + ")");
    }
  }

  void read_section(const yaml_node& label, const yaml_node& content) {
    if (content.what == shape::null) return;  // all its keys are commented out
    if (content.what != shape::map) {
      fail(content.at, "'" + label.text + "' is a section: its keys (" +
                           joined(key_names(label.text), ", ", ", ") +
                           ") go below it, indented; found " + std::string(noun(content)));
      return;
    }
    const std::string inside = " in '" + label.text + "'";
    each_entry(content, inside, [&](const yaml_node& name, const yaml_node& given) {
      if (const key* const which = find_key(label.text, name.text))
        read_value(*which, name, given);
      else
        fail(name.at, "unknown key '" + name.text + "'" + inside +
                          (into_.full() ? "" : key_hint(label.text, name.text)));
    });
  }

  void read_value(const key& which, const yaml_node& label, const yaml_node& given) {
    const auto broken = [&](position at, const std::string& text) {
      into_.set_broken(which, text, source::file, place(at));
    };
    const bool list = is_list(which.type);
    if (given.what == shape::null) {
      // The place of a missing value is wherever the next word stands: the key's is of more use.
      if (which.optional)
        into_.set(which, std::monostate{}, source::file, place(label.at));
      else
        broken(label.at, "has no value; expected " + expected(which));
    } else if (given.what == shape::scalar) {
      into_.set_text(which, given.text, source::file, place(given.at));
    } else if (given.what == shape::list && list) {
      read_list(which, given);
    } else {
      broken(given.at, "expected " + expected(which) + ", found " + std::string(noun(given)));
    }
  }

  void read_list(const key& which, const yaml_node& given) {
    std::vector<std::string> entries;
    for (const yaml_node& item : given.children) {
      std::string wrong;
      const bool program = which.type == kind::program;
      if (item.what != shape::scalar && program) {
        wrong = "expected a word, found " + std::string(noun(item));
      } else if (item.what != shape::scalar) {
        wrong = "expected an address, found " + std::string(noun(item)) +
                " (an address with ':' or '[' at its start needs quotes)";
      } else if (!program) {  // its words make sense together only
        wrong = parse_list(which, {std::string(trim(item.text))}).error;
      }
      if (!wrong.empty()) {
        into_.set_broken(which, wrong, source::file, place(item.at));
        return;
      }
      entries.emplace_back(program ? std::string_view(item.text) : trim(item.text));
    }
    into_.set_list(which, std::move(entries), source::file, place(given.at));
  }

  static std::string section_hint(const std::string& word) {
    if (const std::string home = homes(word); !home.empty())
      return " ('" + word + "' belongs under " + home + ")";
    if (const std::size_t dot = word.find('.'); dot != std::string::npos) {
      const std::string head = word.substr(0, dot), tail = word.substr(dot + 1);
      if (find_key(head, tail) != nullptr)
        return " (write '" + tail + "' on a line of its own under '" + head + "')";
    }
    const auto known = section_names();
    if (const std::string_view near = nearest(word, known); !near.empty())
      return " (did you mean '" + std::string(near) + "'?)";
    const auto keys = key_names("");
    if (const std::string_view near = nearest(word, keys); !near.empty())
      return " (did you mean '" + std::string(near) + "', under " + homes(near) + "?)";
    return " (sections: " + joined(known, ", ", ", ") + ")";
  }

  static std::string key_hint(const std::string& section_name, const std::string& word) {
    if (const std::string home = homes(word); !home.empty())
      return " ('" + word + "' belongs under " + home + ")";
    const auto here = key_names(section_name);
    if (const std::string_view near = nearest(word, here); !near.empty())
      return " (did you mean '" + std::string(near) + "'?)";
    const auto anywhere = key_names("");
    if (const std::string_view near = nearest(word, anywhere); !near.empty())
      return " (did you mean '" + std::string(near) + "', under " + homes(near) + "?)";
    return " (keys: " + joined(here, ", ", ", ") + ")";
  }

  const std::string& name_;
  settings& into_;
};

}  // namespace

void read_yaml(std::string_view text, const std::string& name, settings& into) {
  into.set_has_file();
  const yaml_document document = parse_yaml(text);
  for (const yaml_error& error : document.errors)
    into.fail(name + ":" + std::to_string(error.at.line) + ":" + std::to_string(error.at.column) +
              ": " + error.message);
  if (document.errors.empty()) reader(name, into).read(document.root);
}

void read_yaml_file(const std::string& path, settings& into) {
  std::error_code ignored;
  const bool directory = std::filesystem::is_directory(path, ignored);
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  if (!file || directory) {
    const int reason = directory ? EISDIR : errno;
    into.fail(path + ": cannot be read: " + std::generic_category().message(reason));
    return;
  }
  // One byte more than the limit, so that parse_yaml sees that it is passed.
  std::string text(yaml_bytes_max + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (file.bad()) {
    into.fail(path + ": cannot be read");
    return;
  }
  text.resize(static_cast<std::size_t>(file.gcount()));
  read_yaml(text, path, into);
}

options load_yaml(std::string_view text, const std::string& name) {
  settings result;
  read_yaml(text, name, result);
  result.finish();
  return result.opts();
}

options load_yaml_file(const std::string& path) {
  settings result;
  read_yaml_file(path, result);
  result.finish();
  return result.opts();
}

}  // namespace tandem::config
