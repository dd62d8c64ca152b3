/*
 * The mutants: each ordered access of the library, made weaker in one way.
 */
#ifndef MAPRING_MODEL_MUTANTS_H
#define MAPRING_MODEL_MUTANTS_H

#include "model.h"

struct mutant {
    const char *file;
    const char *function;
    const char *text; /* how the access begins, as it is written there */
    enum model_mutation mutation;
    const char *partner;
    const char *scenario; /* that catches it; NULL: none, */
    const char *unshown;  /* for this reason */
};

extern const struct mutant mutants[];
extern const uint32_t mutant_count;

#endif
