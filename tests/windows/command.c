/*
 * The mapring command on Windows: pub, sub, ls and stat, as processes with
 * pipes between them.  command PATH-OF-MAPRING.EXE
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"

static const char *mapring;

#define OUTPUT_MAX (4u << 20)

/* Ends a command's input, unless it is being fed, and reads all that it writes, and its exit code. The caller frees it;
 * it ends with a zero. */
static char *finish(struct child *child, uint32_t exit_code, size_t *size)
{
    char *output = malloc(OUTPUT_MAX + 1);
    if (output == NULL)
        exit(1);
    close_input(child);
    size_t got = read_child(child, output, OUTPUT_MAX);
    output[got] = 0;
    CHECK_IS(end_child(child), exit_code);
    if (size != NULL)
        *size = got;
    return output;
}

/* Runs a command that has no input, and whose output, errors and all, is to contain a text. */
static void expect_output(const char *const *arguments, uint32_t exit_code, const char *text)
{
    struct child child = start_child_with_errors(mapring, arguments);
    char *output = finish(&child, exit_code, NULL);
    if (!CHECK(strstr(output, text) != NULL))
        printf("'%s' is not in: %s\n", text, output);
    free(output);
}

static size_t count_lines(const char *text)
{
    size_t lines = 0;
    for (; *text != 0; text++)
        lines += *text == '\n';
    return lines;
}

/* Waits until a command's output contains a text, or the time of all tests is up. */
static void await_output(const char *const *arguments, const char *text)
{
    for (bool found = false; !found;) {
        struct child child = start_child_with_errors(mapring, arguments);
        close_input(&child);
        char *output = malloc(OUTPUT_MAX + 1);
        if (output == NULL)
            exit(1);
        output[read_child(&child, output, OUTPUT_MAX)] = 0;
        end_child(&child);
        found = strstr(output, text) != NULL;
        free(output);
    }
}

/* Feeds one pub, and checks what two subs make of it. */
static void through_a_ring(const char *use, const char *pub_option, const char *pub_value, const char *sub_option,
                           const void *input, size_t input_size)
{
    char name[NAME_SIZE];
    unique_name(name, use);
    const char *sub[] = {"sub", name, sub_option, NULL};
    const char *pub[] = {"pub", name, "--wait-consumers", "2", "--timeout", "60s", pub_option, pub_value, NULL};
    struct child subs[2] = {start_child(mapring, sub), start_child(mapring, sub)};
    struct child publisher = start_child(mapring, pub);
    feed_child(&publisher, input, input_size);
    for (int i = 0; i < 2; i++) {
        size_t size;
        char *output = finish(&subs[i], 0, &size);
        CHECK_IS((int64_t)size, (int64_t)input_size);
        CHECK(size == input_size && memcmp(output, input, size) == 0);
        free(output);
    }
    free(finish(&publisher, 0, NULL));
}

static void lines_arrive(void)
{
    static const char lines[] = "first\n\nthird \xc3\xa4 with \t a tab and a carriage return\r\nlast\n";
    through_a_ring("lines", NULL, NULL, NULL, lines, sizeof lines - 1);
}

static void blocks_arrive(void)
{
    static uint8_t blocks[1 << 20];
    for (size_t i = 0; i < sizeof blocks; i++)
        blocks[i] = (uint8_t)(i * 2654435761u >> 13);
    through_a_ring("blocks", "--raw", "1000", "--raw", blocks, sizeof blocks);
}

static void frames_arrive(void)
{
    static uint8_t frames[200000];
    size_t used = 0;
    for (uint32_t length = 0; used + 4 + length <= sizeof frames; length += 3) {
        memcpy(frames + used, &length, 4);
        memset(frames + used + 4, (int)length, length);
        used += 4 + length;
    }
    through_a_ring("frames", "--frames", NULL, "--frames", frames, used);
}

static void what_there_is_is_shown(void)
{
    char name[NAME_SIZE], quoted[NAME_SIZE + 16], pid[64];
    unique_name(name, "shown");
    snprintf(quoted, sizeof quoted, "\"name\": \"%s\"", name);
    const char *pub[] = {"pub", name, "--capacity", "64K", "--max-consumers", "5", NULL};
    const char *sub[] = {"sub", name, NULL};
    const char *ls[] = {"ls", NULL}, *ls_json[] = {"ls", "--json", NULL};
    const char *stat[] = {"stat", name, NULL}, *stat_json[] = {"stat", name, "--json", NULL};

    struct child publisher = start_child(mapring, pub);
    await_output(ls_json, quoted);
    struct child subscriber = start_child(mapring, sub);
    CHECK(write_child(&publisher, "one\ntwo\n", 8));
    expect_line(&subscriber, "one");
    expect_line(&subscriber, "two");

    expect_output(ls, 0, name);
    expect_output(stat, 0, "64 KiB");
    expect_output(stat_json, 0, quoted);
    expect_output(stat_json, 0, "\"capacity\": 65536");
    expect_output(stat_json, 0, "\"messages\": 2");
    snprintf(pid, sizeof pid, "\"producer\": {\"pid\": %lu, \"alive\": true}", GetProcessId(publisher.process));
    expect_output(stat_json, 0, pid);
    snprintf(pid, sizeof pid, "\"pid\": %lu, \"alive\": true, \"kind\": \"reliable\"",
             GetProcessId(subscriber.process));
    expect_output(stat_json, 0, pid);
    const char *second[] = {"pub", name, NULL};
    snprintf(pid, sizeof pid, "%lu", GetProcessId(publisher.process));
    expect_output(second, 1, pid);

    free(finish(&publisher, 0, NULL));
    free(finish(&subscriber, 0, NULL));
    expect_output(stat, 1, "mapring");
    struct child list = start_child(mapring, ls_json);
    char *output = finish(&list, 0, NULL);
    CHECK(strstr(output, name) == NULL);
    free(output);
}

static void a_file_keeps_the_ring(void)
{
    char name[NAME_SIZE], path[PATH_SIZE], messages[64];
    unique_name(name, "kept");
    unique_path(path, "kept");
    const char *pub[] = {"pub", name, "--file", path, NULL};
    const char *stat[] = {"stat", path, "--json", NULL};
    for (int run = 1; run <= 2; run++) {
        struct child publisher = start_child(mapring, pub);
        CHECK(write_child(&publisher, "a\nb\nc\n", 6));
        free(finish(&publisher, 0, NULL));
        snprintf(messages, sizeof messages, "\"messages\": %d", 3 * run);
        expect_output(stat, 0, messages);
        snprintf(messages, sizeof messages, "\"epoch\": %d, \"ended\": true", run);
        expect_output(stat, 0, messages);
        expect_output(stat, 0, "\"producer\": null");
    }
    CHECK(DeleteFileA(path));
}

static void a_killed_pub_is_succeeded(void)
{
    char name[NAME_SIZE];
    unique_name(name, "killed");
    const char *pub[] = {"pub", name, NULL}, *sub[] = {"sub", name, NULL};
    const char *stat[] = {"stat", name, "--json", NULL};
    struct child subscriber = start_child(mapring, sub);
    struct child publisher = start_child(mapring, pub);
    CHECK(write_child(&publisher, "before\nnot ", 11));
    expect_line(&subscriber, "before");
    kill_child(&publisher);
    end_child(&publisher);
    expect_output(stat, 0, "\"alive\": false}");
    publisher = start_child(mapring, pub);
    CHECK(write_child(&publisher, "after\n", 6));
    free(finish(&publisher, 0, NULL));
    expect_line(&subscriber, "after");
    free(finish(&subscriber, 0, NULL));
}

static void failures_say_what_to_do(void)
{
    char name[NAME_SIZE];
    unique_name(name, "missing");
    const char *const failing[][4] = {
        {"stat", name, NULL},
        {"sub", name, "--timeout", "100ms"},
        {"stat", "bad/../path", NULL},
        {"pub", "bad\\name", NULL},
    };
    for (size_t i = 0; i < sizeof failing / sizeof failing[0]; i++) {
        const char *arguments[] = {failing[i][0], failing[i][1], failing[i][2],
                                   failing[i][2] == NULL ? NULL : failing[i][3], NULL};
        struct child child = start_child_with_errors(mapring, arguments);
        char *output = finish(&child, 1, NULL);
        CHECK_IS((int64_t)count_lines(output), 1);
        free(output);
    }
    const char *unknown[] = {"pub", name, "--nonsense", NULL}, *nothing[] = {NULL};
    expect_output(unknown, 2, "nonsense");
    expect_output(nothing, 2, "usage");
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: command PATH-OF-MAPRING.EXE\n");
        return 2;
    }
    mapring = argv[1];
    start_tests(150);
    run_test("lines arrive", lines_arrive);
    run_test("blocks arrive", blocks_arrive);
    run_test("frames arrive", frames_arrive);
    run_test("what there is is shown", what_there_is_is_shown);
    run_test("a file keeps the ring", a_file_keeps_the_ring);
    run_test("a killed pub is succeeded", a_killed_pub_is_succeeded);
    run_test("failures say what to do", failures_say_what_to_do);
    return finish_tests();
}
