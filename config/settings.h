// Options in the making: the values set so far, where each came from, and everything that is wrong
// with them. The layers write into one of these from the lowest to the highest: file, environment,
// flags. One thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "config/options.h"
#include "config/schema.h"

namespace tandem::config {

enum class source { defaults, file, environment, flag };

struct origin {
  source from = source::defaults;
  std::string where;    // "FILE:LINE:COL", a variable, a flag; empty for a default
  bool broken = false;  // the value given was refused; the option still holds the one before
};

class settings {
 public:
  settings() : origins_(schema().size()) {}

  // Sets the key from a text, or records what is wrong with it. Values of a higher layer are set
  // later.
  void set_text(const key& which, std::string_view text, source from, std::string where);
  void set_list(const key& which, std::vector<std::string> entries, source from, std::string where);
  // A value known to be good.
  void set(const key& which, const value& what, source from, std::string where);
  // The key was given something that is no value at all.
  void set_broken(const key& which, const std::string& message, source from, std::string where);

  // A whole line of complaint. Past errors_max the rest is only counted.
  void fail(std::string line);
  // Further complaints are not kept, so that none need be worded with effort.
  bool full() const { return errors_.size() >= errors_max; }
  // There is a file, whatever it sets: what must be said explicitly can be said there.
  void set_has_file() { has_file_ = true; }
  void warn(std::string line) { warnings_.push_back(std::move(line)); }

  // Fills what follows from other keys, checks keys against each other and throws config_error with
  // all that was found wrong in any layer. To be called once, after the last layer.
  void finish();

  const options& opts() const { return opts_; }
  const origin& origin_of(const key& which) const { return origins_[index_of(which)]; }
  const std::vector<std::string>& warnings() const { return warnings_; }

  static constexpr std::size_t errors_max = 100;
  static constexpr std::size_t error_bytes_max = 1000;

 private:
  void apply(const key& which, const parsed& result, source from, std::string where);
  void check_times();
  void check_sizes();
  void check_addresses();
  void check_clients();
  void check_backend();
  void check_link();
  void check_link_tls();
  void check_admin();
  bool usable(std::string_view path) const;
  void fail_key(std::string_view path, const std::string& text);
  void fail_ports(std::string_view link_key, std::uint16_t port);
  // Complains about `path`, or about `other` when only that one was given or it came later.
  void fail_pair(std::string_view path, std::string_view other, const std::string& relation);

  options opts_;
  bool has_file_ = false;
  std::vector<origin> origins_;  // by index_of
  std::vector<std::string> errors_;
  std::size_t errors_left_out_ = 0;
  std::vector<std::string> warnings_;
};

}  // namespace tandem::config
