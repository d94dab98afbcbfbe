#include "common/backend/request.h"

#include "common/protocol/numbers.h"
#include "common/protocol/reply.h"
#include "common/protocol/tokens.h"

namespace tandem::backend {

using protocol::request;
using protocol::verb;
using protocol::word_of;
namespace reply = protocol::reply;

namespace {

// Writes one request.
class writer {
 public:
  explicit writer(byte_buffer& out) : out_(out) {}

  writer& word(std::string_view text) {
    if (begun_) out_.append(" ");
    begun_ = true;
    out_.append(text);
    return *this;
  }
  writer& number(std::uint64_t value) { return flag({}, value); }
  writer& flag(std::string_view letter, std::uint64_t value) {
    char digits[protocol::digits_max];
    const char* const end = protocol::write_number(digits, value);
    word(letter);
    out_.append({digits, static_cast<std::size_t>(end - digits)});
    return *this;
  }
  // An exptime as the client sent it.
  writer& time(std::string_view letter, std::int32_t value) {
    if (value >= 0) return flag(letter, static_cast<std::uint64_t>(value));
    word(letter);
    out_.append("-1");  // every negative one means the same
    return *this;
  }
  void end(std::string_view block = {}) {
    out_.append(reply::crlf);
    out_.append(block);
  }

 private:
  byte_buffer& out_;
  bool begun_ = false;
};

treatment heard(const request& r, treatment how) {
  return r.noreply ? treatment::nothing : how;
}

expectation write_storage(writer& to, const request& r, std::string_view block) {
  to.word(word_of(r.what)).word(r.key).number(r.flags).time({}, r.exptime).number(r.value_bytes);
  if (r.what == verb::cas) to.number(r.number);
  to.end(block);
  return {reply_shape::line, heard(r, treatment::as_is), change::stored};
}

std::string_view mode_of(verb what) {
  switch (what) {
    case verb::add:
      return "ME";
    case verb::replace:
      return "MR";
    case verb::append:
      return "MA";
    case verb::prepend:
      return "MP";
    default:
      return "MS";
  }
}

expectation write_storage_with(writer& to, const request& r, std::string_view block,
                               std::uint64_t cas) {
  to.word(word_of(verb::meta_set)).word(r.key).number(r.value_bytes).flag("E", cas);
  if (r.what == verb::append || r.what == verb::prepend)
    to.word(mode_of(r.what));
  else
    to.time("T", r.exptime).flag("F", r.flags).word(mode_of(r.what));
  if (r.what == verb::cas) to.flag("C", r.number);
  to.end(block);
  return {reply_shape::line, heard(r, treatment::storage_word), change::stored};
}

expectation write_arithmetic(writer& to, const request& r, const unique& cas) {
  if (cas) {
    to.word(word_of(verb::meta_arithmetic))
        .word(r.key)
        .word("v")
        .flag("D", r.number)
        .flag("E", *cas);
    if (r.what == verb::decr) to.word("MD");
    to.end();
    return {reply_shape::meta, heard(r, treatment::number), change::stored};
  }
  to.word(word_of(r.what)).word(r.key).number(r.number).end();
  return {reply_shape::line, heard(r, treatment::as_is), change::stored};
}

change meta_change(const request& r) {
  switch (r.what) {
    case verb::meta_get:
      return r.meta.has('T') || r.meta.has('N') ? change::stored : change::won;
    case verb::meta_delete:
      return r.meta.has('I') || r.meta.has('x') ? change::stored : change::removed;
    default:
      return change::stored;
  }
}

treatment meta_treatment(const request& r) {
  if (r.noreply) return treatment::nothing;
  if (!r.meta.has('q')) return treatment::as_is;
  return r.what == verb::meta_get ? treatment::quiet_get : treatment::quiet;
}

bool takes_unique(const request& r) {
  if (r.meta.has('E')) return false;  // the client's own stays
  switch (r.what) {
    case verb::meta_set:
    case verb::meta_arithmetic:
      return true;
    case verb::meta_get:
      return r.meta.has('N');
    default:
      return r.meta.has('I') || r.meta.has('x');
  }
}

expectation write_meta(writer& to, const request& r, std::string_view block, const unique& cas) {
  to.word(word_of(r.what)).word(r.key);
  if (r.what == verb::meta_set) to.number(r.value_bytes);
  protocol::token_cursor words(r.rest);
  for (auto word = words.next(); !word.empty(); word = words.next())
    if (word.front() != 'q') to.word(word);
  if (cas && takes_unique(r)) to.flag("E", *cas);
  to.end(block);
  return {reply_shape::meta, meta_treatment(r), meta_change(r)};
}

}  // namespace

expectation write_request(byte_buffer& out, const request& r, std::string_view block,
                          const unique& cas) {
  writer to(out);
  switch (r.what) {
    case verb::cas:
      // The meta command takes 0 for any, the classic one for none.
      if (r.number == 0) return write_storage(to, r, block);
      [[fallthrough]];
    case verb::set:
    case verb::add:
    case verb::replace:
    case verb::append:
    case verb::prepend:
      return cas ? write_storage_with(to, r, block, *cas) : write_storage(to, r, block);
    case verb::incr:
    case verb::decr:
      return write_arithmetic(to, r, cas);
    case verb::remove:
      to.word(word_of(r.what)).word(r.key).end();
      return {reply_shape::line, heard(r, treatment::as_is), change::removed};
    case verb::touch:
      to.word(word_of(r.what)).word(r.key).time({}, r.exptime).end();
      return {reply_shape::line, heard(r, treatment::as_is), change::stored};
    case verb::flush_all:
      to.word(word_of(r.what)).time({}, r.exptime).end();
      return {reply_shape::line, heard(r, treatment::as_is), change::none};
    case verb::meta_debug:
      to.word(word_of(r.what)).word(r.key);
      if (r.meta.has('b')) to.word("b");
      to.end();
      return {reply_shape::line, treatment::as_is, change::none};
    default:
      return write_meta(to, r, block, cas);
  }
}

expectation write_retrieval(byte_buffer& out, const request& r, std::string_view key, bool last) {
  writer to(out);
  const bool touching = r.what == verb::gat || r.what == verb::gats;
  to.word(word_of(r.what));
  if (touching) to.time({}, r.exptime);
  to.word(key).end();
  return {reply_shape::values, last ? treatment::as_is : treatment::values_only,
          touching ? change::stored : change::none};
}

expectation join_retrieval(byte_buffer& out, std::string_view key, bool last) {
  out.retract(reply::crlf.size());
  out.append(" ");
  out.append(key);
  out.append(reply::crlf);
  return {reply_shape::values, last ? treatment::as_is : treatment::values_only, change::none,
          true};
}

}  // namespace tandem::backend
