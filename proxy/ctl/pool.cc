#include "proxy/ctl/pool.h"

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "config/text.h"

namespace tandem::ctl {

namespace {

namespace json = boost::json;

constexpr std::size_t servers_max = 2;

// One address a pair: a virtual one, or the node that is local to the proxy.
std::string twemproxy(const std::vector<pool_pair>& pairs, const std::string& listen) {
  std::string text =
      "memtandem:\n"
      "  listen: " +
      listen +
      "\n"
      "  hash: fnv1a_64\n"
      "  distribution: ketama\n"
      "  auto_eject_hosts: false  # a pair heals itself, and its keys stay where they are\n"
      "  timeout: 1000\n"
      "  servers:\n";
  for (const pool_pair& each : pairs)
    text += "    - " + each.servers.front() + ":1 " + each.name + "\n";
  return text;
}

// A node of a pair is a pool of its own, so that the pair's second is asked where the first fails.
std::string node_name(const pool_pair& pair, std::size_t node) {
  return pair.servers.size() == 1 ? pair.name : pair.name + (node == 0 ? "-a" : "-b");
}

std::string mcrouter(const std::vector<pool_pair>& pairs) {
  json::object pools;
  json::array routes;
  for (const pool_pair& each : pairs) {
    json::array nodes;
    for (std::size_t i = 0; i < each.servers.size(); ++i) {
      const std::string name = node_name(each, i);
      pools[name] = json::object{{"servers", json::array{json::string(each.servers[i])}}};
      nodes.emplace_back("PoolRoute|" + name);
    }
    if (nodes.size() == 1)
      routes.push_back(nodes.front());
    else
      routes.push_back(json::object{{"type", "FailoverRoute"}, {"children", std::move(nodes)}});
  }
  json::value route = routes.front();
  if (routes.size() > 1)
    route = json::object{{"type", "HashRoute"},
                         {"hash_func", "Ch3"},
                         {"salt", "memtandem"},
                         {"children", std::move(routes)}};
  return json::serialize(json::object{{"pools", std::move(pools)}, {"route", std::move(route)}}) +
         "\n";
}

// memcached's built-in proxy with its route library. Its ring is over the backends of one pool, so
// several pairs are there by one address each, as for twemproxy.
std::string routelib(const std::vector<pool_pair>& pairs) {
  std::string pools, children;
  if (pairs.size() > 1) {
    for (const pool_pair& each : pairs)
      pools += "      \"" + each.servers.front() + "\",  -- " + each.name + "\n";
    return "pools{\n  memtandem = {\n    backends = {\n" + pools +
           "    },\n  },\n}\n\nroutes{\n  default = route_direct{\n    child = "
           "\"memtandem\",\n  },\n}\n";
  }
  const pool_pair& pair = pairs.front();
  for (std::size_t i = 0; i < pair.servers.size(); ++i) {
    const std::string name = node_name(pair, i);
    pools += "  [\"" + name + "\"] = { backends = { \"" + pair.servers[i] + "\" } },\n";
    children += (children.empty() ? "\"" : ", \"") + name + "\"";
  }
  return "pools{\n" + pools + "}\n\nroutes{\n  default = route_failover{\n    children = { " +
         children + " },\n    failover_count = 1,\n  },\n}\n";
}

std::string libmemcached(const std::vector<pool_pair>& pairs) {
  std::string text;
  for (const pool_pair& each : pairs) text += "--SERVER=" + each.servers.front() + " ";
  return text +
         "--DISTRIBUTION=consistent,MD5 --HASH=MD5 --TCP-NODELAY --TCP-KEEPALIVE "
         "--RETRY-TIMEOUT=1 --SERVER-FAILURE-LIMIT=0 --NUMBER-OF-REPLICAS=0\n";
}

}  // namespace

std::string parse_pair(std::string_view text, pool_pair& out) {
  const std::size_t equals = text.find('=');
  if (equals == 0 || equals == std::string_view::npos)
    return "NAME=HOST:PORT[,HOST:PORT] was expected";
  out.name = text.substr(0, equals);
  const bool plain = std::all_of(out.name.begin(), out.name.end(), [](unsigned char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
           c == '_' || c == '.';
  });
  if (!plain) return "a name has letters, digits, '-', '_' and '.' only";
  out.servers.clear();
  for (const std::string& server : config::split_list(text.substr(equals + 1))) {
    config::endpoint where;
    if (std::string wrong = config::parse_endpoint(server, where); !wrong.empty()) return wrong;
    if (where.port == 0) where.port = config::listen_options{}.port;
    out.servers.push_back(config::format_endpoint(where));
  }
  if (out.servers.empty() || out.servers.size() > servers_max)
    return "one or two servers were expected";
  return {};
}

std::string pool_text(std::string_view format, const std::vector<pool_pair>& pairs,
                      const std::string& listen) {
  if (format == "twemproxy") return twemproxy(pairs, listen);
  if (format == "mcrouter") return mcrouter(pairs);
  if (format == "routelib") return routelib(pairs);
  if (format == "libmemcached") return libmemcached(pairs);
  return {};
}

}  // namespace tandem::ctl
