// Where everything that operators ask arrives and is answered: the HTTP port, the commands of the
// control socket that are about the process rather than the pair, and the record of events behind
// both. The pair's commands go on to the replication core.
//
// Commands here, besides the core's: `report` (status as one line of JSON), `events [after]` (as
// JSON), `check QUESTION` (admin/health.h: a line "yes: why" or "no: why"), `metrics`.
//
// Any thread, but for start() and stop().
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "common/admin/event_log.h"
#include "common/admin/snapshot.h"
#include "config/options.h"
#include "proxy/admin_server.h"

namespace tandem::proxy {

class operator_desk {
 public:
  struct ties {
    std::function<admin::snapshot()> look;                        // in any thread
    std::function<void(std::uint64_t id, std::string text)> run;  // a command, by the core
  };
  struct said {
    bool ok = true;
    std::string text;  // as effect::answer has it
  };

  // Binds the ports; throws start_error.
  operator_desk(const config::admin_options& options, ties to);

  void start();
  void stop();

  // A command that is answered here; nothing: it is the core's.
  std::optional<said> answer(std::string_view command);
  // The commands of answer(), as the core's `help` lists its own.
  static std::string help();
  static bool is_help(std::string_view command);
  // The control socket has a command for the core: what changes something is an event.
  void heard(std::string_view command);
  // Whether the answer to a command is for the HTTP port: then answered() delivers it.
  static bool is_own(std::uint64_t id) noexcept { return (id & own_ids) != 0; }
  void answered(std::uint64_t id, bool ok, std::string text);

  // Something that operators should know of.
  admin::event_log& events() noexcept { return events_; }
  void note(replication::effect::level severity, admin::event_kind kind, std::string_view text);
  // Token and certificate anew. What is wrong with them now, or "": then reload() takes them.
  std::string wrong_files() const;
  std::string reload();

 private:
  static constexpr std::uint64_t own_ids = std::uint64_t{1} << 62;

  const ties to_;
  admin::event_log events_;
  std::unique_ptr<admin_server> server_;  // null: there is no port
};

}  // namespace tandem::proxy
