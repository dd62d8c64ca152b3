/*
 * System calls that a sandbox refuses.
 */
#ifndef MAPRING_TESTS_REFUSE_H
#define MAPRING_TESTS_REFUSE_H

/* From now on this system call fails with EPERM, in this process and in the children that it makes. Skips the case if
 * that cannot be done. */
void refuse(long call);

#endif
