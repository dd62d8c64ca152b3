/*
 * Threads that are simulated: each has a stack, and one of them runs at a time.
 *
 * ucontext makes the stacks. Switching is by _setjmp() and _longjmp(), since
 * swapcontext() calls the system each time.
 */
#include <setjmp.h>
#include <stdlib.h>
#include <ucontext.h>

#include "core.h"

#define STACK_SIZE ((size_t)256 << 10)

struct coroutine {
    bool made;
    bool fresh; /* starts from the beginning when it is next switched to */
    jmp_buf base;
    jmp_buf here;
    ucontext_t context;
};

static struct coroutine coroutines[MODEL_THREADS_MAX];
static ucontext_t maker;
static jmp_buf outside;
static uint32_t making;
static void (*coroutine_body)(uint32_t number);

/* Goes on behind _setjmp() each time the coroutine starts anew. */
static void enter(void)
{
    uint32_t number = making;
    if (_setjmp(coroutines[number].base) == 0)
        swapcontext(&coroutines[number].context, &maker);
    uint32_t self = run.self; /* a local would not survive the jump for certain */
    coroutine_body(self);
    abort(); /* bodies leave by themselves */
}

static void make(uint32_t number)
{
    struct coroutine *coroutine = &coroutines[number];
    if (getcontext(&coroutine->context) != 0)
        abort();
    coroutine->context.uc_stack.ss_sp = malloc(STACK_SIZE);
    coroutine->context.uc_stack.ss_size = STACK_SIZE;
    coroutine->context.uc_link = NULL;
    if (coroutine->context.uc_stack.ss_sp == NULL)
        abort();
    makecontext(&coroutine->context, enter, 0);
    making = number;
    swapcontext(&maker, &coroutine->context);
    coroutine->made = true;
}

void coroutines_reset(void (*body)(uint32_t number))
{
    coroutine_body = body;
    for (uint32_t i = 0; i < MODEL_THREADS_MAX; i++) {
        if (!coroutines[i].made)
            make(i);
        coroutines[i].fresh = true;
    }
}

static void __attribute__((noreturn)) jump_to(uint32_t to)
{
    struct coroutine *coroutine = &coroutines[to];
    if (!coroutine->fresh)
        _longjmp(coroutine->here, 1);
    coroutine->fresh = false;
    _longjmp(coroutine->base, 1);
}

void coroutine_switch(uint32_t from, uint32_t to)
{
    if (_setjmp(coroutines[from].here) == 0)
        jump_to(to);
}

void coroutine_start(uint32_t to)
{
    jump_to(to);
}

void coroutines_try(void (*function)(void))
{
    if (_setjmp(outside) == 0)
        function();
}

void coroutine_leave(void)
{
    _longjmp(outside, 1);
}
