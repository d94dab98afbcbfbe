// The status page: proxy/status_page.html as it was when this was built (CMakeLists.txt makes the
// code of it). Asks for nothing but /status.
#pragma once

#include <string_view>

namespace tandem::proxy {

extern const std::string_view status_page;

}  // namespace tandem::proxy
