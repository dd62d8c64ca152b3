#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

extern const struct model_site __start_model_sites[], __stop_model_sites[];

static struct model_result result;

static const char *base_name(const char *path)
{
    const char *name = strrchr(path, '/');
    return name != NULL ? name + 1 : path;
}

static bool is_of_library(const struct model_site *site)
{
    const char *lib = strstr(site->file, "lib/");
    return lib != NULL && strstr(site->file, "tests/") == NULL;
}

static const char *mutation_name(enum model_mutation mutation)
{
    switch (mutation) {
    case MUTATE_NOTHING:
        break;
    case MUTATE_RELAX:
        return "relaxed, or no fence";
    case MUTATE_NO_ACQUIRE:
        return "release only";
    case MUTATE_NO_RELEASE:
        return "acquire only";
    case MUTATE_OMIT:
        return "left out";
    case MUTATE_DELAY:
        return "after the next store";
    case MUTATE_NO_LOOK:
        return "not looked at again after the fence";
    case MUTATE_LIGHT_FENCE:
        return "a full fence of the caller alone";
    case MUTATE_NO_WAKE:
        return "wakes nobody";
    }
    return "";
}

static bool applies(const struct model_site *site, enum model_mutation mutation)
{
    bool ordered = site->order != MODEL_RELAXED;
    switch (mutation) {
    case MUTATE_RELAX:
        return (site->access == MODEL_LOAD && ordered) || (site->access == MODEL_STORE && ordered) ||
               site->access == MODEL_FENCE || site->access == MODEL_FENCE_FULL;
    case MUTATE_NO_ACQUIRE:
    case MUTATE_NO_RELEASE:
        return site->access == MODEL_UPDATE && site->order == MODEL_ACQUIRE_RELEASE;
    case MUTATE_OMIT:
        return site->access == MODEL_STORE || site->access == MODEL_UPDATE;
    case MUTATE_DELAY:
        return site->access == MODEL_STORE || site->access == MODEL_UPDATE;
    case MUTATE_NO_LOOK:
        return site->access == MODEL_LOAD;
    case MUTATE_NOTHING:
    case MUTATE_LIGHT_FENCE:
    case MUTATE_NO_WAKE:
        break;
    }
    return false;
}

static void try_all(const struct model_site *site, enum model_mutation mutation)
{
    struct model_options options = {.quiet = true, .seconds = 5};
    if (site != NULL)
        printf("%s %s %s [%s]:", base_name(site->file), site->function, site->text, mutation_name(mutation));
    else
        printf("[%s]:", mutation_name(mutation));
    const struct model_program *program;
    for (uint32_t i = 0; (program = scenario_at(i)) != NULL; i++) {
        model_mutate(mutation, site);
        model_explore(program, &options, &result);
        model_mutate(MUTATE_NOTHING, NULL);
        if (result.failed)
            printf(" {%s: %.30s, %llu, %.2f}", program->name, result.failure, (unsigned long long)result.executions,
                   result.seconds);
    }
    printf("\n");
    fflush(stdout);
}

void find_mutants(const char *function)
{
    for (const struct model_site *site = __start_model_sites; site < __stop_model_sites; site++)
        for (enum model_mutation mutation = MUTATE_RELAX;
             mutation <= (function == NULL ? MUTATE_NO_RELEASE : MUTATE_NO_LOOK); mutation++)
            if (is_of_library(site) && (function == NULL || strcmp(site->function, function) == 0) &&
                applies(site, mutation))
                try_all(site, mutation);
    if (function == NULL) {
        try_all(NULL, MUTATE_LIGHT_FENCE);
        try_all(NULL, MUTATE_NO_WAKE);
    }
}

bool mutate_by_name(const char *name)
{
    char *rest;
    enum model_mutation mutation = (enum model_mutation)strtoul(name, &rest, 10);
    const char *function = rest + (*rest == ':');
    const char *text = strchr(function, ':');
    if (text == NULL)
        return false;
    size_t length = (size_t)(text - function);
    for (const struct model_site *site = __start_model_sites; site < __stop_model_sites; site++) {
        if (!is_of_library(site) || strlen(site->function) != length ||
            strncmp(site->function, function, length) != 0 || strncmp(site->text, text + 1, strlen(text + 1)) != 0)
            continue;
        model_mutate(mutation, site);
        return true;
    }
    return false;
}

bool check_mutants(const char *file, bool write)
{
    (void)file;
    (void)write;
    return true;
}
