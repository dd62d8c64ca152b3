/*
 * System calls that a sandbox refuses.
 */
#ifndef MAPRING_TESTS_REFUSE_H
#define MAPRING_TESTS_REFUSE_H

/* From now on this system call fails, in this process and in the children that it makes: with EPERM, or with this
 * error. Skips the case if that cannot be done. */
void refuse(long call);
void refuse_with(long call, int error);

/* The same of calls alone that have this command as their second argument. */
void refuse_command(long call, unsigned command, int error);

#endif
