#include "progress.h"

#include <string.h>
#include <unistd.h>

#define BAR 30
#define REDRAW_NS 100000000u

static bool terminal;
static uint64_t begun_ns, shown_ns;

void progress_begin(void)
{
    terminal = isatty(STDERR_FILENO) != 0;
    begun_ns = now_ns();
    shown_ns = 0;
}

void progress_show(const struct plan *plan, const struct options *options, const char *doing, double within)
{
    uint64_t now = now_ns();
    if (!terminal || now - shown_ns < REDRAW_NS)
        return;
    shown_ns = now;
    double seconds = (double)(now - begun_ns) * 1e-9;
    double rounds = plan->rounds_begun == 0 ? 0 : (plan->rounds_begun - 1 + within) / options->rounds;
    double time = seconds / options->seconds;
    double share = rounds > time ? rounds : time;
    if (share > 1)
        share = 1;
    int filled = (int)(share * BAR);
    char bar[BAR + 1];
    memset(bar, '#', (size_t)filled);
    memset(bar + filled, '.', (size_t)(BAR - filled));
    bar[BAR] = 0;
    fprintf(stderr, "\r\x1b[K[%s] %3.0f %%  %.0f s, round %u of %u, %.40s", bar, share * 100, seconds,
            plan->rounds_begun, options->rounds, doing);
}

void progress_clear(void)
{
    if (terminal)
        fputs("\r\x1b[K", stderr);
}
