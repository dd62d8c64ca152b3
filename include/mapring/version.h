/*
 * The version of the release, of the ABI and of the format in memory.
 */
#ifndef MAPRING_VERSION_H
#define MAPRING_VERSION_H

#include <stdint.h>

#include "export.h"

MAPRING_BEGIN

/* The ABI: counted up when a program built against an older header would break. The build reads the SONAME from here.
 */
#define MAPRING_ABI_VERSION 0

/* The layout of a ring in memory and in a file (lib/layout.h). */
#define MAPRING_FORMAT_VERSION 1

/*
 * The release as "major.minor.patch" (static string), the ABI version and the
 * format version that the library in use was built with.
 *
 * Any thread, any time; does not block.
 */
MAPRING_API const char *mapring_version(void);
MAPRING_API int32_t mapring_abi_version(void);
MAPRING_API int32_t mapring_format_version(void);

MAPRING_END

#endif
