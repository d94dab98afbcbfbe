// The one inclusion of Boost.Asio, and the socket and timer types of the program: with the strong
// executor of an io_context, so that no call goes through a type-erased one.
#pragma once

#define BOOST_ASIO_NO_DEPRECATED
#ifdef __SANITIZE_THREAD__
// gcc's thread sanitizer knows no fences, and refuses to compile them. Asio's are a second lock on
// the door: its queues are guarded by mutexes.
#define BOOST_ASIO_DISABLE_FENCED_BLOCK
#endif
#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <chrono>

namespace tandem::proxy {

namespace asio = boost::asio;
using boost::system::error_code;

using executor = asio::io_context::executor_type;
using tcp = asio::ip::tcp;
using work_guard = asio::executor_work_guard<executor>;

using tcp_socket = asio::basic_stream_socket<tcp, executor>;
using tcp_acceptor = asio::basic_socket_acceptor<tcp, executor>;
using tcp_resolver = asio::ip::basic_resolver<tcp, executor>;
// Runs on CLOCK_MONOTONIC, as proxy/clock.h reads it.
using steady_timer =
    asio::basic_waitable_timer<std::chrono::steady_clock,
                               asio::wait_traits<std::chrono::steady_clock>, executor>;
using signal_set = asio::basic_signal_set<executor>;

// After accept() failed for want of a descriptor, at a door that few knock at: no spinning on it.
constexpr std::chrono::milliseconds accept_breath{100};

}  // namespace tandem::proxy
