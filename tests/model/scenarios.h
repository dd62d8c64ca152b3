/*
 * What the protocols are put through, each scenario with its invariant in words.
 */
#ifndef MAPRING_MODEL_SCENARIOS_H
#define MAPRING_MODEL_SCENARIOS_H

#include "model.h"

extern const struct model_program stream_scenarios[];  /* publishing, reading, room, joining */
extern const struct model_program parking_scenarios[]; /* sleeping and waking */
extern const struct model_program waiting_scenarios[]; /* who is woken when, and waits that are ended */
extern const struct model_program death_scenarios[];   /* dying, taking over, reclaiming */
extern const struct model_program lossy_scenarios[];   /* reading what may be overwritten, being let go */
extern const struct model_program group_scenarios[];   /* competing consumers, */
extern const struct model_program heir_scenarios[];    /* and what they leave to each other */
extern const struct model_program named_scenarios[];   /* coming back */
extern const struct model_program verify_scenarios[];  /* verifying a ring in use */

/* Each list ends with a scenario that has no name. */

#endif
