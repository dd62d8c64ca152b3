#include "mutants.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

/* All sites of the program, by the linker. */
extern const struct model_site __start_model_sites[], __stop_model_sites[];

#define FIRST_SITE __start_model_sites
#define BEHIND_SITES __stop_model_sites

/* Some mutants are caught at once, some sooner at random; one that is not found in the last of these is not caught. */
static const struct model_options attempts[] = {
    {.quiet = true, .seconds = 1},
    {.quiet = true, .seconds = 3, .random = true, .executions = 100000, .seed = 1},
    {.quiet = true, .seconds = 60},
};

static struct model_result result;

/* Names. */

static const struct {
    const char *word;
    const char *text;
} names[] = {
    [MUTATE_NOTHING] = {"nothing", ""},
    [MUTATE_RELAX] = {"relax", "relaxed"},
    [MUTATE_NO_ACQUIRE] = {"no-acquire", "no acquire"},
    [MUTATE_NO_RELEASE] = {"no-release", "no release"},
    [MUTATE_OMIT] = {"omit", "left out"},
    [MUTATE_DELAY] = {"delay", "behind the next store"},
    [MUTATE_LATE] = {"late", "behind the next store"},
    [MUTATE_SPLIT] = {"split", "a load, then a store"},
    [MUTATE_NO_LOOK] = {"no-look", "no second look"},
    [MUTATE_LIGHT_FENCE] = {"light-fence", "a full fence of the caller alone"},
    [MUTATE_NO_WAKE] = {"no-wake", "wakes nobody"},
};

static const char *mutation_text(enum model_mutation mutation, const struct model_site *site)
{
    if (mutation == MUTATE_RELAX && site != NULL && site->access == MODEL_FENCE)
        return "left out";
    if (mutation == MUTATE_RELAX && site != NULL && site->access == MODEL_FENCE_FULL)
        return "acquire and release only";
    return names[mutation].text;
}

/* Sites. */

static const char *file_name(const struct model_site *site)
{
    const char *name = strrchr(site->file, '/');
    return name != NULL ? name + 1 : site->file;
}

/* The library gives its own functions a prefix for the linker. */
static const char *function_name(const struct model_site *site)
{
    static const char prefix[] = "mapring_private_";
    size_t length = sizeof prefix - 1;
    return strncmp(site->function, prefix, length) == 0 ? site->function + length : site->function;
}

static bool is_of_library(const struct model_site *site)
{
    return strstr(site->file, "lib/") != NULL && strstr(site->file, "tests/") == NULL;
}

static bool is_ordered(const struct model_site *site)
{
    return site->access == MODEL_UPDATE || site->access == MODEL_FENCE || site->access == MODEL_FENCE_FULL ||
           ((site->access == MODEL_LOAD || site->access == MODEL_STORE) && site->order != MODEL_RELAXED);
}

static bool has_no_site(const struct mutant *mutant)
{
    return mutant->mutation >= MUTATE_LIGHT_FENCE;
}

static bool is_at(const struct mutant *mutant, const struct model_site *site)
{
    return is_of_library(site) && strcmp(file_name(site), mutant->file) == 0 &&
           strcmp(function_name(site), mutant->function) == 0 &&
           strncmp(site->text, mutant->text, strlen(mutant->text)) == 0;
}

/* The site of a mutant. Several that read the same go to the mutants that read the same, in the order of lines. */
static const struct model_site *site_of(const struct mutant *mutant)
{
    uint32_t skip = 0;
    for (const struct mutant *other = mutants; other < mutant; other++)
        skip += strcmp(other->file, mutant->file) == 0 && strcmp(other->function, mutant->function) == 0 &&
                strcmp(other->text, mutant->text) == 0 && other->mutation == mutant->mutation;
    uint32_t line = 0;
    for (;;) {
        const struct model_site *next = NULL;
        for (const struct model_site *site = FIRST_SITE; site < BEHIND_SITES; site++)
            if (is_at(mutant, site) && site->line > line && (next == NULL || site->line < next->line))
                next = site;
        if (next == NULL || skip == 0)
            return next;
        line = next->line;
        skip--;
    }
}

bool mutate_by_name(const char *name)
{
    const char *function = strchr(name, ':');
    const char *text = function != NULL ? strchr(function + 1, ':') : NULL;
    if (text == NULL)
        return false;
    function++;
    text++;
    size_t length = (size_t)(text - 1 - function);
    for (uint32_t i = MUTATE_RELAX; i < sizeof names / sizeof *names; i++) {
        if (strlen(names[i].word) != (size_t)(function - 1 - name) ||
            strncmp(names[i].word, name, strlen(names[i].word)) != 0)
            continue;
        if (i >= MUTATE_LIGHT_FENCE) {
            model_mutate((enum model_mutation)i, NULL);
            return true;
        }
        for (const struct model_site *site = FIRST_SITE; site < BEHIND_SITES; site++)
            if (is_of_library(site) && strlen(function_name(site)) == length &&
                strncmp(function_name(site), function, length) == 0 && strncmp(site->text, text, strlen(text)) == 0) {
                model_mutate((enum model_mutation)i, site);
                return true;
            }
    }
    return false;
}

/* Who catches what. */

static void try_all(const struct model_site *site, enum model_mutation mutation)
{
    struct model_options options = {.quiet = true, .seconds = 3};
    printf("%s %s %s [%s]:", file_name(site), function_name(site), site->text, names[mutation].word);
    const struct model_program *program;
    for (uint32_t i = 0; (program = scenario_at(i)) != NULL; i++) {
        model_mutate(mutation, site);
        model_explore(program, &options, &result);
        model_mutate(MUTATE_NOTHING, NULL);
        if (result.failed)
            printf(" {%s: %.30s, %.1f s}", program->name, result.failure, result.seconds);
        fflush(stdout);
    }
    printf("\n");
}

void find_mutants(const char *function)
{
    for (const struct model_site *site = FIRST_SITE; site < BEHIND_SITES; site++)
        if (is_of_library(site) && is_ordered(site) && (function == NULL || strcmp(function_name(site), function) == 0))
            try_all(site, site->access == MODEL_UPDATE ? MUTATE_DELAY : MUTATE_RELAX);
}

/* The table. */

static bool check_mutant(const struct mutant *mutant)
{
    const struct model_site *site = has_no_site(mutant) ? NULL : site_of(mutant);
    printf("%s %s(): %s, %s: ", mutant->file, mutant->function, mutant->text, mutation_text(mutant->mutation, site));
    if (site == NULL && !has_no_site(mutant)) {
        printf("NO SUCH ACCESS\n");
        return false;
    }
    if (mutant->scenario == NULL) {
        printf("%s\n", mutant->unshown);
        return true;
    }
    const struct model_program *program = find_scenario(mutant->scenario);
    if (program == NULL) {
        printf("NO SCENARIO '%s'\n", mutant->scenario);
        return false;
    }
    model_mutate(mutant->mutation, site);
    result.failed = false;
    for (uint32_t i = 0; i < sizeof attempts / sizeof *attempts && !result.failed; i++)
        model_explore(program, &attempts[i], &result);
    model_mutate(MUTATE_NOTHING, NULL);
    printf("%s '%s'", result.failed ? "caught by" : "NOT CAUGHT by", mutant->scenario);
    if (result.failed)
        printf(": %s, %llu executions, %.2f s", result.failure, (unsigned long long)result.executions, result.seconds);
    printf("\n");
    fflush(stdout);
    return result.failed;
}

/* Every ordered access has a mutant. */
static bool check_cover(void)
{
    bool right = true;
    for (const struct model_site *site = FIRST_SITE; site < BEHIND_SITES; site++) {
        bool covered = !is_of_library(site) || !is_ordered(site);
        for (uint32_t i = 0; i < mutant_count && !covered; i++)
            covered = !has_no_site(&mutants[i]) && site_of(&mutants[i]) != NULL &&
                      model_same_site(site_of(&mutants[i]), site);
        if (!covered) {
            printf("%s:%u %s(): %s HAS NO MUTANT in tests/model/mutant_table.c\n", file_name(site), site->line,
                   function_name(site), site->text);
            right = false;
        }
    }
    return right;
}

static const char begin_mark[] = "<!-- The table is written by mapring-model mutants --write. -->\n";
static const char end_mark[] = "<!-- End of the table. -->\n";

static void print_cell(FILE *out, const char *text)
{
    fputs(" `", out);
    for (; *text != 0; text++) {
        if (*text == '|')
            fputc('\\', out);
        fputc(*text, out);
    }
    fputs("` |", out);
}

static char *make_table(void)
{
    char *table = NULL;
    size_t size;
    FILE *out = open_memstream(&table, &size);
    if (out == NULL)
        return NULL;
    fputs("| where | access | partner | mutant | caught by |\n|---|---|---|---|---|\n", out);
    for (uint32_t i = 0; i < mutant_count; i++) {
        const struct mutant *mutant = &mutants[i];
        const struct model_site *site = has_no_site(mutant) ? NULL : site_of(mutant);
        fprintf(out, "| %s, %s() |", mutant->file, mutant->function);
        print_cell(out, site != NULL ? site->text : mutant->text);
        fprintf(out, " %s | %s | %s |\n", mutant->partner, mutation_text(mutant->mutation, site),
                mutant->scenario != NULL ? mutant->scenario : mutant->unshown);
    }
    fclose(out);
    return table;
}

static char *read_whole(const char *file)
{
    FILE *in = fopen(file, "r");
    if (in == NULL)
        return NULL;
    char *text = calloc(1, (size_t)1 << 20);
    if (text != NULL)
        text[fread(text, 1, ((size_t)1 << 20) - 1, in)] = 0;
    fclose(in);
    return text;
}

/* Compares the table with that in the file, or puts it there. */
static bool check_file(const char *file, bool write)
{
    char *text = read_whole(file);
    char *table = make_table();
    char *start = text != NULL ? strstr(text, begin_mark) : NULL;
    char *end = start != NULL ? strstr(start, end_mark) : NULL;
    bool right = false;
    if (end == NULL || table == NULL) {
        printf("%s has no place for the table\n", file);
    } else {
        start += sizeof begin_mark - 1;
        right = (size_t)(end - start) == strlen(table) && strncmp(start, table, strlen(table)) == 0;
        if (!right && write) {
            FILE *out = fopen(file, "w");
            right = out != NULL && fwrite(text, 1, (size_t)(start - text), out) == (size_t)(start - text) &&
                    fputs(table, out) >= 0 && fputs(end, out) >= 0;
            right &= out != NULL && fclose(out) == 0;
        }
        if (!right)
            printf("The table in %s is stale: mapring-model mutants %s --write\n", file, file);
    }
    free(text);
    free(table);
    return right;
}

bool check_mutants(const char *file, bool write)
{
    uint32_t caught = 0, unshown = 0;
    bool right = true;
    for (uint32_t i = 0; i < mutant_count; i++) {
        bool passed = check_mutant(&mutants[i]);
        right &= passed;
        caught += passed && mutants[i].scenario != NULL;
        unshown += mutants[i].scenario == NULL;
    }
    right &= check_cover();
    right &= check_file(file, write);
    printf("%u mutants, %u of them caught, %u that no scenario can show, as the table says\n", mutant_count, caught,
           unshown);
    return right;
}
