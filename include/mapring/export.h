/*
 * How the public symbols leave the library.
 *
 * On Windows, define MAPRING_STATIC when linking the static library.
 * MAPRING_BUILDING is defined by the build of the library itself.
 */
#ifndef MAPRING_EXPORT_H
#define MAPRING_EXPORT_H

#if defined(_WIN32)
#if defined(MAPRING_STATIC)
#define MAPRING_API
#elif defined(MAPRING_BUILDING)
#define MAPRING_API __declspec(dllexport)
#else
#define MAPRING_API __declspec(dllimport)
#endif
#elif defined(__GNUC__)
#define MAPRING_API __attribute__((visibility("default")))
#else
#define MAPRING_API
#endif

#if defined(__cplusplus)
#define MAPRING_BEGIN extern "C" {
#define MAPRING_END }
#else
#define MAPRING_BEGIN
#define MAPRING_END
#endif

#endif
