// Texts to values and back, by the kind of the key.
#include <algorithm>

#include "config/schema.h"
#include "config/text.h"

namespace tandem::config {
namespace {

constexpr std::string_view address_forms = "HOST, HOST:PORT, IPV6 or [IPV6]:PORT";

// What was given, fit for one line of a terminal.
std::string shown(std::string_view text) {
  constexpr std::size_t shown_bytes_max = 80;
  std::string result = "'";
  for (const char c : text.substr(0, shown_bytes_max))
    result += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c;
  return result + (text.size() > shown_bytes_max ? "...'" : "'");
}

std::string octal_text(std::int64_t number) {
  std::string digits;
  for (; number != 0; number /= 8)
    digits.insert(digits.begin(), static_cast<char>('0' + number % 8));
  return "0" + digits;
}

std::string number_text(const key& which, std::int64_t number) {
  if (which.type == kind::octal) return octal_text(number);
  if (which.type == kind::size) return format_size(number);
  if (which.type == kind::duration) return format_duration(number);
  return std::to_string(number);
}

std::string permitted(const key& which) {
  return " (allowed: " + allowed(which) + ")";
}

parsed refuse(std::string error) {
  return {.result = {}, .error = std::move(error)};
}
parsed accept(value what) {
  return {.result = std::move(what), .error = {}};
}

parsed in_range(const key& which, std::int64_t number, std::string_view text) {
  if ((number < which.min || number > which.max) && !(which.zero && number == 0))
    return refuse(std::string(text) + " is out of range" + permitted(which));
  return accept(number);
}

parsed parse_boolean(const key& which, std::string_view text) {
  const std::string word = lower(text);
  if (word == "true" || word == "yes" || word == "on") return accept(true);
  if (word == "false" || word == "no" || word == "off") return accept(false);
  return refuse(shown(text) + " is neither true nor false" + permitted(which));
}

parsed parse_whole(const key& which, std::string_view text) {
  if (const auto number = parse_integer(text)) return in_range(which, *number, text);
  const std::string_view digits = text.substr(text.starts_with('-') ? 1 : 0);
  const bool number = !digits.empty() && std::all_of(digits.begin(), digits.end(),
                                                     [](char c) { return c >= '0' && c <= '9'; });
  return refuse(shown(text) + (number ? " is out of range" : " is not a whole number") +
                permitted(which));
}

parsed parse_octal(const key& which, std::string_view text) {
  constexpr std::size_t digits_max = 12;
  std::int64_t number = 0;
  for (const char c : text) {
    if (c < '0' || c > '7') return refuse(shown(text) + " is not octal" + permitted(which));
    number = number * 8 + (c - '0');
  }
  if (text.empty() || text.size() > digits_max)
    return refuse(shown(text) + " is not octal" + permitted(which));
  return in_range(which, number, text);
}

// The words of a choice, in order.
std::vector<std::string_view> words_of(const key& which) {
  std::vector<std::string_view> words;
  for (std::string_view rest = which.choices;;) {
    const std::size_t bar = rest.find('|');
    words.push_back(rest.substr(0, bar));
    if (bar == std::string_view::npos) return words;
    rest.remove_prefix(bar + 1);
  }
}

parsed parse_choice(const key& which, std::string_view text) {
  const auto words = words_of(which);
  const auto found = std::find(words.begin(), words.end(), lower(text));
  if (found != words.end()) return accept(std::int64_t{found - words.begin()});
  const std::string_view near = nearest(text, words);
  return refuse(shown(text) + " is none of its values" +
                (near.empty() ? "" : " (did you mean '" + std::string(near) + "'?)") +
                permitted(which));
}

parsed parse_measure(const key& which, std::string_view text) {
  const bool size = which.type == kind::size;
  const quantity q = size ? parse_size(text) : parse_duration(text);
  const std::string_view noun = size ? "a size" : "a duration";
  switch (q.status) {
    case quantity_status::ok:
      return in_range(which, q.number, text);
    case quantity_status::needs_unit:
      return refuse(shown(text) + " needs a unit, such as " + std::string(which.example) +
                    permitted(which));
    case quantity_status::unknown_unit:
      return refuse(shown(text) + " has the unknown unit '" + q.unit + "' (units: " +
                    (size ? "B, KiB or k, MiB or m, GiB or g, TiB or t" : "ms, s, m, h") + ")");
    case quantity_status::too_large:
      return refuse(shown(text) + " is out of range" + permitted(which));
    case quantity_status::malformed:
      break;
  }
  return refuse(shown(text) + " is not " + std::string(noun) + " such as " +
                std::string(which.example) + permitted(which));
}

parsed parse_string(const key& which, std::string_view text) {
  const bool control = std::any_of(text.begin(), text.end(), [](char c) {
    return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
  });
  if (control) return refuse(shown(text) + " contains a control character");
  if (!is_utf8(text)) return refuse("the value is not UTF-8");
  const auto size = static_cast<std::int64_t>(text.size());
  if (size < which.min || size > which.max)
    return refuse(shown(text) + " has " + std::to_string(size) + " bytes" + permitted(which));
  return accept(std::string(text));
}

parsed parse_address(std::string_view text) {
  endpoint where;
  if (const std::string wrong = parse_endpoint(text, where); !wrong.empty())
    return refuse(shown(text) + " is not an address: " + wrong +
                  " (allowed: " + std::string(address_forms) + ")");
  return accept(where);
}

parsed parse_listener_entry(std::string_view text) {
  listener where;
  if (const std::string wrong = parse_listener(text, where); !wrong.empty())
    return refuse(shown(text) + " is not an address: " + wrong +
                  " (allowed: " + std::string(address_forms) + ")");
  return accept(std::string(text));
}

parsed parse_program(const key& which, std::vector<std::string> words) {
  constexpr key text{.max = 4095};
  if (static_cast<std::int64_t>(words.size()) > which.max)
    return refuse(std::to_string(words.size()) + " words are too many" + permitted(which));
  for (const std::string& word : words) {
    parsed one = parse_string(text, word);
    if (!one.error.empty()) return refuse(std::move(one.error));
  }
  if (!words.empty() && !words.front().starts_with('/'))
    return refuse(shown(words.front()) + " is not an absolute path" + permitted(which));
  return accept(std::move(words));
}

std::vector<std::string> split_words(std::string_view text) {
  std::vector<std::string> words;
  for (text = trim(text); !text.empty(); text = trim(text)) {
    const std::size_t end = text.find_first_of(" \t");
    words.emplace_back(text.substr(0, end));
    text.remove_prefix(words.back().size());
  }
  return words;
}

constexpr std::size_t word_bytes_max = 250;

parsed parse_word(std::string_view text) {
  if (text.empty() || text.size() > word_bytes_max || text.find_first_of(" \t,") != text.npos)
    return refuse(shown(text) + " is not a word of 1.." + std::to_string(word_bytes_max) +
                  " bytes without spaces and commas");
  return accept(std::string(text));
}

}  // namespace

parsed parse_list(const key& which, std::vector<std::string> entries) {
  if (which.type == kind::program) return parse_program(which, std::move(entries));
  if (static_cast<std::int64_t>(entries.size()) > which.max)
    return refuse(std::to_string(entries.size()) + " entries are too many" + permitted(which));
  for (const std::string& entry : entries) {
    parsed one = which.type == kind::listeners ? parse_listener_entry(entry)
                 : which.type == kind::words   ? parse_word(entry)
                                               : parse_address(entry);
    if (!one.error.empty()) return refuse(std::move(one.error));
  }
  return accept(std::move(entries));
}

parsed parse_value(const key& which, std::string_view text) {
  if (which.type != kind::string) text = trim(text);
  if (which.optional && text.empty()) return accept(std::monostate{});
  switch (which.type) {
    case kind::boolean:
      return parse_boolean(which, text);
    case kind::integer:
      return parse_whole(which, text);
    case kind::octal:
      return parse_octal(which, text);
    case kind::choice:
      return parse_choice(which, text);
    case kind::size:
    case kind::duration:
      return parse_measure(which, text);
    case kind::string:
      return parse_string(which, text);
    case kind::address:
      return parse_address(text);
    case kind::addresses:
    case kind::listeners:
    case kind::words:
      return parse_list(which, split_list(text));
    case kind::program:
      return parse_program(which, split_words(text));
  }
  return refuse("unknown kind");
}

std::string allowed(const key& which) {
  switch (which.type) {
    case kind::boolean:
      return "true or false";
    case kind::choice: {
      std::string all;
      for (const std::string_view word : words_of(which))
        all += (all.empty() ? "" : ", ") + std::string(word);
      return all;
    }
    case kind::integer:
    case kind::octal:
    case kind::size:
    case kind::duration:
      return (which.zero ? "0 or " : "") + number_text(which, which.min) + ".." +
             number_text(which, which.max);
    case kind::string:
      return std::to_string(which.min) + ".." + std::to_string(which.max) + " bytes";
    case kind::address:
      return std::string(address_forms);
    case kind::addresses:
    case kind::listeners:
      return "at most " + std::to_string(which.max) + " of " + std::string(address_forms);
    case kind::program:
      return "a program's absolute path and its arguments, at most " + std::to_string(which.max) +
             " words in all";
    case kind::words:
      return "at most " + std::to_string(which.max) + " words";
  }
  return {};
}

std::string expected(const key& which) {
  const auto noun = [&]() -> std::string_view {
    switch (which.type) {
      case kind::boolean:
        return "a switch";
      case kind::integer:
        return "a whole number";
      case kind::octal:
        return "an octal number";
      case kind::choice:
        return "a word";
      case kind::size:
        return "a size";
      case kind::duration:
        return "a duration";
      case kind::string:
        return "a text";
      case kind::address:
        return "an address";
      case kind::addresses:
      case kind::listeners:
        return "a list of addresses";
      case kind::program:
      case kind::words:
        return "a list of words";
    }
    return {};
  };
  return std::string(noun()) + permitted(which);
}

std::string quoted(std::string_view text) {
  std::string result = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') result += '\\';
    result += c;
  }
  return result + '"';
}

std::string to_yaml(const key& which, const value& what) {
  if (std::holds_alternative<std::monostate>(what)) return "null";
  switch (which.type) {
    case kind::boolean:
      return std::get<bool>(what) ? "true" : "false";
    case kind::integer:
    case kind::octal:
    case kind::size:
    case kind::duration:
      return number_text(which, std::get<std::int64_t>(what));
    case kind::choice:
      // Quoted, because "1.2" alone is a number to other readers of YAML.
      return config::quoted(
          words_of(which).at(static_cast<std::size_t>(std::get<std::int64_t>(what))));
    case kind::string:
      return config::quoted(std::get<std::string>(what));
    case kind::address:
      return config::quoted(format_endpoint(std::get<endpoint>(what)));
    case kind::addresses:
    case kind::listeners:
    case kind::program:
    case kind::words: {
      std::string list;
      for (const std::string& entry : std::get<std::vector<std::string>>(what))
        list += (list.empty() ? "" : ", ") + config::quoted(entry);
      return "[" + list + "]";
    }
  }
  return {};
}

}  // namespace tandem::config
