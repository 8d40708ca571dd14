// The version of Soma: the build reads it from here. Semantic versioning 2.0: before 1.0.0 the
// interface may change with each minor version.
#pragma once

#define SOMA_VERSION_MAJOR 0
#define SOMA_VERSION_MINOR 1
#define SOMA_VERSION_PATCH 0

#define SOMA_VERSION_TEXT_(major, minor, patch) #major "." #minor "." #patch
#define SOMA_VERSION_TEXT(major, minor, patch) SOMA_VERSION_TEXT_(major, minor, patch)

namespace soma {

/// "0.1.0"
inline constexpr const char* version_text =
    SOMA_VERSION_TEXT(SOMA_VERSION_MAJOR, SOMA_VERSION_MINOR, SOMA_VERSION_PATCH);

}  // namespace soma
