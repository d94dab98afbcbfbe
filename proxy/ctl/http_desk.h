// Talks to a node, on any machine, through its admin port (common/admin/site.h): HTTP, or HTTPS
// with the node's certificate checked. Each command is a request of its own on a connection of its
// own.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "proxy/ctl/node_desk.h"

namespace tandem::ctl {

struct node_url {
  bool tls = false;
  std::string host;  // a name or an address, without brackets
  std::uint16_t port = 0;
};

// "http://HOST:PORT" or "https://HOST:PORT", nothing behind it but a '/'. What is wrong, or "".
std::string parse_url(std::string_view text, node_url& out);

struct http_desk_options {
  node_url where;
  std::string token;    // "": commands that change something will be refused
  std::string ca_file;  // whom to trust, in PEM; "": whom this machine trusts
};

class http_desk final : public node_desk {
 public:
  explicit http_desk(http_desk_options options) : options_(std::move(options)) {}

  desk_answer ask(std::string_view command, std::chrono::seconds limit) override;

 private:
  const http_desk_options options_;
};

// What is asked of the admin port for a command of the control socket, and what its reply says;
// pure.
struct desk_request {
  std::string_view method;
  std::string target;  // "": the port does not know this command
};
desk_request request_of(std::string_view command);
desk_answer answer_of(std::string_view command, unsigned status, std::string_view body);

// The first line of the file, or "" with what is wrong.
std::string read_token(const std::string& path, std::string& wrong);

}  // namespace tandem::ctl
