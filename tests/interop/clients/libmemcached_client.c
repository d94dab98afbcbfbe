// libmemcached in C: what it does and prints, see ../interop.py.
// Usage: libmemcached_client exercise HOST PORT | failover HOST PORT PORT
#include <libmemcached/memcached.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { big_bytes = (1 << 20) - 1024, keys = 100, attempts_max = 100 };

static int failures = 0;
static int repeated = 0;

static bool check(const char* what, bool good) {
  if (good) {
    printf("pass %s\n", what);
  } else {
    ++failures;
    printf("fail %s: it did not\n", what);
  }
  return good;
}

static bool returns(const char* what, memcached_return_t got, memcached_return_t wanted) {
  if (got == wanted) return check(what, true);
  ++failures;
  printf("fail %s: %s, not %s\n", what, memcached_strerror(NULL, got),
         memcached_strerror(NULL, wanted));
  return false;
}

typedef memcached_return_t (*storer)(memcached_st*, const char*, size_t, const char*, size_t,
                                     time_t, uint32_t);

static memcached_return_t put(storer how, memcached_st* mc, const char* key, const char* value) {
  return how(mc, key, strlen(key), value, strlen(value), 0, 42);
}

// Whether the key has this value, and the flags that put() gives.
static bool has(memcached_st* mc, const char* key, const char* value, size_t size) {
  size_t length = 0;
  uint32_t flags = 0;
  memcached_return_t rc;
  char* const got = memcached_get(mc, key, strlen(key), &length, &flags, &rc);
  const bool same = rc == MEMCACHED_SUCCESS && length == size && flags == 42 &&
                    (size == 0 || memcmp(got, value, size) == 0);
  free(got);
  return same;
}

static bool has_text(memcached_st* mc, const char* key, const char* value) {
  return has(mc, key, value, strlen(value));
}

static memcached_return_t get_status(memcached_st* mc, const char* key) {
  size_t length = 0;
  uint32_t flags = 0;
  memcached_return_t rc;
  free(memcached_get(mc, key, strlen(key), &length, &flags, &rc));
  return rc;
}

static bool eventually(bool (*condition)(memcached_st*), memcached_st* mc) {
  for (int i = 0; i < attempts_max; ++i) {
    if (condition(mc)) return true;
    usleep(50000);
  }
  return false;
}

static bool is_gone(memcached_st* mc) {
  return get_status(mc, "gone") == MEMCACHED_NOTFOUND;
}
static bool has_buffered(memcached_st* mc) {
  return has_text(mc, "b999", "buffered");
}
static bool has_silent(memcached_st* mc) {
  return has_text(mc, "q999", "silent");
}

static void exercise_storage(memcached_st* mc) {
  returns("flush", memcached_flush(mc, 0), MEMCACHED_SUCCESS);
  returns("get of nothing", get_status(mc, "none"), MEMCACHED_NOTFOUND);
  returns("set", put(memcached_set, mc, "k", "v"), MEMCACHED_SUCCESS);
  check("get", has_text(mc, "k", "v"));
  returns("add of what is there", put(memcached_add, mc, "k", "x"), MEMCACHED_NOTSTORED);
  returns("add", put(memcached_add, mc, "k2", "x"), MEMCACHED_SUCCESS);
  returns("replace", put(memcached_replace, mc, "k2", "y"), MEMCACHED_SUCCESS);
  returns("replace of nothing", put(memcached_replace, mc, "none", "y"), MEMCACHED_NOTSTORED);
  returns("append", put(memcached_append, mc, "k2", "z"), MEMCACHED_SUCCESS);
  returns("prepend", put(memcached_prepend, mc, "k2", "x"), MEMCACHED_SUCCESS);
  check("the joined value", has_text(mc, "k2", "xyz"));
  returns("set of nothing", put(memcached_set, mc, "empty", ""), MEMCACHED_SUCCESS);
  check("get of an empty value", has_text(mc, "empty", ""));
  returns("touch", memcached_touch(mc, "k", 1, 100), MEMCACHED_SUCCESS);
  returns("touch of nothing", memcached_touch(mc, "none", 4, 100), MEMCACHED_NOTFOUND);
  returns("delete", memcached_delete(mc, "k", 1, 0), MEMCACHED_SUCCESS);
  returns("delete of nothing", memcached_delete(mc, "k", 1, 0), MEMCACHED_NOTFOUND);
  memcached_set(mc, "gone", 4, "v", 1, 1, 42);
  check("expiry", eventually(is_gone, mc));
}

static void exercise_numbers(memcached_st* mc) {
  uint64_t number = 0;
  put(memcached_set, mc, "n", "10");
  returns("increment", memcached_increment(mc, "n", 1, 5, &number), MEMCACHED_SUCCESS);
  check("incremented", number == 15);
  returns("decrement", memcached_decrement(mc, "n", 1, 20, &number), MEMCACHED_SUCCESS);
  check("decremented", number == 0);
  returns("increment of nothing", memcached_increment(mc, "none", 4, 1, &number),
          MEMCACHED_NOTFOUND);
}

static void exercise_many(memcached_st* mc) {
  enum { many = 500 };
  static char names[many + 1][16];
  static const char* keys_of[many + 1];
  static size_t lengths[many + 1];
  for (int i = 0; i <= many; ++i) {
    snprintf(names[i], sizeof names[i], "m%d", i);
    keys_of[i] = names[i];
    lengths[i] = strlen(names[i]);
    if (i < many) put(memcached_set, mc, names[i], names[i]);
  }
  returns("mget", memcached_mget(mc, keys_of, lengths, many + 1), MEMCACHED_SUCCESS);
  memcached_result_st result;
  memcached_result_create(mc, &result);
  memcached_return_t rc;
  int good = 0;
  while (memcached_fetch_result(mc, &result, &rc) != NULL) {
    const size_t length = memcached_result_key_length(&result);
    good +=
        length == memcached_result_length(&result) &&
        memcmp(memcached_result_key_value(&result), memcached_result_value(&result), length) == 0;
  }
  memcached_result_free(&result);
  check("what mget found", good == many);
}

static uint64_t unique_of(memcached_st* mc, const char* key) {
  const size_t length = strlen(key);
  uint64_t unique = 0;
  memcached_return_t rc;
  memcached_mget(mc, &key, &length, 1);
  memcached_result_st* const result = memcached_fetch_result(mc, NULL, &rc);
  if (result != NULL) {
    unique = memcached_result_cas(result);
    memcached_result_free(result);
  }
  while ((free(memcached_fetch(mc, NULL, NULL, NULL, NULL, &rc)), rc) == MEMCACHED_SUCCESS) {
  }
  return unique;
}

static void exercise_cas(memcached_st* mc) {
  memcached_behavior_set(mc, MEMCACHED_BEHAVIOR_SUPPORT_CAS, 1);
  const uint64_t unique = unique_of(mc, "k2");
  check("gets", unique != 0);
  returns("cas", memcached_cas(mc, "k2", 2, "w", 1, 0, 42, unique), MEMCACHED_SUCCESS);
  returns("cas too late", memcached_cas(mc, "k2", 2, "q", 1, 0, 42, unique), MEMCACHED_DATA_EXISTS);
  returns("cas of nothing", memcached_cas(mc, "none", 4, "q", 1, 0, 42, unique),
          MEMCACHED_NOTFOUND);
  memcached_behavior_set(mc, MEMCACHED_BEHAVIOR_SUPPORT_CAS, 0);
}

static void exercise_sizes(memcached_st* mc) {
  char name[251];
  memset(name, 'k', 250);
  name[250] = '\0';
  returns("set with a key of 250 bytes", put(memcached_set, mc, name, "long"), MEMCACHED_SUCCESS);
  check("get with a key of 250 bytes", has_text(mc, name, "long"));
  char binary[256 + 7];
  for (int i = 0; i < 256; ++i) binary[i] = (char)i;
  memcpy(binary + 256, "\r\nEND\r\n", 7);
  returns("set of a binary value",
          memcached_set(mc, "left:binary", 11, binary, sizeof binary, 0, 42), MEMCACHED_SUCCESS);
  check("get of a binary value", has(mc, "left:binary", binary, sizeof binary));
  char* const big = malloc(2 << 20);
  memset(big, 'x', 2 << 20);
  returns("set of a large value", memcached_set(mc, "left:large", 10, big, big_bytes, 0, 42),
          MEMCACHED_SUCCESS);
  check("get of a large value", has(mc, "left:large", big, big_bytes));
  check("set of too large a value",
        memcached_set(mc, "large", 5, big, 2 << 20, 0, 42) != MEMCACHED_SUCCESS);
  check("in step after it", has_text(mc, name, "long"));
  free(big);
}

static void exercise_silence(memcached_st* mc) {
  char key[16];
  memcached_st* const buffered = memcached_clone(NULL, mc);
  memcached_behavior_set(buffered, MEMCACHED_BEHAVIOR_BUFFER_REQUESTS, 1);
  for (int i = 0; i < 1000; ++i) {
    snprintf(key, sizeof key, "b%d", i);
    put(memcached_set, buffered, key, "buffered");
  }
  returns("flush_buffers", memcached_flush_buffers(buffered), MEMCACHED_SUCCESS);
  check("buffered stores", eventually(has_buffered, mc));
  memcached_free(buffered);
  memcached_st* const silent = memcached_clone(NULL, mc);
  memcached_behavior_set(silent, MEMCACHED_BEHAVIOR_NOREPLY, 1);
  for (int i = 0; i < 1000; ++i) {
    snprintf(key, sizeof key, "q%d", i);
    put(memcached_set, silent, key, "silent");
  }
  check("stores without replies", eventually(has_silent, mc));
  memcached_free(silent);
}

static void exercise(memcached_st* mc) {
  exercise_storage(mc);
  exercise_numbers(mc);
  exercise_many(mc);
  exercise_cas(mc);
  exercise_sizes(mc);
  exercise_silence(mc);
  returns("version", memcached_version(mc), MEMCACHED_SUCCESS);
  memcached_return_t rc;
  memcached_stat_st* const stat = memcached_stat(mc, NULL, &rc);
  returns("stats", rc, MEMCACHED_SUCCESS);
  memcached_stat_free(mc, stat);
  put(memcached_set, mc, "left:text", "text");
  put(memcached_set, mc, "left:number", "7");
}

// Tries until it succeeds.
static bool stores(memcached_st* mc, char name, int number) {
  char key[16];
  snprintf(key, sizeof key, "%c%d", name, number);
  for (int i = 0; i < attempts_max; ++i) {
    if (put(memcached_set, mc, key, key) == MEMCACHED_SUCCESS) return true;
    usleep(100000);
  }
  return false;
}

static bool reads(memcached_st* mc, char name, int number) {
  char key[16];
  snprintf(key, sizeof key, "%c%d", name, number);
  for (int i = 0; i < attempts_max; ++i) {
    if (has_text(mc, key, key)) return true;
    ++repeated;
    usleep(100000);
  }
  return false;
}

static void failover(memcached_st* mc) {
  memcached_behavior_set(mc, MEMCACHED_BEHAVIOR_KETAMA, 1);
  memcached_behavior_set(mc, MEMCACHED_BEHAVIOR_REMOVE_FAILED_SERVERS, 1);
  memcached_behavior_set(mc, MEMCACHED_BEHAVIOR_SERVER_FAILURE_LIMIT, 1);
  memcached_behavior_set(mc, MEMCACHED_BEHAVIOR_RETRY_TIMEOUT, 1);
  // Without it a dead node is left out for one to two seconds, counted in whole ones from the first
  // failure; then it gets its keys back and is never tried again: each request for them fails.
  memcached_behavior_set(mc, MEMCACHED_BEHAVIOR_DEAD_TIMEOUT, 60);
  bool good = true;
  for (int i = 0; i < keys; ++i) good &= stores(mc, 'f', i);
  check("stores before the failover", good);
  puts("stored");
  getchar();
  for (int i = 0; i < keys; ++i) good &= reads(mc, 'f', i);
  check("reads what was stored before", good);
  printf("failed %d\n", repeated);
  for (int i = 0; i < keys; ++i) good &= stores(mc, 'g', i);
  check("stores afterwards", good);
  for (int i = 0; i < keys; ++i) good &= reads(mc, 'g', i);
  check("reads it", good);
}

int main(int argc, char** argv) {
  if (argc < 4) return 2;
  setvbuf(stdout, NULL, _IOLBF, 0);
  memcached_st* const mc = memcached_create(NULL);
  for (int i = 3; i < argc; ++i) memcached_server_add(mc, argv[2], (in_port_t)atoi(argv[i]));
  if (strcmp(argv[1], "exercise") == 0)
    exercise(mc);
  else
    failover(mc);
  memcached_free(mc);
  puts("end");
  return failures == 0 ? 0 : 1;
}
