/*
 * What the checker is asked to check. Each prints what it saw, and returns whether that is as it should be.
 */
#ifndef MAPRING_MODEL_CHECK_H
#define MAPRING_MODEL_CHECK_H

#include "model.h"

/* The outcomes of the litmus tests, exactly. */
bool check_litmus(void);

/* The reduction leaves out no outcome: programs made at random, explored with it and without. */
bool check_reduction(uint32_t programs, uint64_t seed);

/* Every scenario, exhaustively if that is done in so many seconds each; the large ones are left out if 0 is given for
 * them. */
bool check_scenarios(double seconds, double large_seconds);

/* Every scenario, at random, so many executions each. */
bool check_random(uint64_t executions, uint64_t seed);

/* One scenario as the options say. */
bool check_one(const char *name, const struct model_options *options);

/* A plain access to shared memory is found, and said where. */
bool check_touch(void);

/* Every mutant of the table is caught, every ordered access has one, and the table in the file is this one; or it is
 * written there. */
bool check_mutants(const char *file, bool write);

/* Which scenarios catch which mutants: for who makes the table. */
void find_mutants(const char *function);

/* Applies "MUTATION:FUNCTION:start of the text", as the table in mutants.c names mutations. False if no site is
 * that. */
bool mutate_by_name(const char *name);

const struct model_program *find_scenario(const char *name);
const struct model_program *scenario_at(uint32_t number); /* NULL behind the last */

#endif
