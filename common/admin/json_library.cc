// Boost.JSON itself, compiled here once: it is used without its shared library.
#include <boost/json/src.hpp>
