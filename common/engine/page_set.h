// A set of page numbers from which runs are taken, going round: neighbours that were put in one
// after the other tend to leave together. Private to the engine.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <vector>

namespace tandem::engine {

class page_set {
 public:
  struct run {
    std::uint32_t first = 0;
    std::uint32_t pages = 0;  // 0: none
  };

  // Room for the numbers below `pages`. Throws std::bad_alloc.
  void grow(std::size_t pages) {
    words_.resize(std::max(words_.size(), (pages + 63) / 64));
    summary_.resize(std::max(summary_.size(), (words_.size() + 63) / 64));
  }
  std::size_t size() const noexcept { return size_; }

  // The pages of the run are not in the set, and below what it was grown to.
  void insert(run r) noexcept {
    size_ += r.pages;
    for_words(r, [this](std::size_t word, std::uint64_t bits) {
      words_[word] |= bits;
      summary_[word / 64] |= std::uint64_t{1} << word % 64;
    });
  }
  // The next run, of at most `pages_max` pages; it leaves the set.
  run take(std::uint32_t pages_max) noexcept {
    if (size_ == 0 || pages_max == 0) return {};
    run taken{next(), 0};
    while (taken.pages < pages_max && contains(taken.first + taken.pages)) ++taken.pages;
    for_words(taken, [this](std::size_t word, std::uint64_t bits) {
      words_[word] &= ~bits;
      if (words_[word] == 0) summary_[word / 64] &= ~(std::uint64_t{1} << word % 64);
    });
    size_ -= taken.pages;
    from_ = taken.first + taken.pages;
    return taken;
  }

 private:
  bool contains(std::size_t page) const noexcept {
    return page / 64 < words_.size() && (words_[page / 64] >> page % 64 & 1U) != 0;
  }
  // The first page at or after from_, going round; there is one.
  std::uint32_t next() const noexcept {
    std::size_t word = from_ / 64;
    if (word < words_.size()) {
      const std::uint64_t rest = words_[word] & ~std::uint64_t{0} << from_ % 64;
      if (rest != 0) return static_cast<std::uint32_t>(word * 64) + lowest(rest);
    }
    ++word;
    for (std::size_t n = 0; n <= summary_.size(); ++n) {
      const std::size_t at = word / 64;
      if (at < summary_.size()) {
        const std::uint64_t rest = summary_[at] & ~std::uint64_t{0} << word % 64;
        if (rest != 0) {
          const std::size_t found = at * 64 + lowest(rest);
          return static_cast<std::uint32_t>(found * 64) + lowest(words_[found]);
        }
      }
      word = at + 1 < summary_.size() ? (at + 1) * 64 : 0;
    }
    return 0;
  }
  static std::uint32_t lowest(std::uint64_t bits) noexcept {
    return static_cast<std::uint32_t>(std::countr_zero(bits));
  }
  template <class Use>
  static void for_words(run r, const Use& use) noexcept {
    for (std::size_t at = r.first, end = at + r.pages; at < end;) {
      const std::size_t n = std::min<std::size_t>(64 - at % 64, end - at);
      use(at / 64, (n == 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << n) - 1) << at % 64);
      at += n;
    }
  }

  std::vector<std::uint64_t> words_;    // a bit for each page
  std::vector<std::uint64_t> summary_;  // a bit for each word that is not 0
  std::size_t size_ = 0;
  std::size_t from_ = 0;
};

}  // namespace tandem::engine
